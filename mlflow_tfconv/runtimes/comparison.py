"""Compares the outputs of an export with those of its source, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import ParityReport
from mlflow_tfconv.runtimes.output_differences import OutputDifferences
from mlflow_tfconv.runtimes.runtime import Runtime
from mlflow_tfconv.runtimes.tolerance import Tolerance

Batch = Mapping[str, np.ndarray[Any, Any]]


@dataclass(slots=True)
class Comparison:
    """Gathers differences, and says what they amount to.

    Attributes:
        tolerance: What is allowed.
        examples: Number of examples compared.
        outputs: Output name to its differences.
        problem: Why it can't be compared at all, or None.
        failing: The batch with the most values beyond tolerance: what to look closer at.
    """

    tolerance: Tolerance = field(default_factory=Tolerance)
    examples: int = 0
    outputs: dict[str, OutputDifferences] = field(default_factory=dict)
    problem: str | None = None
    failing: Batch | None = None
    _most_exceeded: int = 0

    def add(self, batch: Batch, expected: Batch, candidate: Runtime) -> bool:
        """Runs the candidate on a batch and compares; False when going on is pointless."""
        received = self._received(batch, candidate)
        if received is None:
            return False
        self.problem = _structure_problem(expected, received)
        if self.problem is not None:
            return False
        self.examples += _examples(batch, expected)
        exceeded = 0
        for name, array in expected.items():
            differences = self.outputs.setdefault(name, OutputDifferences(self.tolerance))
            exceeded += differences.add(np.asarray(array), np.asarray(received[name]))
        if exceeded > self._most_exceeded:
            self.failing, self._most_exceeded = batch, exceeded
        return True

    def _received(self, batch: Batch, candidate: Runtime) -> Batch | None:
        self.problem = _inputs_problem(batch, candidate)
        if self.problem is not None:
            return None
        try:
            return candidate.predict(batch)
        except Exception as error:  # noqa: BLE001 (whatever it raises becomes the verdict)
            self.problem = f"it can't be run: {type(error).__name__}: {str(error)[:500]}"
            return None

    def report(self, reference: Path, candidate: Path, samples: str) -> ParityReport:
        """The verdict on what was added."""
        problem = self.problem or self._value_problem()
        broken = self.problem is not None or not self.examples
        all_outputs = self.outputs.values()
        absolute = [differences.largest_error for differences in all_outputs]
        relative = [differences.largest_relative_error for differences in all_outputs]
        return ParityReport(
            reference=reference,
            candidate=candidate,
            passed=problem is None,
            max_abs_error=float("inf") if broken else max(absolute, default=0.0),
            max_rel_error=float("inf") if broken else max(relative, default=0.0),
            absolute_tolerance=self.tolerance.absolute,
            relative_tolerance=self.tolerance.relative,
            allowed=str(self.tolerance),
            examples=self.examples,
            outputs={name: differences.parity() for name, differences in self.outputs.items()},
            problem=problem,
            samples=samples,
        )

    def _value_problem(self) -> str | None:
        if not self.examples:
            return "there was not a single example to compare"
        for name, differences in self.outputs.items():
            if differences.values and not differences.finite:
                return f"output {name!r} of the source is NaN or infinite everywhere"
        wrong = [name for name, differences in self.outputs.items() if differences.fails]
        if not wrong:
            return None
        name = max(wrong, key=lambda n: self.outputs[n].largest_error)
        return (
            f"output {name!r} differs by up to {self.outputs[name].largest_error:.3g} "
            f"({self.outputs[name].exceeded:,} values beyond {self.tolerance})"
        )


def _examples(batch: Batch, answer: Batch) -> int:
    """How many there are: what is longer than that has no batch, such as an image alone."""
    lengths = [
        max((len(array) for array in arrays.values() if np.ndim(array)), default=1)
        for arrays in (batch, answer)
    ]
    return min(lengths)


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
