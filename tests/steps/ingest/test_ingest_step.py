from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.data.manifest import read_manifest
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.engine.cards import Picture, Table, Text
from mlflow_tfconv.engine.events import DatasetUsed, Message, Metric, Progress
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.step import IngestStep

DIGITS = Path(__file__).parents[3] / "recipes" / "digits"

NUMBERS = """
    def load_examples(count=50, first=0):
        for number in range(first, count):
            yield {"x": [number, 1.5], "name": f"id-{number}", "label": number % 2}
    """


def labels_of(result: Any, split: str) -> list[int]:
    return [int(y) for _, batch in read_dataset(result.output, split, 64) for y in batch]


def labels_by_key(result: Any, split: str) -> dict[float, int]:
    """The first number of `x`, which tells the example, to its label."""
    batches = read_dataset(result.output, split, 64)
    return {
        float(x[0]): int(label)
        for batch in batches
        for x, label in zip(batch["x"], batch["label"], strict=True)
    }


def test_the_digits_recipe_becomes_1797_described_examples(ingest: Any, events: list[Any]) -> None:
    result = ingest(root=DIGITS, label="digit")
    manifest = read_manifest(result.output.manifest)
    assert sum(manifest.counts.values()) == 1797
    assert manifest.counts["train"] > 1350
    assert min(manifest.counts.values()) > 140
    assert manifest.schema.inputs["image"].shape == (8, 8, 1)
    assert manifest.schema.labels["digit"].class_names == tuple("0123456789")
    image, _ = next(iter(read_dataset(manifest, "train", 64)))
    assert (float(np.min(image)), float(np.max(image))) == (0.0, 1.0)
    assert result.card.title == "1,797 examples in 3 splits"
    picture = next(part for part in result.card.parts if isinstance(part, Picture))
    assert picture.path.read_bytes().startswith(b"\x89PNG")
    tables = {part.caption: part for part in result.card.parts if isinstance(part, Table)}
    assert len(tables["Examples of each class of 'digit'"].rows) == 10
    metrics = {event.name: event.value for event in events if isinstance(event, Metric)}
    assert metrics["examples/train"] == manifest.counts["train"]
    assert any(isinstance(event, DatasetUsed) for event in events)
    assert next(e for e in events[::-1] if isinstance(e, Progress)).done == 1797


def test_two_runs_give_the_same_shards_to_the_bit(ingest: Any) -> None:
    one, other = (ingest(NUMBERS, label="label", shard_mb=0.001) for _ in range(2))
    assert one.output.digest == other.output.digest
    first, second = (read_manifest(result.output.manifest) for result in (one, other))
    assert len(first.splits["train"]) > 2
    for split in first.splits:
        pairs = zip(first.shard_paths(split), second.shard_paths(split), strict=True)
        assert all(a.read_bytes() == b.read_bytes() for a, b in pairs)


@pytest.mark.parametrize("key", [None, "name"])
def test_an_example_stays_in_its_split_when_the_data_grow(ingest: Any, key: str | None) -> None:
    few, many = (
        ingest(NUMBERS, key=key, params={"count": count}, split_ratios=(0.4, 0.3, 0.3))
        for count in (60, 90)
    )
    for split in ("train", "validation", "test"):
        assert labels_by_key(few, split).items() < labels_by_key(many, split).items()


def test_examples_of_the_same_key_stay_together(ingest: Any) -> None:
    code = """
        def load_examples():
            for number in range(60):
                yield {"x": number, "person": number % 6, "label": number % 6}
        """
    result = ingest(code, label="label", key="person", split_ratios=(0.5, 0.25, 0.25))
    people = [set(labels_of(result, split)) for split, n in result.output.counts.items() if n]
    assert len(people) > 1
    assert sum(map(len, people)) == 6


def test_params_and_location_arrive_as_arguments(ingest: Any, tmp_path: Path) -> None:
    (tmp_path / "recipe-0").mkdir()
    (tmp_path / "recipe-0" / "numbers.txt").write_text("3 5 7")
    code = """
        from pathlib import Path

        def load_examples(location, times):
            for word in Path(location).read_text().split():
                yield {"x": int(word) * times}
        """
    result = ingest(code, location="numbers.txt", params={"times": 2}, split_ratios=(1.0, 0.0, 0.0))
    batch = next(iter(read_dataset(result.output, "train", 8)))
    assert batch.numpy().tolist() == [6, 10, 14]


