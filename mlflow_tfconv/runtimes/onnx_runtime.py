"""Runs an ONNX file in ONNX Runtime. Needs numpy and onnxruntime, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.device import Device, onnxruntime_session
from mlflow_tfconv.errors import ConversionError, TfconvError
from mlflow_tfconv.runtimes.onnx_binding import (
    CapturedRuns,
    bound_run,
    can_be_bound,
    not_capturable,
)
from mlflow_tfconv.runtimes.runtime import Runtime

#: ONNX Runtime's names of types that differ from numpy's.
_DTYPES = {"float": "float32", "double": "float64"}
#: What ONNX Runtime says of a model that CUDA graphs can't hold (inference_session.cc).
_NOT_CAPTURED = "cannot use the graph capture feature"


class OnnxRuntime(Runtime):
    """An ONNX file in an inference session.

    Attributes:
        session: The `onnxruntime.InferenceSession`.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: Device = Device(),
        session_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Opens the session.

        Raises:
            ConversionError: ONNX Runtime refuses the file.
            DeviceError: ONNX Runtime would compute on another device than asked for.
        """
        self.path, self._device = path, device
        self.session = _session(path, device, session_options)
        self.inputs = tuple(_spec(value) for value in self.session.get_inputs())
        self.outputs = tuple(_spec(value) for value in self.session.get_outputs())
        self._output_names = [spec.name for spec in self.outputs]
        graphs = device.kind != "cpu" and device.options.cuda_graphs
        self._captured = CapturedRuns(self.session, device) if graphs else None

    def predict(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Output name to array."""
        if self._captured is not None:  # a plain run would replay a graph on what it was fed before
            return self._captured.predict(batch)
        values = self.session.run(self._output_names, dict(batch))
        return dict(zip(self._output_names, values, strict=True))

    def call_for(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> Callable[[], object]:
        """The session's own call: naming the outputs takes a tenth of a small model's time."""
        if self._captured is not None:
            return partial(self._captured.predict, batch)
        run, names, feed = self.session.run, self._output_names, dict(batch)

        def call() -> object:  # a functools.partial would cost it 2 %
            return run(names, feed)

        return call

    def bound_call_for(
        self, batch: Mapping[str, np.ndarray[Any, Any]]
    ) -> Callable[[], object] | None:
        """The session's own call with inputs and outputs bound on its device."""
        if not can_be_bound(self.session):
            return None
        if self._captured is not None:
            return self._captured.call_for(batch)
        # Where more than the batch is open, the shape of an output may depend on values.
        fixed = all(None not in spec.shape[1:] for spec in self.outputs)
        return bound_run(self.session, batch, self._device, fixed=fixed)

    def close(self) -> None:
        """Gives the session's memory back."""
        self._captured = None
        del self.session


def _session(path: Path, device: Device, session_options: Mapping[str, Any] | None) -> Any:
    try:
        return onnxruntime_session(path, device, session_options)
    except TfconvError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        if device.options.cuda_graphs and _NOT_CAPTURED in str(error):
            raise not_capturable("nodes that are not on the GPU") from error
        raise ConversionError(
            "ONNX Runtime can't load this file.",
            received=f"{path}: {error}",
            fix="Its opset or an operation may be newer than this ONNX Runtime, or the copy is "
            "incomplete (external data lies in a second file beside it).",
        ) from error


def _spec(value: Any) -> TensorSpec:
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return TensorSpec(name=value.name, dtype=_DTYPES.get(kind, kind), shape=shape)
