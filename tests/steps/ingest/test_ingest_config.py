from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.ingest.config import IngestConfig


def read(**data: Any) -> IngestConfig:
    return TypeAdapter(IngestConfig).validate_json(json.dumps(data), strict=True)


def test_a_recipes_keys_are_read() -> None:
    config = read(
        using="tfrecord",
        location="data",
        label=["a", "b"],
        split_ratios=[0.5, 0.5, 0],
        features={"image": {"dtype": "uint8", "shape": [None, 8]}},
    )
    assert config.labels == ("a", "b")
    assert config.features["image"].shape == (None, 8)
    assert read(label="a").labels == ("a",)
    assert read().labels == ()


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="lable"):
        read(lable="digit")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"using": "costum"}, "Did you mean 'custom'"),
        ({"using": "excel"}, "csv, custom, image_folder"),
        ({"using": "tfrecord"}, "ingest.location names nothing"),
        ({"using": "csv", "location": ["a.csv", ""]}, "ingest.location names nothing"),
        ({"using": "tfrecord", "location": "x", "params": {"a": 1}}, "ingest.params"),
        ({"features": {"x": {"dtype": "int64"}}}, "ingest.features"),
        ({"features": {"x": {"dtype": "float"}}}, "dtype"),
        ({"features": {"x": {"dtype": "int64", "shape": [2, None]}}}, "first dimension"),
        ({"split_ratios": [0.8, 0.2]}, "three shares"),
        ({"split_ratios": [0.8, 0.3, 0.1]}, "the sum 1"),
        ({"split_ratios": [1.2, -0.1, -0.1]}, "split_ratios"),
        ({"shard_mb": 0}, "shard_mb"),
        ({"writers": 0}, "ingest.writers"),
        ({"max_errors": -1}, "ingest.max_errors"),
    ],
)
def test_what_can_not_be_used_says_what_can(data: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(**data)
    assert isinstance(caught.value.errors()[0]["ctx"]["error"], ConfigError)
    assert says in str(caught.value)


def test_a_step_class_of_the_users_own_may_be_named() -> None:
    assert read(using="steps.mine.MyIngest").using == "steps.mine.MyIngest"
