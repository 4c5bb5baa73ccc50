from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.data.manifest import Manifest, Shard, write_manifest
from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.engine.events import DatasetUsed
from mlflow_tfconv.tracking.tracker import Tracker

pytestmark = pytest.mark.mlflow


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Of shards that are not even there: lineage reads no data."""
    schema = Schema(
        features={
            "image": FeatureSpec("float32", (8, 8, 1)),
            "digit": FeatureSpec("int64", (), ("zero", "one")),
        },
        label=("digit",),
    )
    shard = Shard(path="train-0", count=5, size_bytes=9, sha256="0", content="0" * 64)
    return write_manifest(Manifest(schema=schema, splits={"train": (shard,)}), tmp_path)


def test_the_dataset_is_in_the_lineage_without_being_read(
    make_tracker: Callable[..., Tracker], client: Any, manifest: Path
) -> None:
    tracker = make_tracker()
    run_id = tracker.start("m", fresh=True)
    tracker.step_done("ingest", "f", [DatasetUsed(manifest=manifest)])
    tracker.finish("FINISHED")
    (used,) = client.get_run(run_id).inputs.dataset_inputs
    schema = json.loads(used.dataset.schema)["mlflow_tensorspec"]
    assert used.dataset.name == "digits"
    assert used.dataset.digest == json.loads(manifest.read_text())["digest"]
    assert json.loads(schema["features"])[0]["tensor-spec"]["shape"] == [-1, 8, 8, 1]
    assert json.loads(schema["targets"])[0]["name"] == "digit"
    assert [(t.key, t.value) for t in used.tags] == [("mlflow.data.context", "training")]


def test_mlflow_reads_the_schema_as_one_of_its_own(manifest: Path) -> None:
    from mlflow.types import Schema as MlflowSchema

    from mlflow_tfconv.tracking.lineage import dataset_input

    entity = dataset_input(manifest, "digits", "training").dataset
    features = json.loads(entity.schema)["mlflow_tensorspec"]["features"]
    assert MlflowSchema.from_json(features).input_names() == ["image"]


def test_a_manifest_that_is_gone_is_told_and_stops_nothing(
    make_tracker: Callable[..., Tracker], tmp_path: Path
) -> None:
    tracker = make_tracker()
    tracker.start("m", fresh=True)
    tracker.step_done("ingest", "f", [DatasetUsed(manifest=tmp_path / "no/manifest.json")])
    tracker.finish("FINISHED")
    assert "lineage" in tracker.notes[0]
