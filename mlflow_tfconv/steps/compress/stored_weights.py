"""The weights that are stored in a model file of any format, read without loading the model."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from mlflow_tfconv.steps.compress.onnx_files import read_onnx
from mlflow_tfconv.steps.compress.onnx_weights import constants_of, dtype_name, graphs_of

_NOT_WEIGHTS = ("optimizer", "_optimizer", "save_counter", "_CHECKPOINTABLE_OBJECT_GRAPH")


@dataclass(frozen=True, slots=True)
class StoredWeight:
    """An array in a model file.

    Attributes:
        name: As the file calls it.
        dtype: Its numpy name.
        array: The values.
        zero: The value that stands for zero (integers may be shifted).
    """

    name: str
    dtype: str
    array: np.ndarray[Any, Any]
    zero: float = 0.0


def stored_weights(path: Path, format: str) -> Iterator[StoredWeight]:  # noqa: A002
    """The weights in a "keras", "saved_model" or "onnx" file; the optimizer's are left out."""
    return _READERS[format](path)


def _onnx(path: Path) -> Iterator[StoredWeight]:
    model = read_onnx(path)
    zeros = _zero_points(model)
    for tensor in constants_of(model):
        if tensor.data_type != TensorProto.STRING:
            array = numpy_helper.to_array(tensor)
            yield StoredWeight(tensor.name, dtype_name(tensor), array, zeros.get(tensor.name, 0.0))


def _zero_points(model: ModelProto) -> dict[str, float]:
    """Integer weights that have one zero point for all their values, to that zero point.

    ONNX Runtime's quantizer calls them `<weight>_quantized` and `<weight>_zero_point`.
    """
    stored = {t.name: t for g in graphs_of(model.graph) for t in g.initializer}
    found: dict[str, float] = {}
    for name in stored:
        point = stored.get(f"{name.removesuffix('_quantized')}_zero_point")
        if point is not None and name.endswith("_quantized"):
            values = np.unique(numpy_helper.to_array(point))
            found |= {name: float(values[0])} if values.size == 1 else {}
    return found


def _keras(path: Path) -> Iterator[StoredWeight]:
    if not zipfile.is_zipfile(path):
        yield from _hdf5(path)
        return
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        names = [name for name in archive.namelist() if name.endswith(".weights.h5")]
        for name in names:
            yield from _hdf5(Path(archive.extract(name, folder)))


def _hdf5(path: Path) -> Iterator[StoredWeight]:
    found: list[StoredWeight] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith(("optimizer", "_optimizer")):
            found.append(StoredWeight(name, item.dtype.name, item[()]))

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    yield from found


def _saved_model(path: Path) -> Iterator[StoredWeight]:
    import tensorflow as tf  # the only format whose weights need it

    if not (path / "variables" / "variables.index").is_file():
        return
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    for name, dtype in sorted(reader.get_variable_to_dtype_map().items()):
        if (
            not name.startswith(_NOT_WEIGHTS)
            and dtype != tf.string
            and "OPTIMIZER_SLOT" not in name
        ):
            yield StoredWeight(name, str(dtype.name), reader.get_tensor(name))


_READERS = {"keras": _keras, "onnx": _onnx, "saved_model": _saved_model}
