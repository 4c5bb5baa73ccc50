"""What class numbers mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.data.manifest import Manifest, write_manifest
from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.steps.benchmark.class_names import class_names_of

ANIMALS = FeatureSpec(dtype="string", class_names=("cat", "dog"))
NUMBER = FeatureSpec(dtype="float32")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [({"y": ANIMALS}, ("cat", "dog")), ({"y": NUMBER}, None), ({"y": ANIMALS, "z": NUMBER}, None)],
)
def test_the_only_label_of_the_dataset_names_its_classes(
    labels: dict[str, FeatureSpec], expected: tuple[str, ...] | None, tmp_path: Path
) -> None:
    schema = Schema(features={"x": NUMBER, **labels}, label=tuple(labels))
    file = write_manifest(Manifest(schema=schema, splits={}, folder=tmp_path), tmp_path)
    assert class_names_of(Dataset(manifest=file, digest="", counts={})) == expected


def test_without_a_dataset_there_are_no_names() -> None:
    assert class_names_of(None) is None
