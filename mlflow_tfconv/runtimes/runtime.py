"""One way to load a model file of any format and to predict a batch with it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import numpy as np

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import ConversionError, TfconvError
from mlflow_tfconv.formats.recognition import FORMATS, recognised

#: Format to the file and class that run it; imported when they are needed.
_RUNTIMES = {
    "keras": ("keras_runtime", "KerasRuntime"),
    "keras_h5": ("keras_runtime", "KerasRuntime"),
    "saved_model": ("saved_model_runtime", "SavedModelRuntime"),
    "onnx": ("onnx_runtime", "OnnxRuntime"),
}


class Runtime(ABC):
    """A loaded model.

    Attributes:
        path: Where it was loaded from.
        inputs: Its inputs; the first dimension of each is the batch.
        outputs: Its outputs.
    """

    path: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @abstractmethod
    def predict(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Output name to array, for one batch `{input_name: array of shape (batch, ...)}`.

        The arrays have the dtypes of `inputs`; nothing is cast on the way.
        """

    def call_for(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> Callable[[], object]:
        """Predicts the batch at each call, with nothing around it that a timing would hold."""
        return partial(self.predict, batch)

    def bound_call_for(
        self,
        batch: Mapping[str, np.ndarray[Any, Any]],  # noqa: ARG002 (for those that can)
    ) -> Callable[[], object] | None:
        """One inference of inputs that are on the device already, with outputs that stay there.

        It has ended when the call returns. None where this runtime or model can't.
        """
        return None

    def close(self) -> None:  # noqa: B027 (most runtimes have nothing to give back)
        """Gives back what the model holds; it can't predict afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def predicted(
    runtime: Runtime, batch: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, np.ndarray[Any, Any]]:
    """What the model gives for a batch that fits its inputs.

    Raises:
        ConversionError: It can't be run on it.
    """
    try:
        return runtime.predict(batch)
    except TfconvError:
        raise
    except Exception as error:  # each library raises many kinds of its own
        shapes = ", ".join(f"{name}: {array.dtype} {array.shape}" for name, array in batch.items())
        raise ConversionError(
            "The model can't be run on these samples.",
            received=f"{runtime.path} with {shapes}; {type(error).__name__}: {_in_one_line(error)}",
            fix="Give samples like those the model was trained on: of the same shape, and numbers "
            "such as words or classes within the range that it knows.",
        ) from error


def _in_one_line(error: Exception) -> str:
    """The first words of an error, without the colours of a terminal."""
    return " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())[:300]


def open_runtime(
    path: str | Path,
    format: str | None = None,  # noqa: A002 (the word that recipes and events use)
    *,
    device: Device = Device(),
    session_options: Mapping[str, Any] | None = None,
    trust: bool = False,
) -> Runtime:
    """Loads a Keras file, a SavedModel or an ONNX file, ready to predict.

    Args:
        path: The file, or the SavedModel's folder.
        format: "keras", "saved_model" or "onnx"; None tells it by the content.
        device: Where to compute.
        session_options: ONNX Runtime session options that the file must be loaded with; other
            formats take none.
        trust: Whether operations of a SavedModel that touch files or call Python may be run.

    Raises:
        ConversionError: The file can't be read, or is of a format that can't be run as it is.
        DeviceError: The device is not there or was not used.
    """
    path = Path(path)
    kind = format or recognised(path).format
    if kind not in _RUNTIMES:
        raise ConversionError(
            f"This model can't be run as it is: {FORMATS.get(kind, kind)}.",
            received=str(path),
            expected="a .keras file, a Keras .h5 file, a SavedModel folder or an ONNX file",
            fix="Convert it first: `tfconv convert PATH OUTPUT`.",
        )
    module, name = _RUNTIMES[kind]
    runtime = getattr(import_module(f"mlflow_tfconv.runtimes.{module}"), name)
    options: dict[str, Any] = {}
    if kind == "onnx":
        options["session_options"] = session_options
    elif kind == "saved_model":
        options["trust"] = trust
    return cast("Callable[..., Runtime]", runtime)(path, device=device, **options)
