"""Which files a step's result hangs on: the user's code with all it imports, and what it opens."""

from __future__ import annotations

import ast
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

_NOT_OURS = tuple(
    {
        *(str(Path(path).resolve()) for path in sysconfig.get_paths().values()),
        *(str(Path(path).resolve()) for path in (sys.prefix, sys.base_prefix)),
    }
)
_SYSTEM = ("/usr", "/etc", "/proc", "/sys", "/dev", "/run", "/var/lib", "/var/cache", "/lib")


def code_files(entry: Path, search: Iterable[Path]) -> tuple[Path, ...]:
    """The entry file and every module of the user's that it imports, directly or not.

    Modules of the standard library and of installed distributions are left out: their versions
    are part of a fingerprint in another way. Nothing is imported.

    Args:
        entry: A Python file.
        search: Folders that imports of the user's code are looked up in, besides `sys.path`.
    """
    paths = [str(folder) for folder in search] + sys.path
    found: dict[Path, None] = {}
    waiting = [entry]
    while waiting:
        file = waiting.pop()
        if file in found or not file.is_file():
            continue
        found[file] = None
        waiting.extend(_imported_files(file, paths))
    return tuple(sorted(found))


def _imported_files(file: Path, paths: list[str]) -> Iterator[Path]:
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, file)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            yield from _module_files(name, [str(file.parent), *paths])


def _absolute(node: ast.ImportFrom, file: Path) -> str:
    """The imported module's name; `from . import x` is looked up from the file's own package."""
    if not node.level:
        return node.module or ""
    package = file.parent
    for _ in range(node.level - 1):
        package = package.parent
    return ".".join(filter(None, [package.name, node.module]))


def _module_files(name: str, paths: list[str]) -> Iterator[Path]:
    """The files of a dotted name: each package on the way and the module itself."""
    where: Any = [*paths, *(str(Path(path).parent) for path in paths[:1])]
    for part in name.split("."):
        spec = PathFinder.find_spec(part, where) if part else None
        if spec is None:
            return
        if spec.origin and not is_installed(Path(spec.origin)) and spec.origin.endswith(".py"):
            yield Path(spec.origin)
        if spec.submodule_search_locations is None:
            return
        where = list(spec.submodule_search_locations)


def is_installed(path: Path) -> bool:
    """Whether a file belongs to Python, to an installed distribution or to the system."""
    text = str(path.resolve())
    return any(text.startswith(f"{root}/") for root in _NOT_OURS) or text.startswith(
        str(Path(__file__).resolve().parents[1])
    )


def watch_opened_files(root: Path, ignored: Iterable[Path]) -> set[str]:
    """From now on collects the files that Python code of this process opens for reading.

    Only what may be a user's data is kept: all below `root`, elsewhere nothing of the system's or
    of Python's, and nothing below the folders in `ignored`. A hook can't be taken away again, so
    this is for a process of its own. Libraries that open files in C (HDF5, TensorFlow's own
    readers) are not seen.
    """
    seen: set[str] = set()
    ours = f"{root}/"
    never = tuple(f"{folder}/" for folder in (*ignored, *_NOT_OURS))
    foreign = tuple(f"{folder}/" for folder in (*_SYSTEM, tempfile.gettempdir()))
    hidden = f"{Path.home()}/."

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | bytes):
            return
        path, mode = arguments[0], arguments[1]
        text = path.decode(errors="surrogateescape") if isinstance(path, bytes) else path
        if mode is not None and ("r" not in mode or "+" in mode):
            return
        full = text if text.startswith("/") else f"{Path.cwd()}/{text}"
        if full.endswith(".pyc") or full.startswith(never):
            return
        if full.startswith(ours) or not full.startswith((*foreign, hidden)):
            seen.add(full)

    sys.addaudithook(hook)
    return seen
