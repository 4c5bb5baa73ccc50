"""Examples: stored batches come back as they were, and fit the batch sizes to be timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import BenchmarkError
from mlflow_tfconv.steps.benchmark.examples import (
    made_up,
    of_size,
    random_batch,
    split_to,
    store_batch,
    stored_batches,
    timing_batches,
)
from mlflow_tfconv.steps.benchmark.stored_examples import opened_examples, store_pairs


def test_batches_come_back_in_their_order_whatever_the_inputs_are_called(tmp_path: Path) -> None:
    for number in range(12):
        store_batch(tmp_path, number, {"file": np.full(2, number)})
    assert [batch["file"][0] for batch in stored_batches(tmp_path)] == list(range(12))


def test_text_comes_back_as_objects(tmp_path: Path) -> None:
    store_batch(tmp_path, 0, {"t": np.array([b"gr\xc3\xbcn", b""], dtype=object)})
    (batch,) = stored_batches(tmp_path)
    assert batch["t"].dtype == object
    assert list(batch["t"]) == ["grün", ""]


def test_labels_come_back_alone_or_by_name(tmp_path: Path) -> None:
    alone, named = tmp_path / "alone", tmp_path / "named"
    batch = {"x": np.zeros((2, 3))}
    for folder, label in ((alone, np.array([1, 2])), (named, {"a/b": np.array([3, 4])})):
        folder.mkdir()
        store_pairs(folder, [(batch, label), (batch, label)])
    assert list(opened_examples(alone).labels) == [1, 2, 1, 2]
    labels = opened_examples(named).labels
    assert isinstance(labels, dict)
    assert list(labels["a/b"]) == [3, 4, 3, 4]
    assert opened_examples(named).count == 4


def test_batches_to_be_timed_differ_and_are_full() -> None:
    stored = [{"x": np.arange(n, n + 4)} for n in range(0, 400, 4)]
    few = timing_batches(stored, 6)
    assert len(few) == 8
    assert list(few[1]["x"]) == [4, 5, 6, 7, 4, 5]


def test_without_examples_nothing_can_be_timed() -> None:
    with pytest.raises(BenchmarkError, match="no examples"):
        timing_batches([], 1)


def test_a_batch_is_cut_and_filled() -> None:
    batch = {"x": np.arange(5)}
    assert [list(piece["x"]) for piece in split_to(batch, 2)] == [[0, 1], [2, 3], [4]]
    assert list(of_size(batch, 7)["x"]) == [0, 1, 2, 3, 4, 0, 1]


def test_made_up_inputs_are_the_same_each_time_and_of_the_right_type() -> None:
    specs = (
        TensorSpec(name="x", dtype="float32", shape=(None, 3)),
        TensorSpec(name="ids", dtype="int64", shape=(None, 2)),
    )
    batch = random_batch(specs, 4)
    assert batch["x"].dtype == np.float32
    assert set(np.unique(batch["ids"])) <= {0, 1}
    assert np.array_equal(batch["x"], random_batch(specs, 4)["x"])


def test_sizes_that_vary_are_made_up_and_told() -> None:
    specs = (
        TensorSpec(name="ids", dtype="int64", shape=(None, None)),
        TensorSpec(name="image", dtype="float32", shape=(None, None, None, 3)),
        TensorSpec(name="x", dtype="float32", shape=(None, 4)),
    )
    batch = random_batch(specs, 2)
    assert batch["ids"].shape == (2, 8)
    assert batch["image"].shape == (2, 32, 32, 3)
    assert made_up(specs) == "ids (batch, 8), image (batch, 32, 32, 3), x (batch, 4)"
    assert made_up(specs * 2).endswith("ids (batch, 8) and 2 more")


def test_tables_rates_and_texts_are_made_up_as_they_are_taken() -> None:
    specs = (
        TensorSpec(name="table", dtype="float16", shape=(3, 2)),
        TensorSpec(name="rate", dtype="float32", shape=()),
        TensorSpec(name="text", dtype="string", shape=(None,)),
    )
    batch = random_batch(specs, 5)
    assert [value.shape for value in batch.values()] == [(3, 2), (), (5,)]
    assert all(isinstance(text, str) for text in batch["text"])
    assert made_up(specs) == "table (3, 2), rate (), text (batch)"


def test_types_that_numpy_lacks_are_told() -> None:
    with pytest.raises(BenchmarkError, match="numpy lacks it"):
        random_batch((TensorSpec(name="x", dtype="float8e4m3fn", shape=(None, 2)),), 1)
