from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.errors import ConfigError

LENGTHS = np.random.default_rng(0).integers(1, 100, 203)


@pytest.fixture
def manifest(write_dataset: Any) -> Manifest:
    """Sequences of 1 to 99 ones, with a mask that is as long; the label is the length."""
    found: Manifest = write_dataset(
        {"tokens": np.ones(n, "int32"), "mask": np.ones((n, 2), "float32"), "label": int(n)}
        for n in LENGTHS
    )
    return found


def padding(dataset: tf.data.Dataset) -> float:
    """The share of the batches that is padding."""
    batches = [features["tokens"].numpy() for features, _ in dataset]
    return 1 - sum(map(np.sum, batches)) / sum(batch.size for batch in batches)


@pytest.mark.parametrize("shuffle", [False, True])
def test_every_example_comes_once_and_little_is_padding(manifest: Any, shuffle: bool) -> None:
    dataset = read_dataset(manifest, "train", 16, shuffle=shuffle, bucket_by="tokens")
    lengths = [int(n) for _, label in dataset for n in label]
    assert sorted(lengths) == sorted(LENGTHS.tolist())
    assert padding(dataset) < 0.15 < padding(read_dataset(manifest, "train", 16))
    sizes = [len(label) for _, label in dataset]
    assert sizes == [16] * 12 + [11]
    assert len(dataset) == len(sizes)


def test_the_batches_are_in_a_random_order_that_the_seed_decides(manifest: Any) -> None:
    def longest(seed: int) -> list[int]:
        asked = {"shuffle": True, "seed": seed, "bucket_by": "tokens"}
        return [x["tokens"].shape[1] for x, _ in read_dataset(manifest, "train", 16, **asked)]

    assert longest(1) == longest(1) != longest(2)
    assert longest(1) != sorted(longest(1))


def test_batches_are_padded_to_the_boundaries(manifest: Any) -> None:
    asked = {"bucket_by": "tokens", "bucket_boundaries": (30, 60, 90)}
    for features, label in read_dataset(manifest, "train", 16, **asked):
        longest = int(label.numpy().max())
        width = next((b for b in (30, 60, 90) if b >= longest), longest)
        assert features["tokens"].shape == (len(label), width)
        assert features["mask"].shape == (len(label), width, 2)


def test_a_remainder_that_is_left_out_is_not_the_longest(manifest: Any) -> None:
    asked = {"shuffle": True, "bucket_by": "tokens", "drop_remainder": True}
    dataset = read_dataset(manifest, "train", 16, **asked)
    missing = list(LENGTHS)
    for _, label in dataset:
        for length in label.numpy():
            missing.remove(length)
    assert len(missing) == 11
    assert min(missing) < 60


def test_texts_are_bucketed_by_their_bytes(write_dataset: Any) -> None:
    manifest = write_dataset([{"text": "x" * n, "label": int(n)} for n in LENGTHS])
    dataset = read_dataset(manifest, "train", 16, bucket_by="text")
    spread = [np.ptp(label.numpy()) for _, label in dataset]
    assert np.median(spread) < 15


def test_lists_of_numbers_and_texts_are_bucketed_by_how_many_they_are(write_dataset: Any) -> None:
    manifest = write_dataset([{"words": ["a"] * n, "label": int(n)} for n in LENGTHS[:64]])
    assert manifest.schema.features["words"].encoding == "list"
    dataset = read_dataset(manifest, "train", 16, bucket_by="words")
    assert [words.shape[1] for words, _ in dataset] == sorted(w.shape[1] for w, _ in dataset)


@pytest.mark.parametrize(
    ("feature", "boundaries", "says"),
    [
        ("label", (), "Expected: tokens or mask"),
        ("x", (), "no such feature"),
        ("tokens", (3, 3), "rise"),
    ],
)
def test_what_can_not_be_bucketed_by_is_told(
    manifest: Any, feature: str, boundaries: tuple[int, ...], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        read_dataset(manifest, "train", 2, bucket_by=feature, bucket_boundaries=boundaries)
