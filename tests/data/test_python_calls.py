from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from mlflow_tfconv.data.framing import framed
from mlflow_tfconv.data.manifest import Manifest, write_manifest
from mlflow_tfconv.data.rows import row_bytes, row_of, rows_per_record
from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.data.shards import ShardFile

SCHEMA = Schema(
    features={"x": FeatureSpec("uint8", (40_000,), encoding="raw"), "label": FeatureSpec("int64")},
    label=("label",),
    layout="block",
)
HALF_READ = """
import sys
from mlflow_tfconv.data.reading import read_dataset
batches = iter(read_dataset(sys.argv[1], "train", 256, shuffle=True, seed=1).repeat())
for _ in range(20):
    features, _ = next(batches)
print(features.shape)
"""


def test_a_program_ends_that_has_read_half_of_a_stream(tmp_path: Path) -> None:
    folder = blocks(tmp_path, 600)
    script = tmp_path / "half.py"
    script.write_text(HALF_READ)
    command = [sys.executable, str(script), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(256, 40000)"
    assert "StopIteration" not in done.stderr


def blocks(folder: Path, count: int) -> Path:
    """A split of so many examples, in one shard."""
    example = {"x": np.zeros(40_000, np.uint8), "label": np.array(0)}
    row, each = row_of(example), rows_per_record(row_bytes(SCHEMA))
    with ShardFile(folder / "train-00000", "") as file:
        for first in range(0, count, each):
            file.write(framed(row * min(each, count - first)))
        shard = file.finish(count, 0)
    write_manifest(Manifest(schema=SCHEMA, splits={"train": (shard,)}, folder=folder), folder)
    return folder
