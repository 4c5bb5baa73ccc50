"""Which file reads which format. A new format is a new row here and a new file."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.formats.known_formats import FORMATS
from mlflow_tfconv.sources.chosen_source import ChosenSource, chosen_source
from mlflow_tfconv.sources.options import SourceOptions

#: Format to the file that reads it and the function of the same name in it, which takes the path,
#: the `SourceOptions` and `device`, and gives a `Traced`.
READERS = {
    "keras": "traced_from_keras",
    "keras_h5": "traced_from_keras",
    "weights_h5": "traced_from_keras",
    "keras_json": "traced_from_keras",
    "keras_yaml": "traced_from_keras",
    "saved_model": "traced_from_saved_model",
    "exports_folder": "traced_from_saved_model",
    "tf_checkpoint": "traced_from_graph",
    "tf_checkpoint_v1": "traced_from_graph",
    "tf_checkpoint_folder": "traced_from_graph",
    "meta_graph": "traced_from_graph",
    "graph_def": "traced_from_graph",
    "graph_text": "traced_from_graph",
    "object_checkpoint": "traced_from_object_checkpoint",
    "darknet_weights": "traced_from_darknet",
    "darknet_cfg": "traced_from_darknet",
    "archive": "traced_from_archive",
}


def traced_from_source(
    path: Path,
    *,
    options: SourceOptions = SourceOptions(),
    device: Device,
    model: Any = None,
) -> Traced:
    """Reads a model of any format that is known.

    Args:
        path: The file, folder or checkpoint prefix; `archive.zip!model.h5` is a file in an archive.
        options: What the user says about what the files leave open.
        device: Where to compute.
        model: A live `keras.Model`, which is then read instead of `path`.

    Raises:
        ConversionError: Nobody reads this format, or its reader refuses or can't read the file.
    """
    if model is not None:
        from mlflow_tfconv.exporters.traced_from_keras import traced_from_keras

        return traced_from_keras(path, options, device=device, model=model)
    chosen = chosen_source(path, options)
    traced: Traced = _reader(chosen)(chosen.path, chosen.options, device=device)
    return replace(
        traced,
        source_format=traced.source_format or chosen.format,
        choices=(*chosen.choices, *traced.choices),
        warnings=(*chosen.warnings, *traced.warnings),
    )


def _reader(chosen: ChosenSource) -> Any:
    name = READERS.get(chosen.format)
    if chosen.format in _BUILT and callable(chosen.options.architecture):
        name = "traced_from_built"
    if name is not None:
        return getattr(import_module(f"mlflow_tfconv.exporters.{name}"), name)
    raise ConversionError(
        f"This format can't be converted: {FORMATS[chosen.format]}.",
        received=str(chosen.path),
        expected=" or ".join(FORMATS[name] for name in READERS),
        fix=_ADVICE.get(chosen.format, "Save the model where it was made, as a SavedModel."),
    )


#: Weights that a function of the user may build the model for.
_BUILT = (
    "weights_h5",
    "keras_h5",
    "object_checkpoint",
    "tf_checkpoint",
    "tf_checkpoint_v1",
    "tf_checkpoint_folder",
)

_ADVICE = {
    "onnx": "It is an ONNX model already: compress and benchmark take it as it is.",
}
