"""Runs a signature of a SavedModel in TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.device import Device, apply_to_tensorflow
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.names import tidy_name
from mlflow_tfconv.runtimes.runtime import Runtime
from mlflow_tfconv.runtimes.saved_model_safety import refuse_unsafe_saved_model

DEFAULT_SIGNATURE = "serving_default"


class SavedModelRuntime(Runtime):
    """A SavedModel and one of its signatures."""

    def __init__(
        self, path: Path, *, device: Device = Device(), signature: str | None = None
    ) -> None:
        """Loads the SavedModel.

        Args:
            path: The folder that holds saved_model.pb.
            device: Where to compute.
            signature: Its name; None takes `serving_default`, or the only one there is.

        Raises:
            ConversionError: It can't be loaded, holds unsafe operations, or has no such signature.
        """
        apply_to_tensorflow(device)
        self.path = path
        self.model = loaded_saved_model(path)
        self.function = signature_of(self.model, path, signature)
        self._keys = {tidy_name(spec.name): spec.name for spec in _input_specs(self.function)}
        self.inputs = tuple(tensor_spec(spec.name, spec) for spec in _input_specs(self.function))
        outputs = self.function.structured_outputs
        self.outputs = tuple(tensor_spec(name, outputs[name]) for name in sorted(outputs))

    def predict(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Output name to array."""
        fed = {self._keys[name]: tf.convert_to_tensor(value) for name, value in batch.items()}
        return {tidy_name(name): value.numpy() for name, value in self.function(**fed).items()}

    def close(self) -> None:
        """Lets go of the model's variables."""
        del self.model, self.function


def loaded_saved_model(path: Path) -> Any:
    """The object that `tf.saved_model.load` gives, after a look at what it would execute.

    Raises:
        ConversionError: The folder is damaged or incomplete, or it holds unsafe operations.
    """
    refuse_unsafe_saved_model(path)
    try:
        return tf.saved_model.load(str(path))
    except (OSError, ValueError, tf.errors.OpError, KeyError) as error:
        raise ConversionError(
            "TensorFlow can't load this SavedModel.",
            received=f"{path}: {str(error).splitlines()[0]}",
            fix="Check that saved_model.pb, variables/variables.index and all "
            "variables/variables.data-* files were copied completely.",
        ) from error


def signature_of(model: Any, path: Path, name: str | None) -> Any:
    """A signature of a loaded SavedModel, as a concrete function.

    Raises:
        ConversionError: There is none, there are several and none is `serving_default`, or there
            is none of that name.
    """
    signatures = dict(model.signatures)
    chosen = name or (DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in signatures else None)
    if chosen is None and len(signatures) == 1:
        chosen = next(iter(signatures))
    if chosen not in signatures:
        raise ConversionError(
            "This SavedModel does not have the signature to run."
            if chosen
            else "It can't be told which signature of this SavedModel is the model.",
            received=f"{path} with signatures: {', '.join(sorted(signatures)) or 'none'}",
            expected=chosen or DEFAULT_SIGNATURE,
            fix=f'Save it with `signatures={{"{DEFAULT_SIGNATURE}": function}}`.',
        )
    return signatures[chosen]


def tensor_spec(name: str, tensor: Any) -> TensorSpec:
    """Ours from a tf.TensorSpec or a tensor of a graph."""
    shape = (None,) if tensor.shape.rank is None else tuple(tensor.shape.as_list())
    return TensorSpec(name=tidy_name(name), dtype=tensor.dtype.name, shape=shape)


def _input_specs(function: Any) -> list[Any]:
    keywords = function.structured_input_signature[1]
    return [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in sorted(keywords.items())]
