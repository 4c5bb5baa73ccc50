"""What the step leaves behind: report.json, the page, raw timings, pictures, profiles, the card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlflow_tfconv.artifacts import Reports
from mlflow_tfconv.engine.cards import Picture
from mlflow_tfconv.engine.events import ArtifactFile, Tag
from mlflow_tfconv.engine.step import StepContext, StepResult
from mlflow_tfconv.steps.benchmark.driver.comparison import Comparison
from mlflow_tfconv.steps.benchmark.report.card import step_card
from mlflow_tfconv.steps.benchmark.report.columns import quality_metric
from mlflow_tfconv.steps.benchmark.report.memory_picture import memory_over_time
from mlflow_tfconv.steps.benchmark.report.pictures import quality_against_latency
from mlflow_tfconv.steps.benchmark.report.raw_samples import write_raw_samples
from mlflow_tfconv.steps.benchmark.report.report import BenchmarkReport

_FOLDER = "benchmark"


def written(
    comparison: Comparison, reports: Reports, workdir: Path, context: StepContext
) -> StepResult:
    """Writes the files, tells of them, and gives the step's result."""
    report = BenchmarkReport(reports)
    files = [workdir / name for name in ("report.json", "report.html", "raw_samples.parquet")]
    files[0].write_text(report.to_json(), encoding="utf-8")
    files[1].write_text(report.to_html(context.primary_metric), encoding="utf-8")
    write_raw_samples(comparison.measurements, files[2])
    pictures = list(_pictures(reports, workdir, context.primary_metric))
    for file in [*files, *(picture.path for picture in pictures)]:
        context.emit(ArtifactFile(path=file, folder=_FOLDER))
    for name, measurement in comparison.measurements.items():
        for file in measurement.files:
            context.emit(ArtifactFile(path=file, folder=f"{_FOLDER}/{name}"))
    context.emit(Tag(name="tfconv.device", value=str(context.device)))
    return StepResult(output=reports, card=step_card(reports, pictures, context.primary_metric))


def _pictures(reports: Reports, workdir: Path, primary: str) -> Iterator[Picture]:
    quality = quality_metric(reports.rows, primary) or "quality/agreement"
    file = workdir / "quality_against_latency.png"
    text = quality_against_latency(reports, quality, file)
    if text is not None:
        yield Picture(path=file, text=text)
    file = workdir / "memory_over_time.png"
    text = memory_over_time(reports, file)
    if text is not None:
        yield Picture(path=file, text=text)
