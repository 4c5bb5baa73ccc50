"""Inputs and outputs of an ONNX Runtime session that stay on the device from one run to the next.

What a run then takes is without the copies between host and device. A CUDA graph is replayed on the
very addresses that it was recorded with, so it works with such bindings only.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import ConversionError

Batch = Mapping[str, np.ndarray[Any, Any]]
#: Tells captured graphs apart; -1 runs without one (onnxruntime_run_options_config_keys.h).
_GRAPH_ID, _NO_GRAPH = "gpu_graph_id", "-1"
_MOST_GRAPHS = 64  # each holds its inputs, its outputs and what it computes with on the GPU


@dataclass(frozen=True, slots=True)
class BoundRun:
    """A session with inputs and outputs of fixed shapes on its device.

    Attributes:
        session: The `onnxruntime.InferenceSession`.
        binding: Its `IOBinding`.
        inputs: Input name to `OrtValue`.
        outputs: Output name to `OrtValue`; empty when ONNX Runtime makes new ones in every run.
        options: The `RunOptions`, or None.
    """

    session: Any
    binding: Any
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    options: Any = None

    def __call__(self) -> None:
        """Runs, and waits until the outputs are there."""
        self.session.run_with_iobinding(self.binding, self.options)
        self.binding.synchronize_outputs()

    def filled(self, batch: Batch) -> None:
        """Copies other values of the same shapes into the inputs."""
        for name, value in batch.items():
            self.inputs[name].update_inplace(np.ascontiguousarray(value))

    def read(self) -> dict[str, np.ndarray[Any, Any]]:
        """Output name to array on the host."""
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.binding.copy_outputs_to_cpu(), strict=True))


def can_be_bound(session: Any) -> bool:
    """Whether all inputs and outputs are tensors of numbers: text stays on the host."""
    values = (*session.get_inputs(), *session.get_outputs())
    return all(value.type.startswith("tensor(") and "string" not in value.type for value in values)


def bound_run(session: Any, batch: Batch, device: Device, *, fixed: bool = True) -> BoundRun:
    """A run whose inputs, and outputs when their shapes are fixed, are on the device.

    Args:
        session: The session, opened on `device`.
        batch: What to bind.
        device: Where.
        fixed: Whether the outputs of all runs have the shapes that this batch gives; False has
            ONNX Runtime allocate them in every run.
    """
    place = _place(device)
    value_of = importlib.import_module("onnxruntime").OrtValue.ortvalue_from_numpy
    # Copies: on the CPU a value shares its memory with the array that it is made of.
    inputs = {name: value_of(np.array(value, order="C"), *place) for name, value in batch.items()}
    names = [output.name for output in session.get_outputs()]
    binding = _binding(session, inputs)
    for name in names:
        binding.bind_output(name, *place)
    if not fixed:
        return BoundRun(session, binding, inputs, {}, _options(device, None))
    session.run_with_iobinding(binding, _options(device, None))
    outputs = dict(zip(names, binding.get_outputs(), strict=True))
    again = _binding(session, inputs)
    for name, value in outputs.items():
        again.bind_ortvalue_output(name, value)
    return BoundRun(session, again, inputs, outputs, _options(device, None))


class CapturedRuns:
    """Runs a session through CUDA graphs: one for each combination of shapes of the inputs."""

    def __init__(self, session: Any, device: Device) -> None:
        """Records nothing yet.

        Raises:
            ConversionError: The model takes or gives something else than tensors of numbers.
        """
        if not can_be_bound(session):
            raise not_capturable("inputs or outputs that are text, or no tensors")
        self._session, self._device = session, device
        self._runs: dict[tuple[Any, ...], BoundRun] = {}
        self._one_at_a_time = (
            threading.Lock()
        )  # a session with graphs may not be run by two threads

    def predict(self, batch: Batch) -> dict[str, np.ndarray[Any, Any]]:
        """Output name to array: copies in, launches the graph, copies out."""
        with self._one_at_a_time:
            run = self._run_for(batch)
            run.filled(batch)
            run()
            return run.read()

    def call_for(self, batch: Batch) -> Callable[[], object]:
        """Launches the graph for values that are on the device already."""
        with self._one_at_a_time:
            run = self._run_for(batch)
            run.filled(batch)

        def launched() -> None:
            with self._one_at_a_time:
                run()

        return launched

    def _run_for(self, batch: Batch) -> BoundRun:
        key = tuple((name, value.dtype.str, value.shape) for name, value in sorted(batch.items()))
        if key not in self._runs:
            if len(self._runs) >= _MOST_GRAPHS:
                raise ConversionError(
                    "This model is run with more shapes of inputs than CUDA graphs are kept for.",
                    received=f"{len(self._runs) + 1} different shapes",
                    expected=f"at most {_MOST_GRAPHS}",
                    fix="Leave `cuda_graphs` out of device_options, or pad the inputs.",
                )
            self._runs[key] = self._captured(batch, number=len(self._runs) + 1)
        return self._runs[key]

    def _captured(self, batch: Batch, number: int) -> BoundRun:
        """The first run with a number of its own is recorded."""
        plain = bound_run(self._session, batch, self._device)
        options = _options(self._device, number)
        run = BoundRun(self._session, plain.binding, plain.inputs, plain.outputs, options)
        run()
        return run


def not_capturable(received: str) -> ConversionError:
    """The error for a model that CUDA graphs can't hold."""
    return ConversionError(
        "This model can't be run with CUDA graphs.",
        received=received,
        expected="tensors of numbers, and every node on the GPU",
        fix="Leave `cuda_graphs` out of device_options.",
    )


def _binding(session: Any, inputs: Mapping[str, Any]) -> Any:
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_ortvalue_input(name, value)
    return binding


def _place(device: Device) -> tuple[str, int]:
    """As ONNX Runtime names it."""
    return ("cpu", 0) if device.kind == "cpu" else ("cuda", device.indices[0])


def _options(device: Device, number: int | None) -> Any:
    """None where no graph can be meant."""
    if device.kind == "cpu" or not device.options.cuda_graphs:
        return None
    options = importlib.import_module("onnxruntime").RunOptions()
    options.add_run_config_entry(_GRAPH_ID, _NO_GRAPH if number is None else str(number))
    return options
