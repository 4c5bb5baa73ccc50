"""What can be known of the user's code before anything runs, without running it."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlflow_tfconv.config.template import suggestion
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
        raise ConfigError(
            f"{file}, line {error.lineno}: not Python: {error.msg}.",
            received=(error.text or "").strip(),
        ) from error
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


def user_step_class(using: str, name: str, root: Path, where: str) -> type[Step[Any]]:
    """The user's own step class that recipe.yaml names by its import path.

    Args:
        using: `package.module.Class` or `package.module:Class`.
        name: The step it stands for.
        root: The recipe's folder; modules are looked up there first.
        where: The place of the name in recipe.yaml, for messages.
    """
    module, _, kind = using.replace(":", ".").rpartition(".")
    for folder in (str(root / "steps"), str(root)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    try:
        found = getattr(importlib.import_module(module), kind)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{where} can't be found.",
            received=f"{using} ({error})",
            expected="the import path of a Step class",
        ) from error
    if not (isinstance(found, type) and issubclass(found, Step) and hasattr(found, "config_class")):
        raise ConfigError(
            f"{where} is no step.",
            received=f"{using}, a {type(found).__name__}",
            expected="a subclass of mlflow_tfconv.steps.Step with `name`, `config_class` and `run`",
        )
    if found.name != name:
        raise ConfigError(
            f"{where} is another step.",
            received=f"{using}.name = {found.name!r}",
            expected=repr(name),
        )
    return found
