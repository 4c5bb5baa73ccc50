"""A dataset as MLflow's lineage knows it, from its manifest alone: no example is read.

`mlflow.data.from_tensorflow` would read the whole stream (mlflow #9600).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlflow_tfconv.data.manifest import read_manifest
from mlflow_tfconv.data.schema import FeatureSpec


def dataset_input(manifest_path: Path, name: str, context: str) -> Any:
    """An `mlflow.entities.DatasetInput`.

    Args:
        manifest_path: manifest.json.
        name: What the dataset is called in the UI.
        context: What it was used for, such as "training".
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    manifest = read_manifest(manifest_path)
    schema = {
        "features": json.dumps(list(_fields(manifest.schema.inputs))),
        "targets": json.dumps(list(_fields(manifest.schema.labels)))
        if manifest.schema.label
        else None,
    }
    dataset = Dataset(
        name=name,
        digest=manifest.digest,
        source_type="local",
        source=json.dumps({"uri": str(manifest_path)}),
        schema=json.dumps({"mlflow_tensorspec": schema}),
        profile=json.dumps({f"num_{split}": count for split, count in manifest.counts.items()}),
    )
    return DatasetInput(dataset, tags=[InputTag("mlflow.data.context", context)])


def _fields(features: Mapping[str, FeatureSpec]) -> Iterable[dict[str, Any]]:
    """MLflow's JSON of a tensor schema; the batch comes first and varies."""
    for name, spec in features.items():
        shape = [-1, *(-1 if size is None else size for size in spec.shape)]
        dtype = "str" if spec.dtype == "string" else spec.dtype
        yield {"name": name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}
