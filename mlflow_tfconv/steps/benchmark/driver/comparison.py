"""Measures all variants and compares each with the reference; what fails is a result too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mlflow_tfconv.artifacts import Variant, VariantReport
from mlflow_tfconv.engine.events import Emit, Message, Metric, Tag
from mlflow_tfconv.errors import BenchmarkError, ConversionError, DeviceError, TfconvError
from mlflow_tfconv.formats.model_files import model_bytes
from mlflow_tfconv.steps.benchmark.candidates import reference_first
from mlflow_tfconv.steps.benchmark.driver.bench import Bench
from mlflow_tfconv.steps.benchmark.driver.measurement import Measurement, read_measurement
from mlflow_tfconv.steps.benchmark.driver.measuring import Measuring
from mlflow_tfconv.steps.benchmark.driver.memory_findings import memory_method
from mlflow_tfconv.steps.benchmark.statistics.judge import Judge, Judgement

_MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All variants, measured.

    Attributes:
        rows: In the variants' order.
        measurements: Run name to what was measured, of those that did not fail.
        judgements: Run name to what is known of its quality.
        reference: Run name of the one that the others were compared with.
        timings: What became of timings that were kept, in words.
    """

    rows: tuple[VariantReport, ...]
    measurements: Mapping[str, Measurement]
    judgements: Mapping[str, Judgement]
    reference: str | None
    timings: str


def compared(variants: Sequence[Variant], bench: Bench, judge: Judge, emit: Emit) -> Comparison:
    """Measures all, in turn; then judges one after the other, the reference first.

    Raises:
        BenchmarkError: None of them can be measured, or none judged by the metrics.
        DeviceError: None of them can, because of the device.
    """
    ordered = reference_first(variants)
    bench.progress.emit, bench.progress.total = emit, len(ordered)
    measuring = Measuring(bench=bench, variants=ordered)
    measuring.run()
    rows: dict[str, VariantReport] = {}
    measurements: dict[str, Measurement] = {}
    judgements: dict[str, Judgement] = {}
    unjudged: list[BenchmarkError] = []
    for variant in ordered:
        name, found = variant.run_name, measuring.found[variant.run_name]
        if found.failure is not None:
            rows[name] = _failed(variant, found.failure, emit)
            continue
        measurement = read_measurement(found, bench.stages)
        measurements[name] = measurement
        try:
            judgements[name] = judge.judged(name, measurement.outputs)
        except BenchmarkError as error:
            unjudged.append(error)
            judgements[name] = Judgement(notes=(f"can't be judged: {_in_one_line(error)}",))
        rows[name] = _row(variant, measurement, judgements[name])
        _tell(rows[name], variant, emit)
        if method := memory_method(measurement.details):
            emit(Tag(name="memory.method", value=method, run=name))
    bench.progress.finish()
    for text in dict.fromkeys(m.details["surroundings"]["in_force"] for m in measurements.values()):
        emit(Message(text=text))
    if unjudged and len(unjudged) == len(measurements):
        raise unjudged[0]  # what is asked for fits none of them
    if not measurements:
        raise _nothing_measured({v.run_name: measuring.failure(v) for v in variants})
    return Comparison(
        rows=tuple(rows[variant.run_name] for variant in variants),
        measurements=measurements,
        judgements=judgements,
        reference=judge.reference or next(iter(measurements)),
        timings=measuring.timings,
    )


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


def _row(variant: Variant, measurement: Measurement, judgement: Judgement) -> VariantReport:
    return VariantReport(
        run_name=variant.run_name,
        metrics={**judgement.metrics, **measurement.metrics, **file_metrics(variant)},
        intervals={**judgement.intervals, **measurement.intervals},
        notes=(*measurement.notes, *judgement.notes),
        fingerprint=variant.fingerprint,
        path=variant.path,
    )


def _failed(variant: Variant, error: TfconvError, emit: Emit) -> VariantReport:
    what = f"{variant.run_name} could not be measured: {error}"
    emit(Message(text=what, level="warning"))
    row = VariantReport(
        run_name=variant.run_name,
        metrics=file_metrics(variant),
        failure=str(error),
        fingerprint=variant.fingerprint,
        path=variant.path,
    )
    _tell_state(row, emit)
    return row


def _tell(row: VariantReport, variant: Variant, emit: Emit) -> None:
    of_file = file_metrics(variant) if variant.audit else {}  # these are told by `compress`
    for name, value in row.metrics.items():
        if name not in of_file:
            emit(Metric(name=name, value=float(value), run=row.run_name))
    _tell_state(row, emit)


def _tell_state(row: VariantReport, emit: Emit) -> None:
    """What a reader should know; the run may be one that was measured before, so all is told."""
    unstable = any("unstable" in note for note in row.notes)
    state = {
        "tfconv.benchmark_failure": row.failure or "",
        "tfconv.benchmark_notes": "; ".join(row.notes),
        "tfconv.unstable": "" if row.failure else str(unstable).lower(),
    }
    for name, value in state.items():
        emit(Tag(name=name, value=value, run=row.run_name))


def _nothing_measured(failures: Mapping[str, TfconvError]) -> TfconvError:
    """One error for all: the only one in full, of several what happened and what was met."""
    if len(failures) == 1:
        ((name, only),) = failures.items()
        kind = DeviceError if isinstance(only, DeviceError) else BenchmarkError
        return kind(
            f"{name} could not be measured: {only.what}",
            received=only.received,
            expected=only.expected,
            fix=only.fix,
        )
    kind = (
        DeviceError
        if all(isinstance(e, DeviceError) for e in failures.values())
        else BenchmarkError
    )
    reasons = [f"{name}: {_in_one_line(error)}" for name, error in failures.items()]
    return kind(
        "None of the variants could be measured.",
        received="".join(f"\n    {reason}" for reason in reasons),
        expected="at least one that runs",
        fix=next(iter(failures.values())).fix,
    )


def _in_one_line(error: TfconvError) -> str:
    received = f" ({error.received})" if error.received else ""
    return " ".join(f"{error.what}{received}".split())
