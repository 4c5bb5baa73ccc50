"""The recipe owner's own Python files under `steps/`: imported, and searched for functions."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from mlflow_tfconv.engine.user_files import code_files
from mlflow_tfconv.errors import ConfigError


def load_user_module(recipe_root: Path, file: str) -> ModuleType:
    """The imported module of a recipe's file.

    `steps/train.py` becomes the module `steps.train`. The recipe's folder and its `steps` are put
    in front of `sys.path`, so that both `from steps.layers import X` and `import layers` find a
    file beside it. What the code itself raises on import is passed on as it is.

    Raises:
        ConfigError: The file does not exist.
    """
    path = recipe_root.resolve() / file
    if not path.is_file():
        raise ConfigError(
            f"The recipe has no {file}.",
            received=f"no file {path}",
            fix=f"Write {file}, or let the step use something else (`using` in recipe.yaml).",
        )
    _look_here_first(recipe_root.resolve(), path.parent)
    return importlib.import_module(".".join(Path(file).with_suffix("").parts))


def import_fresh(recipe_root: Path, name: str) -> ModuleType:
    """A module by its dotted name, looked up in the recipe first, as its file is now.

    People edit their files while a notebook goes on: what this process has imported of them before
    is imported anew. What the code itself raises on import is passed on as it is.
    """
    root = recipe_root.resolve()
    _look_here_first(root, root / "steps")
    _forget_files(root, name)
    return importlib.import_module(name)


def user_function(
    recipe_root: Path, file: str, name: str, *, required: bool = True
) -> Callable[..., Any] | None:
    """The function of this name in a recipe's file.

    Returns:
        None when the file or the function is not there and it is not required.

    Raises:
        ConfigError: It is required and not there, or it is not callable.
    """
    if not required and not (recipe_root / file).is_file():
        return None
    module = load_user_module(recipe_root, file)
    found = getattr(module, name, None)
    if found is None and not required:
        return None
    if not callable(found):
        raise _not_a_function(module, file, name, found)
    return found  # type: ignore[no-any-return]  # getattr gives Any


def _not_a_function(module: ModuleType, file: str, name: str, found: object) -> ConfigError:
    own = [
        key
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__
    ]
    near = difflib.get_close_matches(name, own, n=1)
    hint = f"Did you mean {near[0]!r}? Then rename it." if near else f"Write a function {name}."
    return ConfigError(
        f"{file} has no function {name}.",
        received=f"functions: {', '.join(own) or 'none'}" if found is None else repr(found),
        expected=f"def {name}(...)",
        fix=hint,
    )


def _look_here_first(root: Path, folder: Path) -> None:
    _put_in_front(folder)
    _put_in_front(root)
    _forget_other_recipes(root)
    importlib.invalidate_caches()


def _put_in_front(folder: Path) -> None:
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
    sys.path.insert(0, str(folder))


def _forget_other_recipes(root: Path) -> None:
    """Lets `steps.*` be imported anew when this process has imported those of another recipe."""
    for name, module in list(sys.modules.items()):
        if _is_of_a_recipe(name, module) and not _lies_below(module, root):
            del sys.modules[name]


def _forget_files(root: Path, name: str) -> None:
    """Lets a module of the recipe be imported anew, with what it imports from the recipe."""
    entry = getattr(sys.modules.get(name), "__file__", None)
    if entry is None:
        return
    files = {str(f) for f in code_files(Path(entry), (root, root / "steps"))}
    for known, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if known != "__main__" and file in files and Path(file).is_relative_to(root):
            del sys.modules[known]


def _is_of_a_recipe(name: str, module: ModuleType) -> bool:
    if name == "steps" or name.startswith("steps."):
        return True
    file = getattr(module, "__file__", None)
    return "." not in name and isinstance(file, str) and Path(file).parent.name == "steps"


def _lies_below(module: ModuleType, root: Path) -> bool:
    places = [module.__file__] if module.__file__ else list(getattr(module, "__path__", ()))
    return any(Path(place).resolve().is_relative_to(root) for place in places)
