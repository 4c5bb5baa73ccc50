from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlflow_tfconv.config.recipe_config import read_recipe
from mlflow_tfconv.errors import ConfigError

DIGITS = Path(__file__).parents[2] / "recipes" / "digits"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "digits"
    shutil.copytree(DIGITS, folder, ignore=shutil.ignore_patterns("metadata", "__pycache__"))
    return folder


def change(root: Path, old: str, new: str) -> None:
    file = root / "recipe.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_the_digits_recipe_resolves_to_six_steps():
    recipe = read_recipe(DIGITS, "local")
    names = [step.name for step in recipe.plan.steps]
    assert names == ["ingest", "train", "convert", "compress", "benchmark", "register"]
    assert recipe.config.experiment.name == "digits"
    assert str(recipe.plan.context.device) == "cpu"


@pytest.mark.parametrize(
    ("old", "new", "place", "says"),
    [
        ("batch_size: 64", "batchsize: 64", "steps.train.batchsize", "Did you mean 'batch_size'?"),
        (
            "batch_size: 64",
            "batch_size: big",
            "steps.train.batch_size",
            "one of auto or a whole number",
        ),
        ("[saved_model, onnx]", "[saved_model, onx]", "steps.convert.formats[1]", "'onnx'?"),
        ("quantize: float16", "quantize: flot16", "variants[0].quantize", "'float16'?"),
        ("sparsity: 0.5", "sparsity: 1.5", "variants[2].prune", "between 0 and 1"),
        ("sparsity: 0.5", "sparsty: 0.5", "variants[2].prune.sparsty", "'sparsity'?"),
        ("  register:", "  registr:", "steps.registr", "Did you mean 'register'?"),
        ('"tfconv/v1"', '"tfconv/v2"', "recipe", "tfconv/v1"),
        ("min: 0.95", "mn: 0.95", "validation_criteria[0].mn", "'min'?"),
        ("[1, 32]", "[1, -32]", "steps.benchmark", "whole numbers above 0"),
        ("using: custom", "using: steps.mine.Foo", "steps.train.using", "No module named"),
        ("using: custom", "using: custm", "steps.train.using", "custom"),
        ("- {name: accuracy}", "- {name: a, function: f}", "steps/evaluate.py", "a file with f"),
    ],
)
def test_a_mistake_is_told_with_file_line_key_and_a_way_out(root, old, new, place, says):
    change(root, old, new)
    with pytest.raises(ConfigError) as caught:
        read_recipe(root, "local")
    text = str(caught.value)
    assert place in text
    assert says in text


def test_the_line_of_a_mistake_is_named(root):
    change(root, "batch_size: 64", "batchsize: 64")
    line = (root / "recipe.yaml").read_text().splitlines().index("    batchsize: 64") + 1
    with pytest.raises(ConfigError, match=rf"recipe\.yaml, line {line}: steps\.train\.batchsize"):
        read_recipe(root, "local")


def test_several_mistakes_are_told_at_once(root):
    change(root, "batch_size: 64", "batchsize: 64")
    change(root, "min: 0.95", "mn: 0.95")
    with pytest.raises(ConfigError) as caught:
        read_recipe(root, "local")
    assert "batchsize" in str(caught.value)
    assert "criteria[0].mn" in str(caught.value)


def test_a_device_that_is_none_is_told_with_its_line(root):
    change(root, "{{DEVICE}}", "gpu")
    with pytest.raises(ConfigError, match=r"recipe.yaml, line \d: The device is not understood"):
        read_recipe(root, "local")


def test_a_function_that_the_users_file_lacks_is_told_with_a_near_one(root):
    file = root / "steps" / "train.py"
    file.write_text(file.read_text().replace("def model_fn", "def modelfn"))
    with pytest.raises(ConfigError, match=r"steps/train\.py has no model_fn") as caught:
        read_recipe(root, "local")
    assert "Did you mean 'modelfn'?" in str(caught.value)


def test_a_file_of_the_users_that_is_no_python_is_told_with_its_line(root):
    (root / "steps" / "train.py").write_text("x = 1\ndef (:\n")
    with pytest.raises(ConfigError, match=r"steps/train.py, line 2: not Python"):
        read_recipe(root, "local")


def test_a_missing_file_of_the_users_is_told(root):
    (root / "steps" / "ingest.py").unlink()
    with pytest.raises(ConfigError, match=r"steps/ingest.py is missing"):
        read_recipe(root, "local")


def test_a_recipe_that_has_nothing_to_convert_is_refused(root):
    text = (root / "recipe.yaml").read_text()
    start, end = text.index("  train:"), text.index("  convert:")
    (root / "recipe.yaml").write_text(text[:start] + text[end:])
    with pytest.raises(ConfigError, match=r"steps.convert has nothing to convert"):
        read_recipe(root, "local")


def test_empty_sections_are_all_defaults(root):
    text = (root / "recipe.yaml").read_text()
    (root / "recipe.yaml").write_text(text[: text.index("  convert:")] + "  convert:\n")
    recipe = read_recipe(root, "local")
    assert recipe.plan.steps[-1].config.formats == ("saved_model", "onnx")
