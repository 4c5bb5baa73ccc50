"""Which of the files in a folder are data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

# Left by Spark, Delta Lake, macOS, Windows and Python beside the data.
_MARKERS = {"_temporary", "_delta_log", "_spark_metadata", "__MACOSX", "__pycache__"}
_MARKERS |= {"Thumbs.db", "desktop.ini"}
_MARKER_FILES = ("_SUCCESS", "_metadata", "_common_metadata", "_committed_", "_started_")


def is_marker(relative: str) -> bool:
    """Whether a path is hidden, or only says something about the data beside it.

    Names such as `_DSC0001.jpg` and `_background_noise_` are data.
    """
    parts = PurePosixPath(relative).parts
    return any(part.startswith(".") or part in _MARKERS for part in parts) or (
        bool(parts) and "." not in parts[-1] and parts[-1].startswith(_MARKER_FILES)
    )


def wanted(names: Iterable[str], suffixes: tuple[str, ...]) -> list[str]:
    """Of the names that a pattern fits, those with one of the suffixes, in order; all if none has.

    Somebody who writes `part-*` means files without a suffix.
    """
    found = sorted(names)
    low = tuple(suffix.lower() for suffix in suffixes)
    return [name for name in found if low and name.lower().endswith(low)] or found
