"""Runs a signature of a SavedModel in TensorFlow."""

from __future__ import annotations

import contextlib
import gc
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.device import Device, apply_to_tensorflow
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.names import tidy_name, tidy_names
from mlflow_tfconv.runtimes.runtime import Runtime
from mlflow_tfconv.runtimes.saved_model_safety import (
    parsed_saved_model,
    refuse_unsafe_saved_model,
    require_variables,
)
from mlflow_tfconv.runtimes.tensorflow_binding import bound_function

DEFAULT_SIGNATURE = "serving_default"


class SavedModelRuntime(Runtime):
    """A SavedModel and one of its signatures.

    Attributes:
        model: What `tf.saved_model.load` gives.
        signature: Name of the signature.
        function: It, as a concrete function.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: Device = Device(),
        signature: str | None = None,
        trust: bool = False,
    ) -> None:
        """Loads the SavedModel.

        Args:
            path: The folder that holds saved_model.pb.
            device: Where to compute.
            signature: Its name; None takes `serving_default`, or the only one there is.
            trust: Whether operations that touch files or call Python may be run.

        Raises:
            ConversionError: It can't be loaded, holds unsafe operations, or has no such signature.
        """
        self._placement = apply_to_tensorflow(device)
        self.path = path
        with tf.device(self._placement):
            self.model = loaded_saved_model(path, trust=trust)
        self.signature, self.function = signature_of(self.model, path, signature)
        keywords = dict(sorted(self.function.structured_input_signature[1].items()))
        self._keywords = {_input_name(key, spec): key for key, spec in keywords.items()}
        self.inputs = tuple(tensor_spec(_input_name(*item), item[1]) for item in keywords.items())
        outputs = self.function.structured_outputs
        self._output_names = dict(zip(sorted(outputs), tidy_names(sorted(outputs)), strict=True))
        self.outputs = tuple(
            tensor_spec(name, outputs[key]) for key, name in self._output_names.items()
        )

    def call(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Output name to tensor."""
        fed = {self._keywords[name]: tensor for name, tensor in tensors.items()}
        result = self.function(**fed)
        return {name: result[key] for key, name in self._output_names.items()}

    def predict(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Output name to array."""
        with tf.device(self._placement):
            tensors = {name: tf.convert_to_tensor(value) for name, value in batch.items()}
            return {name: value.numpy() for name, value in self.call(tensors).items()}

    def bound_call_for(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> Callable[[], object]:
        """The function called with tensors that are on its device."""
        return bound_function(self.call, batch, self._placement)

    def close(self) -> None:
        """Lets go of the model's variables."""
        del self.model, self.function
        gc.collect()  # a loaded SavedModel refers to itself


def loaded_saved_model(path: Path, *, trust: bool = False) -> Any:
    """The object that `tf.saved_model.load` gives, after a look at what it would execute.

    Args:
        path: The folder.
        trust: Whether it may be loaded without that look.

    Raises:
        ConversionError: The folder is damaged or incomplete, or it holds unsafe operations.
    """
    if trust:
        require_variables(path, parsed_saved_model(path))
    else:
        refuse_unsafe_saved_model(path)
    try:
        with _plain(path) as plain:
            return tf.saved_model.load(str(plain))
    except (OSError, ValueError, tf.errors.OpError, KeyError) as error:
        raise ConversionError(
            "TensorFlow can't load this SavedModel.",
            received=f"{path}: {str(error).splitlines()[0]}",
            fix="Check that saved_model.pb, variables/variables.index and all "
            "variables/variables.data-* files were copied completely.",
        ) from error


@contextlib.contextmanager
def _plain(path: Path) -> Iterator[Path]:
    """The folder under a path that TensorFlow does not take for a pattern of file names."""
    if not set(str(path)) & set("*?[]\\"):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="saved-model-") as folder:
        link = Path(folder) / "saved_model"
        link.symlink_to(path.resolve(), target_is_directory=True)
        yield link


def signature_of(model: Any, path: Path, name: str | None) -> tuple[str, Any]:
    """The name of a loaded SavedModel's signature, and it as a concrete function.

    Raises:
        ConversionError: There is none, there are several and none is `serving_default`, or there
            is none of that name.
    """
    signatures = dict(model.signatures)
    chosen = name or (DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in signatures else None)
    if chosen is None and len(signatures) == 1:
        chosen = next(iter(signatures))
    if chosen is None or chosen not in signatures:
        raise ConversionError(
            "This SavedModel does not have the signature to run."
            if chosen
            else "It can't be told which signature of this SavedModel is the model.",
            received=f"{path} with signatures: {', '.join(sorted(signatures)) or 'none'}",
            expected=chosen or DEFAULT_SIGNATURE,
            fix=f'Save it with `signatures={{"{DEFAULT_SIGNATURE}": function}}`.',
        )
    return chosen, signatures[chosen]


def tensor_spec(name: str, tensor: Any) -> TensorSpec:
    """Ours from a tf.TensorSpec or a tensor of a graph."""
    shape = (None,) if tensor.shape.rank is None else tuple(tensor.shape.as_list())
    return TensorSpec(name=tidy_name(name), dtype=tensor.dtype.name, shape=shape)


def _input_name(keyword: str, spec: Any) -> str:
    """The signature's own name of an input: TensorFlow makes Python keywords of them."""
    own = spec.name or keyword
    same = re.sub(r"\W", "_", own) == keyword.removeprefix("arg_")
    return tidy_name(own if same else keyword)
