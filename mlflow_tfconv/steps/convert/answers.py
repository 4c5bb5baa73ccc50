"""Examples and what the source answers to them, on disk: for processes that come later."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Batch = Mapping[str, Array]

_NAMES_FILE = "names.json"


@dataclass(frozen=True, slots=True)
class Answers:
    """A folder with one folder a batch.

    Attributes:
        folder: It; made when the first batch is added.
    """

    folder: Path

    def add(self, batch: Batch, answer: Batch) -> None:
        """Keeps an example batch and its outputs, as they are."""
        place = self.folder / f"{len(self):06}"
        place.mkdir(parents=True)
        _write(batch, place, "input")
        _write(answer, place, "output")

    def __len__(self) -> int:
        """Number of batches."""
        return len(list(self.folder.iterdir())) if self.folder.is_dir() else 0

    def __iter__(self) -> Iterator[tuple[Batch, Batch]]:
        """Each batch with its outputs, one at a time in memory."""
        for place in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            yield _read(place, "input"), _read(place, "output")


def _write(arrays: Batch, place: Path, kind: str) -> None:
    """Names are written apart: they may hold what no file name can."""
    (place / f"{kind}-{_NAMES_FILE}").write_text(json.dumps(list(arrays)))
    for number, array in enumerate(arrays.values()):
        _write_array(np.asarray(array), place / f"{kind}-{number}.npy")


def _read(place: Path, kind: str) -> Batch:
    names = json.loads((place / f"{kind}-{_NAMES_FILE}").read_text())
    return {name: _read_array(place / f"{kind}-{n}.npy") for n, name in enumerate(names)}


def _write_array(array: Array, path: Path) -> None:
    """Strings become lists of byte values: numpy would pickle them, and cut zeros at their end."""
    if array.dtype.kind in "OSU":
        texts = [_bytes(one) for one in array.astype(object).ravel()]
        plain = {"shape": array.shape, "texts": [text.hex() for text in texts]}
        path.with_suffix(".json").write_text(json.dumps(plain))
    elif array.dtype.kind == "V":  # bfloat16, which numpy has not of itself
        np.save(path, array.view(np.uint16), allow_pickle=False)
        path.with_suffix(".dtype").write_text(array.dtype.name)
    else:
        np.save(path, array, allow_pickle=False)


def _read_array(path: Path) -> Array:
    if path.with_suffix(".json").is_file():
        plain = json.loads(path.with_suffix(".json").read_text())
        array = np.empty(len(plain["texts"]), dtype=object)
        array[:] = [bytes.fromhex(text) for text in plain["texts"]]
        return array.reshape(plain["shape"])
    values: Array = np.load(path, allow_pickle=False)
    if path.with_suffix(".dtype").is_file():
        import ml_dtypes  # comes with TensorFlow and with onnx

        return values.view(getattr(ml_dtypes, path.with_suffix(".dtype").read_text()))
    return values


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
