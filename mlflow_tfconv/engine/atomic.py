"""Writing so that a kill at any moment leaves the old or the new, never half of it."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from pathlib import Path

_HERE = -100  # AT_FDCWD: relative paths start at the working directory
_RENAME_EXCHANGE = 2


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
        if _exchanged(source, target):
            shutil.rmtree(source)
            return
        # Where the file system can't exchange two folders in one go, the old one steps aside.
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        target.replace(aside / "old")
        source.replace(target)
        shutil.rmtree(aside)
    else:
        source.replace(target)


def _exchanged(one: Path, other: Path) -> bool:
    """Lets two paths change places at once; False where that can't be done."""
    try:
        rename = ctypes.CDLL(None).renameat2  # of Linux, with glibc 2.28 or newer
    except AttributeError:
        return False
    paths = (_HERE, os.fsencode(one), _HERE, os.fsencode(other))
    return bool(rename(*paths, _RENAME_EXCHANGE) == 0)
