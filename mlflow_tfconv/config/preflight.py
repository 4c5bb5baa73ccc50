"""What can be known of the user's code before anything runs, without running it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from mlflow_tfconv.config.template import suggestion
from mlflow_tfconv.data.user_code import import_fresh
from mlflow_tfconv.engine.child import describe
from mlflow_tfconv.engine.failures import error_of_failure
from mlflow_tfconv.engine.step import MetricSpec, Step
from mlflow_tfconv.errors import ConfigError


def check_user_code(root: Path, steps: Iterable[Step[Any]], metrics: Iterable[MetricSpec]) -> None:
    """Checks that the functions which steps and metrics will call are there.

    Raises:
        ConfigError: A file or a function is missing, or a file is no Python.
    """
    for step in steps:
        for file, functions in step.needed_functions().items():
            _check_file(root, file, functions, f"steps.{step.name}")
    named = [metric.function for metric in metrics if metric.function is not None]
    if named:
        _check_file(root, "steps/evaluate.py", named, "metrics")


def _check_file(root: Path, file: str, functions: Iterable[str], wanted_by: str) -> None:
    path = root / file
    if not path.is_file():
        raise ConfigError(
            f"{file} is missing.",
            received=f"no such file in {root}",
            expected=f"a file with {', '.join(functions)}, for {wanted_by} in recipe.yaml",
            fix="`mlflow recipes init` writes a working example.",
        )
    names = _top_level_names(path, file)
    for function in functions:
        if names is not None and function not in names:
            raise ConfigError(
                f"{file} has no {function}, which {wanted_by} in recipe.yaml needs.",
                received=f"it defines {', '.join(sorted(names)) or 'nothing'}",
                expected=f"a function `{function}`",
                fix=suggestion(function, names) or f"Define {function} in {file}.",
            )


def _top_level_names(path: Path, file: str) -> set[str] | None:
    """Names that importing the file would give; None when that can't be told (`import *`)."""
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise _not_python(error, file) from error
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.If | ast.Try | ast.With):
            return None
    return None if "*" in names else names


def _not_python(error: SyntaxError, file: str | Path) -> ConfigError:
    return ConfigError(
        f"{file}, line {error.lineno}: not Python: {error.msg}.",
        received=(error.text or "").strip(),
    )


def user_step_class(using: str, name: str, root: Path, where: str) -> type[Step[Any]]:
    """The user's own step class that recipe.yaml names by its import path.

    Args:
        using: `package.module.Class` or `package.module:Class`.
        name: The step it stands for.
        root: The recipe's folder; modules are looked up there first.
        where: The place of the name in recipe.yaml, for messages.

    Raises:
        ConfigError: There is no such class, or it is no step of this name.
        UserCodeError: Its module can't be imported.
    """
    module, _, kind = using.replace(":", ".").rpartition(".")
    imported = _imported(module, root, where, using)
    found = getattr(imported, kind, None)
    if found is None:
        raise ConfigError(
            f"{where} can't be found.",
            received=f"{using}, but {module} has no {kind}",
            expected="the import path of a step class",
            fix=suggestion(kind, vars(imported)),
        )
    problem = _no_step_because(found, name)
    if problem is not None:
        raise ConfigError(
            f"{where} is no step that can be used here.",
            received=f"{using}: {problem}",
            expected="a subclass of mlflow_tfconv.steps.Step with `name`, `config_class` and `run`",
        )
    return found  # type: ignore[no-any-return]  # getattr gives Any


def _imported(module: str, root: Path, where: str, using: str) -> ModuleType:
    try:
        return import_fresh(root, module)
    except SyntaxError as error:
        file = Path(error.filename or module)
        raise _not_python(
            error, file.relative_to(root) if root in file.parents else file
        ) from error
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{where} can't be found.",
                received=f"{using} ({error})",
                expected="the import path of a step class",
                fix=suggestion(module, (f"steps.{f.stem}" for f in root.glob("steps/*.py"))),
            ) from error
        raise error_of_failure(f"importing {module}", describe(error, root)) from error


def _no_step_because(found: Any, name: str) -> str | None:
    """What a class lacks to be the step of this name, in words."""
    if not isinstance(found, type) or not issubclass(found, Step):
        return f"a {type(found).__name__} that is no subclass of Step"
    if inspect.isabstract(found):
        return "it has no method `run`"
    if getattr(found, "name", None) != name:
        return f"its name is {getattr(found, 'name', None)!r} and not {name!r}"
    if not dataclasses.is_dataclass(getattr(found, "config_class", None)):
        return "its config_class is no dataclass"
    return None
