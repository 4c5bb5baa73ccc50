from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_tfconv.data.user_code import load_user_module, user_function
from mlflow_tfconv.errors import ConfigError


@pytest.fixture(autouse=True)
def restored_imports() -> Iterator[None]:
    """The paths and modules of a test's recipe do not stay."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def recipe(root: Path, **files: str) -> Path:
    (root / "steps").mkdir(parents=True)
    for name, text in files.items():
        (root / "steps" / f"{name}.py").write_text(text)
    return root


def test_a_file_finds_the_files_beside_it(tmp_path: Path) -> None:
    text = "from steps.sizes import WIDTH\nimport sizes\nassert sizes.WIDTH == WIDTH"
    root = recipe(tmp_path, train=text, sizes="WIDTH = 8")
    module = load_user_module(root, "steps/train.py")
    assert (module.__name__, module.WIDTH) == ("steps.train", 8)


def test_two_recipes_in_one_process_do_not_meet(tmp_path: Path) -> None:
    roots = [
        recipe(tmp_path / name, train="import sizes\nWIDTH = sizes.WIDTH", sizes=f"WIDTH = {name}")
        for name in ("1", "2")
    ]
    assert [load_user_module(root, "steps/train.py").WIDTH for root in roots] == [1, 2]
    assert load_user_module(roots[0], "steps/train.py").WIDTH == 1


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no steps/train\.py"):
        load_user_module(tmp_path, "steps/train.py")


def test_a_missing_function_is_told_with_the_nearest(tmp_path: Path) -> None:
    root = recipe(tmp_path, train="def model_fun(spec): ...")
    with pytest.raises(ConfigError, match="no function model_fn") as caught:
        user_function(root, "steps/train.py", "model_fn")
    assert "Did you mean 'model_fun'" in str(caught.value)


def test_an_optional_function_may_be_missing_with_its_file(tmp_path: Path) -> None:
    root = recipe(tmp_path, train="")
    assert user_function(root, "steps/train.py", "augment_fn", required=False) is None
    assert user_function(root, "steps/evaluate.py", "f1", required=False) is None


def test_an_error_of_the_users_code_is_passed_on(tmp_path: Path) -> None:
    root = recipe(tmp_path, train="1 / 0")
    with pytest.raises(ZeroDivisionError):
        load_user_module(root, "steps/train.py")
