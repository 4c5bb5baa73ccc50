"""Statistics on disk: plain values and the arrays of a few samples, in one file."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.data.values import is_text
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.samples import Sample, Samples


def write_with_samples(plain: dict[str, Any], samples: Samples, path: Path) -> None:
    """Writes an .npz of two members: JSON, and the bytes of all arrays one after the other."""
    blobs: list[bytes] = []
    described = [
        [f"{digest:x}", {name: _described(array, blobs) for name, array in sample.items()}]
        for digest, sample in samples.items()
    ]
    text = json.dumps({**plain, "samples": described}).encode()
    with path.open("wb") as file:
        np.savez(
            file,
            plain=np.frombuffer(text, np.uint8),
            arrays=np.frombuffer(b"".join(blobs), np.uint8),
        )


def read_with_samples(path: Path) -> tuple[dict[str, Any], Samples]:
    """The inverse of `write_with_samples`.

    Raises:
        DataError: The file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            plain, blob = json.loads(data["plain"].tobytes()), data["arrays"].tobytes()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as e:
        raise DataError(
            "The statistics of a part of the data can't be read.",
            received=f"{path}: {type(e).__name__}: {e}",
            fix="Delete this file and ingest again.",
        ) from e
    kept: dict[int, Sample] = {}
    position = 0
    for digest, described in plain.pop("samples"):
        sample = kept[int(digest, 16)] = {}
        for name, (dtype, shape, sizes) in described.items():
            end = position + sum(sizes)
            sample[name] = _array(dtype, tuple(shape), sizes, blob[position:end])
            position = end
    return plain, Samples.of(kept)


def _described(array: np.ndarray[Any, Any], blobs: list[bytes]) -> list[Any]:
    parts = list(array.flat) if is_text(array) else [array.tobytes()]
    blobs.extend(parts)
    dtype = "string" if is_text(array) else array.dtype.str
    return [dtype, list(array.shape), [len(part) for part in parts]]


def _array(
    dtype: str, shape: tuple[int, ...], sizes: list[int], data: bytes
) -> np.ndarray[Any, Any]:
    if dtype != "string":
        return np.frombuffer(data, np.dtype(dtype)).reshape(shape)
    texts = np.empty(len(sizes), dtype=object)
    position = 0
    for index, size in enumerate(sizes):
        texts[index] = data[position : position + size]
        position += size
    return texts.reshape(shape)
