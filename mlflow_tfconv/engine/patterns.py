"""Glob patterns of paths, in which a name that exists is meant literally, whatever it holds."""

from __future__ import annotations

import glob
import os
from pathlib import Path

_MAGIC = frozenset("*?[")


def is_pattern(path: Path) -> bool:
    """Whether a path, beyond what exists of it, has `*`, `?` or `[` in it."""
    return fixed_part(path) != path


def fixed_part(pattern: Path) -> Path:
    """The folder that a pattern starts from: its parts before the first that is a pattern."""
    fixed = Path(*pattern.parts[:0])
    for part in pattern.parts:
        if _MAGIC & set(part) and not os.path.lexists(fixed / part):
            break
        fixed /= part
    return fixed


def fitting(pattern: Path) -> tuple[Path, ...]:
    """The files that a pattern fits, in order; where it fits folders only, the folders."""
    fixed = fixed_part(pattern)
    rest = pattern.relative_to(fixed)
    names = glob.glob(str(Path(glob.escape(str(fixed)), rest)), recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
    found = sorted(Path(name) for name in names)
    files = tuple(path for path in found if not path.is_dir())
    return files or tuple(found)
