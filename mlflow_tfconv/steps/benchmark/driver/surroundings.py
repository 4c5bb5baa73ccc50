"""What a measurement was made on: the machine, and the versions of the libraries."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any


def library_versions(*names: str) -> dict[str, str]:
    """Distribution name to version, of those that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """The processor's name, how many this process may use, and the system."""
    return {
        "processor": _processor(),
        "processors": usable_processors(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def usable_processors() -> int | None:
    """How many processors this process may use; None where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor()
