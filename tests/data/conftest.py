"""Small datasets in shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.data.examples import serialized_example
from mlflow_tfconv.data.inference import SchemaInference
from mlflow_tfconv.data.manifest import Manifest, write_manifest
from mlflow_tfconv.data.shards import ShardWriter

WriteDataset = Callable[..., Manifest]


@pytest.fixture
def write_dataset(tmp_path: Path) -> WriteDataset:
    """Writes examples into a split "train" (shards of about 1 KB) and gives the manifest."""

    def write(
        examples: Iterable[dict[str, Any]],
        *,
        label: tuple[str, ...] = ("label",),
        class_names: dict[str, tuple[str, ...]] | None = None,
        shard_bytes: int = 1000,
        folder: str = "dataset",
    ) -> Manifest:
        home = tmp_path / folder
        home.mkdir()
        inference = SchemaInference(label)
        with ShardWriter(home, "train", shard_bytes) as writer:
            for number, example in enumerate(examples, start=1):
                writer.write(serialized_example(inference.check(example, f"Example {number}")))
        shards = {"train": writer.shards, "validation": ()}
        manifest = Manifest(schema=inference.schema(class_names), splits=shards, folder=home)
        write_manifest(manifest, home)
        return manifest

    return write
