"""Whether two models give the same outputs: the verdict on an exported file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.arguments import require_numbers
from mlflow_tfconv.artifacts import OutputParity, ParityReport, Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.runtimes.batches_of import Samples, batches_of
from mlflow_tfconv.runtimes.given_model import is_live_model, model_path
from mlflow_tfconv.runtimes.random_inputs import DESCRIPTION, random_inputs
from mlflow_tfconv.runtimes.runtime import Runtime, open_runtime, predicted

Batch = Mapping[str, np.ndarray[Any, Any]]
Model = str | Path | Variant | Runtime | Any  # Any: a live keras.Model


def check_parity(
    reference: Model,
    candidate: Model,
    *,
    samples: Samples | None = None,
    absolute_tolerance: float = 1e-4,
    relative_tolerance: float = 1e-3,
    device: str | Device = "cpu",
) -> ParityReport:
    """Runs both models on the same inputs and compares every output value.

    A value agrees when `|candidate - reference| <= absolute_tolerance + relative_tolerance *
    |reference|`; integers, booleans and strings must be equal. NaN agrees with NaN and an infinity
    with the same infinity, but an output without a single finite value proves nothing and fails,
    and so does a comparison of no examples.

    Args:
        reference: The source: a path, a variant, a `keras.Model`, or a loaded model (which is
            left open).
        candidate: The export, given as any of these.
        samples: Batches `{input_name: array of shape (batch, ...)}`, one of them, or the array of
            a single input; None makes up a few, always the same (the report says so).
        absolute_tolerance: Absolute difference that is allowed.
        relative_tolerance: Difference that is allowed, relative to the reference's value.
        device: Where models given as paths compute.

    Raises:
        ConversionError: A model can't be loaded, or no samples can be made up.
        ConfigError: There are no samples, they don't fit the source, or an argument can't be used.
    """
    require_numbers(0, absolute_tolerance=absolute_tolerance, relative_tolerance=relative_tolerance)
    where = device if isinstance(device, Device) else Device.parse(device)
    with ExitStack() as stack:
        source, export = (_opened(model, where, stack) for model in (reference, candidate))
        comparison = Comparison(absolute_tolerance, relative_tolerance)
        for batch in _batches(samples, source):
            if not comparison.add(batch, predicted(source, batch), export):
                break
        described = DESCRIPTION if samples is None else "given samples"
        return comparison.report(source.path, export.path, described)


def _opened(model: Any, device: Device, stack: ExitStack) -> Runtime:
    if isinstance(model, Runtime):
        return model
    if is_live_model(model):
        from mlflow_tfconv.runtimes.keras_runtime import KerasRuntime

        return stack.enter_context(KerasRuntime(Path(model.name), device=device, model=model))
    path = model_path(model, "a path, a Variant, a keras.Model or a loaded model")
    kind, options = None, None
    if isinstance(model, Variant):
        kind, options = model.format, model.session_options or None
    return stack.enter_context(open_runtime(path, kind, device=device, session_options=options))


def _batches(samples: Samples | None, source: Runtime) -> Iterator[Batch]:
    if samples is None:
        return random_inputs(source.inputs)
    return batches_of(samples, source.inputs)


@dataclass(slots=True)
class Comparison:
    """Gathers differences, batch by batch, and says what they amount to."""

    absolute_tolerance: float
    relative_tolerance: float
    examples: int = 0
    worst: dict[str, float] = field(default_factory=dict)
    magnitude: dict[str, float] = field(default_factory=dict)
    finite: dict[str, bool] = field(default_factory=dict)
    problem: str | None = None
    exceeded: dict[str, int] = field(default_factory=dict)

    def add(self, batch: Batch, expected: Batch, candidate: Runtime) -> bool:
        """Runs the candidate on a batch and compares; False when going on is pointless."""
        self.problem = _inputs_problem(batch, candidate)
        if self.problem is not None:
            return False
        try:
            received = candidate.predict(batch)
        except Exception as error:  # noqa: BLE001 (whatever it raises becomes the verdict)
            self.problem = f"it can't be run: {type(error).__name__}: {str(error)[:500]}"
            return False
        self.problem = _structure_problem(expected, received)
        if self.problem is not None:
            return False
        self.examples += max((len(array) for array in batch.values() if array.ndim), default=1)
        for name, array in expected.items():
            self._compare(name, np.asarray(array), np.asarray(received[name]))
        return True

    def _compare(self, name: str, expected: Any, received: Any) -> None:
        if expected.dtype.kind not in "fiub" and expected.dtype.name != "bfloat16":
            error = (expected != received).astype(np.float64)
            allowed, finite = np.zeros(expected.shape), np.ones(expected.shape, bool)
        else:
            error, allowed, finite = self._numbers(expected, received)
        wrong = int(np.count_nonzero(~(error <= allowed)))
        self.exceeded[name] = self.exceeded.get(name, 0) + wrong
        self.worst[name] = max(self.worst.get(name, 0.0), float(error.max(initial=0.0)))
        self.finite[name] = self.finite.get(name, False) or bool(finite.any()) or not finite.size
        if expected.dtype.kind in "fiub":
            largest = float(np.abs(expected.astype(np.float64)).max(initial=0.0, where=finite))
            self.magnitude[name] = max(self.magnitude.get(name, 0.0), largest)

    def _numbers(self, expected: Any, received: Any) -> tuple[Any, Any, Any]:
        exact = expected.dtype.kind in "iub"
        left, right = expected.astype(np.float64), received.astype(np.float64)
        finite = np.isfinite(left)
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        with np.errstate(invalid="ignore"):
            error = np.where(same, 0.0, np.abs(right - left))
        error[np.isnan(error)] = np.inf  # one of the two is NaN
        allowed = self.absolute_tolerance + self.relative_tolerance * np.abs(left)
        return error, np.where(finite & (not exact), allowed, 0.0), finite

    def report(self, reference: Path, candidate: Path, samples: str) -> ParityReport:
        """The verdict on what was added."""
        problem = self.problem or self._value_problem()
        broken = self.problem is not None or not self.examples
        worst = float("inf") if broken else max(self.worst.values(), default=0.0)
        relative = [self.worst[n] / m for n, m in self.magnitude.items() if m]
        return ParityReport(
            reference=reference,
            candidate=candidate,
            passed=problem is None,
            max_abs_error=worst,
            max_rel_error=float("inf") if broken else max(relative, default=0.0),
            absolute_tolerance=self.absolute_tolerance,
            relative_tolerance=self.relative_tolerance,
            examples=self.examples,
            outputs={
                name: OutputParity(max_abs_error=error, exceeded=self.exceeded.get(name, 0))
                for name, error in self.worst.items()
            },
            problem=problem,
            samples=samples,
        )

    def _value_problem(self) -> str | None:
        if not self.examples:
            return "there was not a single example to compare"
        for name, finite in self.finite.items():
            if not finite:
                return f"output {name!r} of the source is NaN or infinite everywhere"
        wrong = [name for name, count in self.exceeded.items() if count]
        if not wrong:
            return None
        name = max(wrong, key=lambda n: self.worst[n])
        return (
            f"output {name!r} differs by up to {self.worst[name]:.3g} "
            f"({self.exceeded[name]:,} values beyond {self.absolute_tolerance:g} + "
            f"{self.relative_tolerance:g} x |value|)"
        )


def _inputs_problem(batch: Batch, candidate: Runtime) -> str | None:
    wanted = sorted(spec.name for spec in candidate.inputs)
    return None if sorted(batch) == wanted else f"inputs are named {wanted}, not {sorted(batch)}"


def _structure_problem(expected: Batch, received: Batch) -> str | None:
    """What is wrong with names, dtypes or shapes, in words."""
    if set(expected) != set(received):
        return f"outputs are named {sorted(received)} instead of {sorted(expected)}"
    for name, array in expected.items():
        left, right = np.asarray(array), np.asarray(received[name])
        if left.shape != right.shape:
            return f"output {name!r} has shape {right.shape} instead of {left.shape}"
        if left.dtype != right.dtype and not {left.dtype.kind, right.dtype.kind} <= set("OSU"):
            return f"output {name!r} has dtype {right.dtype} instead of {left.dtype}"
    return None