def test_a_feature_that_varies_in_shape_is_said(ingest: Any, events: list[Any]) -> None:
    code = """
        def load_examples():
            for number in range(6):
                yield {"words": [1.0] * (3 + number % 2), "fixed": [1.0, 2.0]}
        """
    result = ingest(code, split_ratios=(1.0, 0.0, 0.0))
    said = [e.text for e in events if isinstance(e, Message) and e.level == "info"]
    assert len(said) == 1
    assert "'words' varies in shape (varies): its batches are padded" in said[0]
    assert said[0] in [part.text for part in result.card.parts if isinstance(part, Text)]


def test_text_labels_become_sorted_class_names(ingest: Any) -> None:
    code = (
        'def load_examples():\n    for n in range(30): yield {"x": n, "y": ["dog", "cat"][n % 2]}'
    )
    result = ingest(code, label="y")
    assert read_manifest(result.output.manifest).schema.labels["y"].class_names == ("cat", "dog")
    assert set(labels_of(result, "train")) == {0, 1}


def test_a_split_that_got_nothing_is_told(ingest: Any, events: list[Any]) -> None:
    result = ingest(NUMBERS, label="label", params={"count": 1})
    warnings = [event.text for event in events if isinstance(event, Message)]
    assert len(warnings) == 2
    assert sum(result.output.counts.values()) == 1


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def load_examples(): yield from ()", "yields no examples"),
        ("def load_examples(): return 5", "gives no stream"),
        ("def load_examples(): yield 5", "Example 1 is no dict"),
        (
            'def load_examples():\n yield {"label": 1}\n yield {"label": 1.5}',
            "Example 2: .* 'label'",
        ),
        ('def load_examples(): yield {"label": float("nan")}', "Example 1: .* not finite"),
        ('def load_examples(): yield {"x": 1}', "lacks the label 'label'"),
        ('CLASS_NAMES = ("a",)\ndef load_examples(): yield {"label": 1}', "no declared class"),
        ('CLASS_NAMES = ("a",)\ndef load_examples(): yield {"label": "b"}', "no declared class"),
    ],
)
def test_unfit_data_are_told_with_the_example(ingest: Any, code: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        ingest(code, label="label")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def load_example(): ...", "no function load_examples"),
        ("def load_examples(count): ...", "missing a required argument: 'count'"),
        ('CLASS_NAMES = "ab"\ndef load_examples(): yield {"label": 1}', "CLASS_NAMES"),
    ],
)
def test_unfit_code_is_told(ingest: Any, code: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ingest(code, label="label")


def test_an_error_of_the_generator_is_told_how_far_it_was(ingest: Any) -> None:
    code = 'def load_examples():\n    yield {"label": 1}\n    raise ValueError("broken row")'
    with pytest.raises(ValueError, match="broken row") as caught:
        ingest(code, label="label")
    assert "after it had yielded 1 examples" in caught.value.__notes__[0]


def test_a_location_where_nothing_is_is_told(ingest: Any) -> None:
    with pytest.raises(DataError, match=r"no data at ingest\.location"):
        ingest("def load_examples(location): ...", location="nowhere.csv")


@pytest.mark.parametrize(
    ("location", "inputs"),
    [
        (None, ()),
        ("s3://bucket/data", ()),
        ("data/all.csv", (Path("data/all.csv"),)),
        ("data/part-*/x.csv", (Path("data/part-*/x.csv"),)),
        ("*.csv", (Path("*.csv"),)),
    ],
)
def test_a_local_location_is_an_input_of_the_step(location: Any, inputs: Any) -> None:
    assert IngestStep(IngestConfig(location=location)).inputs() == inputs


def test_the_generator_is_needed_unless_the_data_are_there() -> None:
    needed = {"steps/ingest.py": ("load_examples",)}
    assert IngestStep(IngestConfig()).needed_functions() == needed
    assert IngestStep(IngestConfig(using="tfrecord", location="x")).needed_functions() == {}


def test_the_door_opens_without_tensorflow() -> None:
    code = "import sys, mlflow_tfconv.steps.ingest.step; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
