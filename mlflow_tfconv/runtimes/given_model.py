"""Models as a caller has them: paths, variants, live Keras models. Imports no library."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from mlflow_tfconv.arguments import in_short, path_of
from mlflow_tfconv.artifacts import Checkpoint, ConvertedModel, Variant
from mlflow_tfconv.errors import ConfigError


def is_live_model(model: Any) -> bool:
    """Whether it is a `keras.Model`; whoever has one has imported Keras."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Model)


def model_path(model: Any, expected: str) -> Path:
    """The path of a model that is a file or folder.

    Raises:
        ConfigError: It is none.
    """
    if isinstance(model, Checkpoint | Variant):
        return model.path
    if isinstance(model, str | os.PathLike):
        return path_of(model, "The model")
    raise ConfigError(
        "This is no model that can be used here: neither a path nor a Keras 3 model.",
        received=in_short(model),
        expected=expected,
        fix=_several_files(model)
        if isinstance(model, ConvertedModel)
        else "Name its file. Save a model of tf_keras with model.export(PATH) and name the folder.",
    )


def _several_files(model: ConvertedModel) -> str:
    files = {".saved_model": model.saved_model, ".onnx": model.onnx, ".source": model.source}
    named = [name for name, path in files.items() if path is not None]
    return f"A ConvertedModel is several files: name one of {', '.join(named)}."
