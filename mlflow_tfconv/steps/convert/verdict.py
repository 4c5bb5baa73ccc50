"""Compares an export with what its source has answered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import ParityReport
from mlflow_tfconv.engine.guarded_child import Voice
from mlflow_tfconv.runtimes.comparison import Comparison
from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.runtimes.tolerance import Tolerance, tolerance_of
from mlflow_tfconv.steps.convert.answers import Answers
from mlflow_tfconv.steps.convert.phases import COMPARING_ONNX, Phases
from mlflow_tfconv.steps.convert.request import Request
from mlflow_tfconv.steps.convert.workplace import FILES, answers_in, exports_in, part_answers_in

Batch = Mapping[str, np.ndarray[Any, Any]]


def onnx_verdict(request: Request, voice: Voice) -> ParityReport:
    """The verdict on the ONNX file; runs in a process that has never heard of TensorFlow."""
    phases = Phases(voice, request.config)
    phases.begin(COMPARING_ONNX)
    return verdict("onnx", request, phases, COMPARING_ONNX)


def verdict(name: str, request: Request, phases: Phases, phase: str) -> ParityReport:
    """Runs an export on the examples and compares it with the source's answers.

    Args:
        name: Its format.
        request: The conversion; the answers lie in its folder.
        phases: Is told of each batch.
        phase: What is going on.
    """
    path = exports_in(request.work) / FILES[name]
    comparison = Comparison(tolerance(request))
    trust = request.config.trust or request.prepared  # what was written does what the source did
    with open_runtime(path, name, device=request.device, trust=trust) as runtime:
        for batch, answer in answers_for(name, request.work):
            phases.batch(phase, size_of(batch))
            if not comparison.add(batch, answer, runtime):
                break
    return comparison.report(request.source, path, "")


def answers_for(name: str, work: Path) -> Answers:
    """What an export is compared with."""
    part = part_answers_in(work)
    return Answers(part if name == "onnx" and part.is_dir() else answers_in(work))


def tolerance(request: Request) -> Tolerance:
    """What the exports may differ by."""
    config = request.config
    given = request.given.tolerance
    if given is None:
        parts = {"absolute": config.absolute_tolerance, "relative": config.relative_tolerance}
        given = {name: value for name, value in parts.items() if value is not None} or None
    return tolerance_of(given, config.precision or "float32")


def size_of(batch: Batch) -> int:
    """Number of examples."""
    return max((len(array) for array in batch.values() if np.ndim(array)), default=1)
