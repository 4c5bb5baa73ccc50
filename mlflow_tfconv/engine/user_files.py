"""Which files a step's result hangs on: the user's code with all it imports, and what it opens."""

from __future__ import annotations

import ast
import importlib
import os
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

# Not the whole prefix of the system's Python: /usr may well hold somebody's recipe.
_LIBRARIES = ("stdlib", "platstdlib", "purelib", "platlib")
_NOT_OURS = tuple(
    {
        *(str(Path(sysconfig.get_path(kind)).resolve()) for kind in _LIBRARIES),
        *([str(Path(sys.prefix).resolve())] if sys.prefix != sys.base_prefix else []),
        str(Path(__file__).resolve().parents[1]),
    }
)
_LIBRARY_FOLDERS = ("/site-packages/", "/dist-packages/")
_SYSTEM = ("/usr", "/etc", "/proc", "/sys", "/dev", "/var/lib", "/var/cache", "/lib", "/lib64")
# What looks for modules and for installed distributions: it lists every folder of `sys.path`.
_IMPORTERS = ("importlib", "_frozen_importlib", "importlib_metadata", "pkg_resources")


def code_files(entry: Path, search: Iterable[Path]) -> tuple[Path, ...]:
    """The entry file and every module of the user's that it imports, directly or not.

    Modules of the standard library and of installed distributions are left out: their versions
    are part of a fingerprint in another way. Nothing is imported.

    Args:
        entry: A Python file.
        search: Folders that imports of the user's code are looked up in, besides `sys.path`.
    """
    importlib.invalidate_caches()  # a notebook goes on while files are made
    paths = [*(str(folder) for folder in search), *(str(folder) for folder in sys.path)]
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
    # What makes its folder a package runs before the file itself.
    yield file.parent / "__init__.py"
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(alias.name, [str(file.parent), *paths])
        elif isinstance(node, ast.ImportFrom):
            where = [_package(file, node.level)] if node.level else [str(file.parent), *paths]
            for alias in node.names:
                name = ".".join(filter(None, [node.module, alias.name]))
                yield from _module_files(name, where)


def _package(file: Path, level: int) -> str:
    """The folder that `from . import x` (level 1), `from .. import x` (level 2) looks in."""
    return str(file.parents[level - 1])


def _module_files(name: str, where: Any) -> Iterator[Path]:
    """The files of a dotted name: each package on the way and the module itself."""
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
    """Whether a file belongs to Python, to an installed distribution or to this package."""
    text = str(path.resolve())
    return text.startswith(tuple(f"{root}/" for root in _NOT_OURS)) or any(
        folder in text for folder in _LIBRARY_FOLDERS
    )


def loaded_modules() -> set[str]:
    """The files of the user's modules that this process has imported, in whatever way."""
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    python = {file for file in files if isinstance(file, str) and file.endswith(".py")}
    return {file for file in python if Path(file).is_file() and not is_installed(Path(file))}


@dataclass(frozen=True, slots=True)
class Opened:
    """What a process has opened so far that may be a user's data; grows while it runs.

    Attributes:
        files: Files that were opened for reading.
        folders: Folders whose entries were listed.
    """

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    def existing_files(self) -> set[str]:
        """Those that are there still, and belong to no library."""
        return {p for p in self.files if Path(p).is_file() and not is_installed(Path(p))}

    def existing_folders(self) -> set[str]:
        """Those that are there still, and belong to no library."""
        return {p for p in self.folders if Path(p).is_dir() and not is_installed(Path(p))}


def watch_opened_files(root: Path, ignored: Iterable[Path]) -> Opened:
    """From now on collects what Python code of this process opens for reading and lists.

    Only what may be a user's data is kept: all below `root`, elsewhere nothing of the system's or
    of Python's, and nothing below the folders in `ignored`. A hook can't be taken away again, so
    this is for a process of its own. Libraries that open files in C (HDF5, TensorFlow's own
    readers) are not seen.
    """
    opened = Opened()
    may_be_data = _data_filter(root, ignored)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            # Not what is opened for writing. An integer is a descriptor, opened before.
            if not flags & (os.O_WRONLY | os.O_RDWR) and not isinstance(path, int):
                full = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 (links stay as they are)
                if not full.endswith(".pyc") and may_be_data(full):
                    opened.files.add(full)
        elif event in ("os.listdir", "os.scandir") and not isinstance(arguments[0], int):
            full = os.path.abspath(os.fsdecode(arguments[0] or "."))  # noqa: PTH100 (as above)
            if may_be_data(f"{full}/") and not _is_import():
                opened.folders.add(full)

    sys.addaudithook(hook)
    return opened


def _data_filter(root: Path, ignored: Iterable[Path]) -> Callable[[str], bool]:
    """Tells whether a path may be a user's data."""
    ours = f"{root}/"
    never = tuple(f"{folder}/" for folder in (*ignored, *_NOT_OURS))
    foreign = tuple(f"{folder}/" for folder in (*_SYSTEM, tempfile.gettempdir()))
    hidden = os.path.expanduser("~/.")  # noqa: PTH111 (Path.home() fails for a user without one)

    def may_be_data(full: str) -> bool:
        if full.startswith(never) or "/.git/" in full:
            return False
        return full.startswith(ours) or not full.startswith((*foreign, hidden))

    return may_be_data


def _is_import() -> bool:
    """Whether a folder is listed to find a module or an installed distribution in it."""
    name = str(sys._getframe(2).f_globals.get("__name__", ""))
    return name.partition(".")[0].removesuffix("_external") in _IMPORTERS
