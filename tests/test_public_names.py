"""What the package promises by name, what its doors cost to import, and the tree of its errors."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlflow_tfconv
from mlflow_tfconv import errors, steps

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "digits"
HEAVY = {
    *("tensorflow", "keras", "tf_keras", "tf2onnx", "tensorflow_model_optimization"),
    *("mlflow", "onnx", "onnxruntime", "pandas", "matplotlib", "sklearn"),
}
READERS = {
    "pydantic",
    "yaml",
    "jinja2",
    "rich",
    "numpy",
}  # light, but not for every `import mlflow`
ROOMS = ("ingest", "train", "convert", "compress", "benchmark", "register")


@pytest.mark.parametrize("package", [mlflow_tfconv, steps])
def test_all_lists_what_can_be_imported_sorted(package: object) -> None:
    assert package.__all__ == sorted(package._HOMES)
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("name", mlflow_tfconv.__all__)
def test_a_public_name_is_found_has_a_docstring_and_is_no_module(name: str) -> None:
    found = getattr(mlflow_tfconv, name)
    assert found.__name__ == name
    assert inspect.getdoc(found)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"mlflow_tfconv.{name}")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_its_two_doors(room: str) -> None:
    config, step = (getattr(steps, f"{room.capitalize()}{kind}") for kind in ("Config", "Step"))
    assert config.__module__ == f"mlflow_tfconv.steps.{room}.config"
    assert step.__module__ == f"mlflow_tfconv.steps.{room}.step"
    assert (step.name, step.config_class, steps.step_class(room)) == (room, config, step)


@pytest.mark.parametrize("package", [mlflow_tfconv, steps])
def test_a_misspelt_name_is_an_attribute_error(package: object) -> None:
    with pytest.raises(AttributeError, match="convrt"):
        package.convrt  # noqa: B018 (the access is what is tested)


def test_type_checkers_see_the_same_names_as_python_finds() -> None:
    for package in (mlflow_tfconv, steps):
        tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        seen = {alias.name: node.module for node in imports for alias in node.names}
        for name, home in package._HOMES.items():
            assert seen[name] == home


@pytest.mark.parametrize(
    ("doors", "refused"),
    [
        (["mlflow_tfconv.plugin"], HEAVY | READERS | {"click", "mlflow_tfconv.cli"}),
        (["mlflow_tfconv", "mlflow_tfconv.steps"], HEAVY | READERS | {"click", "wrapt"}),
        (["mlflow_tfconv.cli", "mlflow_tfconv.__main__"], HEAVY | READERS),
        ([f"mlflow_tfconv.steps.{room}.config" for room in ROOMS], HEAVY | READERS),
        ([f"mlflow_tfconv.steps.{room}.step" for room in ROOMS], HEAVY | READERS),
        (["mlflow_tfconv.recipe", "mlflow_tfconv.doctor"], HEAVY),
    ],
    ids=["plugin", "package", "commands", "configs", "steps", "recipe"],
)
def test_a_door_opens_without_heavy_libraries(doors: list[str], refused: set[str]) -> None:
    loaded = _loaded_by("\n".join(f"import {door}" for door in doors))
    assert sorted(loaded & refused) == []


def test_the_first_use_of_a_function_turns_off_chatter_but_not_what_the_user_wants() -> None:
    code = "import os, mlflow_tfconv\nassert 'TF_CPP_MIN_LOG_LEVEL' not in os.environ\n"
    code += "mlflow_tfconv.convert\nassert os.environ['TF_CPP_MIN_LOG_LEVEL'] == '1'\n"
    code += "os.environ['TF_CPP_MIN_LOG_LEVEL'] = '0'\nmlflow_tfconv.compress\n"
    code += "assert os.environ['TF_CPP_MIN_LOG_LEVEL'] == '0'"
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_reading_and_checking_a_recipe_needs_no_heavy_library() -> None:
    code = f"from mlflow_tfconv import Recipe\nRecipe(root={str(RECIPE)!r})"
    assert sorted(_loaded_by(code) & HEAVY) == []


def test_asking_for_help_needs_no_heavy_library() -> None:
    code = "import runpy, sys\nsys.argv = ['tfconv', '--help']\n"
    code += "try: runpy.run_module('mlflow_tfconv')\nexcept SystemExit: pass"
    assert sorted(_loaded_by(code) & (HEAVY | READERS)) == []


def test_the_tree_of_errors_in_the_docstring_is_the_tree_of_classes() -> None:
    drawn: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        branch, found, rest = line.rpartition("── ")
        name = (rest if found else line).split(" ")[0]
        if not name.endswith("Error"):
            continue
        depth = (len(branch) + 3) // 4 if found else 0
        above[depth:] = [name]
        drawn[name] = above[depth - 1] if depth else None
    assert drawn == {kind.__name__: _parent(kind) for kind in _error_classes()}


def test_every_error_says_when_it_is_raised() -> None:
    for kind in _error_classes() - {errors.TfconvError}:
        assert (kind.__doc__ or "").startswith("Raised when "), kind


def _error_classes() -> set[type]:
    return {k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, Exception)}


def _parent(kind: type) -> str | None:
    return next((base.__name__ for base in kind.__bases__ if base in _error_classes()), None)


def _loaded_by(code: str) -> set[str]:
    """Top-level modules, and those of this package, that a fresh Python has after running code."""
    report = "\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=True
    )
    return set(json.loads(run.stdout.splitlines()[-1]))
