from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.data.batches import feature_batches, input_features, labelled_batches
from mlflow_tfconv.errors import ConfigError, DataError

PIXELS = TensorSpec(name="pixels", dtype="float32", shape=(None, 2, 2))
X = TensorSpec(name="x", dtype="int32", shape=(None,))


@pytest.fixture
def manifest(write_dataset: Any) -> Any:
    return write_dataset(
        {"pixels": np.full((2, 2), number, "uint8"), "x": number, "label": number}
        for number in range(40)
    )


def values(batches: Any) -> list[int]:
    return [int(value) for batch in batches for value in batch["x"]]


def test_batches_have_the_names_and_types_of_the_inputs(manifest: Any) -> None:
    batches = list(feature_batches(manifest, "train", batch_size=16, inputs=(PIXELS, X)))
    assert [batch["pixels"].shape for batch in batches] == [(16, 2, 2), (16, 2, 2), (8, 2, 2)]
    assert batches[0]["pixels"].dtype == np.float32
    assert batches[0]["x"].dtype == np.int32
    assert values(batches) == list(range(40))


def test_labels_come_with_their_inputs(manifest: Any) -> None:
    batches = labelled_batches(manifest, "train", batch_size=16, inputs=(X,), limit=5)
    inputs, label = next(batches)
    assert inputs["x"].tolist() == label.tolist() == [0, 1, 2, 3, 4]
    assert next(batches, None) is None


def test_a_seeded_sample_is_drawn_from_all_of_the_split(manifest: Any) -> None:
    def draw(seed: int) -> list[int]:
        return values(
            feature_batches(manifest, "train", batch_size=4, inputs=(X,), limit=10, seed=seed)
        )

    assert draw(1) == draw(1) != draw(2)
    assert len(set(draw(1))) == 10
    assert max(draw(1)) >= 30


def test_a_limit_beyond_the_split_gives_all(manifest: Any) -> None:
    batches = feature_batches(manifest, "train", batch_size=64, inputs=(X,), limit=99, seed=0)
    assert values(batches) == list(range(40))


def test_an_input_map_names_the_feature_of_an_input(manifest: Any) -> None:
    inputs = (TensorSpec(name="serving_default_a", dtype="float32", shape=(None,)),)
    feature_map = {"serving_default_a": "x"}
    batch = next(
        feature_batches(manifest, "train", batch_size=3, inputs=inputs, input_map=feature_map)
    )
    assert batch["serving_default_a"].tolist() == [0.0, 1.0, 2.0]


def test_one_input_and_one_feature_need_no_map(write_dataset: Any) -> None:
    schema = write_dataset([{"image": np.zeros(3), "label": 1}]).schema
    inputs = (TensorSpec(name="input_1", dtype="float32", shape=(None, 3)),)
    assert input_features(schema, inputs) == {"input_1": "image"}


@pytest.mark.parametrize(
    ("inputs", "feature_map", "says"),
    [
        ((TensorSpec(name="other", dtype="int32", shape=(None,)),), None, "No feature 'other'"),
        ((X,), {"x": "nothing"}, "No feature 'nothing'"),
        ((X,), {"y": "x"}, "no input 'y'"),
        ((PIXELS,), {"pixels": "x"}, "does not fit"),
        ((TensorSpec(name="x", dtype="string", shape=(None,)),), None, "does not fit"),
    ],
)
def test_an_input_that_can_not_be_fed_is_told(
    manifest: Any, inputs: Any, feature_map: Any, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        input_features(manifest.schema, inputs, feature_map)


def test_an_empty_split_is_told(manifest: Any) -> None:
    with pytest.raises(DataError, match="no examples"):
        list(feature_batches(manifest, "validation", batch_size=1, inputs=(X,)))
