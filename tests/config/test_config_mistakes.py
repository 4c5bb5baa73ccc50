"""What people really get wrong in YAML, Jinja and names of metrics."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlflow_tfconv.config.metric_names import BUILT_IN
from mlflow_tfconv.config.recipe_config import read_recipe
from mlflow_tfconv.config.template import read_recipe_text
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


@pytest.mark.parametrize(
    ("old", "new", "place", "says"),
    [
        ("    using: custom", "\tusing: custom", "recipe.yaml, line 11", "Indent with spaces"),
        ("{dropout: 0.2}", "!!set {a}", "steps.train.params", "!!set"),
        ("{dropout: 0.2}", "&x [*x]", "steps.train.params[0]", "an alias of what it stands in"),
        ("batch_size: 64", "1: 64", "steps.train.1", "is not a key"),
        ("batch_size: 64", "on: 64", "steps.train.on", "is not a key"),
        ("name: fp16", "name: no", "variants[0].name", "Put it in quotes"),
        ("batch_size: 64", 'batch_size: "64"', "steps.train.batch_size", "Leave the quotes out"),
        ("{{EPOCHS}}", '{{EPOCHS + "x"}}', "recipe.yaml, line 12", "TypeError"),
        ("{{EPOCHS}}", "{{INGEST_CONFIG.x}}", "recipe.yaml, line 12", "no attribute 'x'"),
        ("{{EPOCHS}}", "{{EPOCH}}", "recipe.yaml, line 12", "Did you mean 'EPOCHS'?"),
        ("- {name: accuracy}", "- {name: acuracy}", "metrics[0].name", "'accuracy'?"),
        ("- {name: accuracy}", "- accuracy", "metrics[0]", "a mapping of keys and values"),
        ("name: accuracy}", "name: accuracy}\n  - {name: accuracy}", "metrics[1]", "already"),
        ("primary_metric: accuracy", "primary_metric: f1", "line 4: primary", "[{name: f1}]"),
        ("quality/accuracy,", "quality/acuracy,", "validation_criteria[0].metric", "y/accuracy'?"),
        ("latency/p50_ms", "latency/p50", "steps.register.choose", "'latency/p50_ms'?"),
        ("[1, 32]", "[8]", "steps.register.choose", "latency/p50_ms_b8"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_a_way_out(root, old, new, place, says):
    change(root, old, new)
    with pytest.raises(ConfigError) as caught:
        read_recipe(root, "local")
    assert place in str(caught.value)
    assert says in str(caught.value)


def test_a_function_without_a_direction_is_told(root):
    (root / "steps" / "evaluate.py").write_text("def f(outputs, labels):\n    return 1.0\n")
    change(root, "- {name: accuracy}", "- {name: a, function: f}")
    with pytest.raises(ConfigError, match="greater_is_better: true, or false"):
        read_recipe(root, "local")


def test_the_primary_metric_is_the_first_measured_unless_it_is_said(root):
    change(root, "primary_metric: accuracy\n", "")
    text = (root / "recipe.yaml").read_text()
    (root / "recipe.yaml").write_text(text.replace("accuracy", "mae"))
    assert read_recipe(root, "local").config.primary_metric == "mae"


def test_the_names_of_the_built_in_metrics_are_those_of_the_benchmark():
    from mlflow_tfconv.steps.benchmark.statistics import quality

    assert set(BUILT_IN) == set(quality.BUILT_IN)


@pytest.fixture
def values(tmp_path):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "local.yaml").write_text("")

    def read(text: str | bytes) -> dict:
        data = text.encode() if isinstance(text, str) else text
        (tmp_path / "recipe.yaml").write_bytes(data)
        return read_recipe_text(tmp_path, "local").data

    return read


def test_numbers_dates_and_keys_are_what_people_mean(values):
    assert values("a: 1e-4\nb: -2E6\nc: 2020-01-01\n7: x\nno: 1\n") == {
        "a": 1e-4,
        "b": -2e6,
        "c": "2020-01-01",
        "7": "x",
        "no": 1,
    }


def test_anchors_and_merge_keys_work(values):
    data = values("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")
    assert data["b"] == {"x": 1, "y": 3}


def test_a_byte_order_mark_is_no_part_of_the_first_key(values, tmp_path):
    from mlflow_tfconv.cli import template_of

    assert values(b'\xef\xbb\xbfrecipe: "tfconv/v1"\n') == {"recipe": "tfconv/v1"}
    assert template_of(tmp_path) == "tfconv/v1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"a: 1\nb: \xe9\n", "recipe.yaml, line 2: not UTF-8"),
        (b'a: "\x07"\n', r"recipe.yaml, line 1: not YAML"),
        (b"", r"(?s)no mapping.*an empty file"),
        (b"{[a]: 1}\n", "recipe.yaml, line 1: not YAML"),
    ],
)
def test_what_is_no_text_or_no_yaml_is_told(values, text, says):
    with pytest.raises(ConfigError, match=says):
        values(text)


def test_a_profile_may_be_empty(values):
    assert values("a: 1\n") == {"a": 1}
