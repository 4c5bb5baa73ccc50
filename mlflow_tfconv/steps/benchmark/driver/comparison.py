"""Measures all variants and compares each with the reference; what fails is a result too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import Variant, VariantReport
from mlflow_tfconv.engine.events import Emit, Message, Metric, Progress, Tag
from mlflow_tfconv.errors import BenchmarkError, ConversionError, TfconvError
from mlflow_tfconv.formats.model_files import model_bytes
from mlflow_tfconv.steps.benchmark.candidates import reference_first
from mlflow_tfconv.steps.benchmark.driver.measurement import Bench, Measurement
from mlflow_tfconv.steps.benchmark.statistics.quality import (
    QualityMetric,
    agreement,
    default_metrics,
    drops,
    measured_quality,
)

_MB = 1e6
Outputs = Mapping[str, np.ndarray[Any, Any]]


@dataclass(slots=True, kw_only=True)
class Judge:
    """Judges outputs by the labels and by the reference: the first outputs it is shown.

    Attributes:
        labels: The labels of the examples, or None.
        metrics: What to compute; empty chooses by the labels.
        reference: Run name of the reference, once it is known.
    """

    labels: Any
    metrics: Sequence[QualityMetric]
    reference: str | None = None
    _outputs: Outputs = field(default_factory=dict)
    _quality: Mapping[str, float] = field(default_factory=dict)

    def judged(self, run_name: str, outputs: Outputs) -> dict[str, float]:
        """`quality/...` of a variant; empty without examples."""
        if not outputs:
            return {}
        quality: dict[str, float] = {}
        if self.labels is not None and len(self.labels):
            self.metrics = self.metrics or default_metrics(outputs, self.labels)
            quality = measured_quality(self.metrics, outputs, self.labels)
        if self.reference is None:
            self.reference, self._outputs, self._quality = run_name, outputs, quality
        compared = agreement(outputs, self._outputs) if self._compares_classes() else {}
        return {**quality, **drops(self.metrics, quality, self._quality), **compared}

    def _compares_classes(self) -> bool:
        """Labels that are fractions mean that the outputs are no scores of classes."""
        labels = self.labels
        if not isinstance(labels, np.ndarray) or labels.dtype.kind in "iub":
            return True
        return labels.ndim == 2 and bool(np.all((labels == 0) | (labels == 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All variants, measured.

    Attributes:
        rows: In the variants' order.
        measurements: Run name to what was measured, of those that did not fail.
        reference: Run name of the one that the others were compared with.
    """

    rows: tuple[VariantReport, ...]
    measurements: Mapping[str, Measurement]
    reference: str | None


def compared(variants: Sequence[Variant], bench: Bench, judge: Judge, emit: Emit) -> Comparison:
    """Measures one variant after the other, the reference first.

    Raises:
        BenchmarkError: None of them can be measured.
        DeviceError: The device was not used.
    """
    rows: dict[str, VariantReport] = {}
    failures: dict[str, TfconvError] = {}
    measurements: dict[str, Measurement] = {}
    for position, variant in enumerate(reference_first(variants)):
        name = variant.run_name
        emit(Progress(label="benchmark", done=position, total=len(variants), detail=name))
        try:
            measurement = bench.measured(variant)
        except (BenchmarkError, ConversionError) as e:
            failures[name] = e
            rows[name] = _failed(variant, e, emit)
            continue
        measurements[name] = measurement
        quality = judge.judged(name, measurement.outputs)
        rows[name] = _row(variant, measurement, quality)
        _tell(rows[name], {**measurement.metrics, **quality}, variant, emit)
    emit(Progress(label="benchmark", done=len(variants), total=len(variants)))
    for text in dict.fromkeys(m.details["surroundings"]["in_force"] for m in measurements.values()):
        emit(Message(text=text))
    ordered = tuple(rows[variant.run_name] for variant in variants)
    if not measurements:
        raise _nothing_measured({v.run_name: failures[v.run_name] for v in variants})
    return Comparison(rows=ordered, measurements=measurements, reference=judge.reference)


def file_metrics(variant: Variant) -> dict[str, float]:
    """What the file itself says: sizes, sparsity, parity with its own source."""
    metrics: dict[str, float] = {}
    if variant.audit is not None:
        audit = variant.audit
        metrics["footprint/size_mb"] = audit.size_bytes / _MB
        metrics["footprint/compressed_mb"] = audit.compressed_bytes / _MB
        metrics["footprint/weights_mb"] = sum(audit.weights_bytes.values()) / _MB
        metrics["sparsity"] = audit.sparsity
    elif variant.path.exists():
        with suppress(ConversionError):  # it can't be measured either, which says why
            metrics["footprint/size_mb"] = model_bytes(variant.path) / _MB
    if variant.parity is not None:
        metrics["parity/max_abs_error"] = variant.parity.max_abs_error
    return metrics


def _row(variant: Variant, measurement: Measurement, quality: Mapping[str, float]) -> VariantReport:
    return VariantReport(
        run_name=variant.run_name,
        metrics={**quality, **measurement.metrics, **file_metrics(variant)},
        notes=measurement.notes,
        fingerprint=variant.fingerprint,
        path=variant.path,
    )


def _failed(variant: Variant, error: BenchmarkError | ConversionError, emit: Emit) -> VariantReport:
    what = f"{variant.run_name} could not be measured: {error}"
    emit(Message(text=what, level="warning"))
    emit(Tag(name="tfconv.benchmark_failure", value=str(error), run=variant.run_name))
    return VariantReport(
        run_name=variant.run_name,
        metrics=file_metrics(variant),
        failure=str(error),
        fingerprint=variant.fingerprint,
        path=variant.path,
    )


def _tell(row: VariantReport, values: Mapping[str, float], variant: Variant, emit: Emit) -> None:
    told = dict(values) if variant.audit else {**values, **file_metrics(variant)}
    for name, value in told.items():
        emit(Metric(name=name, value=float(value), run=row.run_name))
    if row.notes:
        emit(Tag(name="tfconv.benchmark_notes", value="; ".join(row.notes), run=row.run_name))


def _nothing_measured(failures: Mapping[str, TfconvError]) -> BenchmarkError:
    """One error for all: the only one in full, of several what happened and what was met."""
    if len(failures) == 1:
        ((name, only),) = failures.items()
        return BenchmarkError(
            f"{name} could not be measured: {only.what}",
            received=only.received,
            expected=only.expected,
            fix=only.fix,
        )
    reasons = [f"{name}: {_in_one_line(error)}" for name, error in failures.items()]
    return BenchmarkError(
        "None of the variants could be measured.",
        received="".join(f"\n    {reason}" for reason in reasons),
        expected="at least one that runs",
        fix=next(iter(failures.values())).fix,
    )


def _in_one_line(error: TfconvError) -> str:
    received = f" ({error.received})" if error.received else ""
    return " ".join(f"{error.what}{received}".split())
