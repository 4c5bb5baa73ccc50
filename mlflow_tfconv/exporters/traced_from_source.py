"""Which file reads which format. A new format is a new row here and a new file."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.formats import FORMATS, recognised

#: Format to the file that reads it and the function of the same name in it.
READERS = {
    "keras": "traced_from_keras",
    "keras_h5": "traced_from_keras",
    "saved_model": "traced_from_saved_model",
}


def traced_from_source(path: Path, *, device: Device, model: Any = None) -> Traced:
    """Reads a model of any format that is known.

    Args:
        path: The file, folder or checkpoint prefix.
        device: Where to compute.
        model: A live `keras.Model`, which is then read instead of `path`.

    Raises:
        ConversionError: Nobody reads this format, or its reader refuses or can't read the file.
    """
    kind, place = "keras", path
    if model is None:
        found = recognised(path)
        kind, place = found.format, found.path
    if kind not in READERS:
        raise ConversionError(
            f"This format can't be converted: {recognised(path)}.",
            received=str(path),
            expected=" or ".join(FORMATS[name] for name in READERS),
            fix=_ADVICE.get(kind, "Load the model where it was made, and save it as a SavedModel."),
        )
    reader = getattr(import_module(f"mlflow_tfconv.exporters.{READERS[kind]}"), READERS[kind])
    traced: Traced = reader(place, device=device, model=model)
    return traced


_ADVICE = {
    "onnx": "It is an ONNX model already: compress and benchmark take it as it is.",
    "weights_h5": "Build the model in Python, load these weights into it, and save it as .keras.",
    "keras_json": "Build the model with keras.models.model_from_json, load its weights, and save "
    "it as .keras.",
    "archive": "Unpack the archive and name the model in it.",
}
