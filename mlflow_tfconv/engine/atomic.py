"""Writing so that a kill at any moment leaves the old or the new, never half of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Writes a whole file, or leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def replace_folder(source: Path, target: Path) -> None:
    """Moves a finished folder into place; what was there before goes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        # A folder can't be replaced in one go: the old one steps aside first.
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        target.replace(aside / "old")
        source.replace(target)
        shutil.rmtree(aside)
    else:
        source.replace(target)
