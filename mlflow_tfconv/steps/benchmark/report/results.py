"""What the step leaves behind: report.json, the page, raw timings, pictures, profiles, the card."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from mlflow_tfconv.artifacts import Reports
from mlflow_tfconv.engine.cards import Picture
from mlflow_tfconv.engine.events import ArtifactFile, Tag
from mlflow_tfconv.engine.step import StepContext, StepResult
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.benchmark.driver.comparison import Comparison
from mlflow_tfconv.steps.benchmark.report.card import step_card
from mlflow_tfconv.steps.benchmark.report.columns import quality_metric
from mlflow_tfconv.steps.benchmark.report.memory_picture import memory_over_time
from mlflow_tfconv.steps.benchmark.report.page import page
from mlflow_tfconv.steps.benchmark.report.pictures import quality_against_latency
from mlflow_tfconv.steps.benchmark.report.raw_samples import write_raw_samples
from mlflow_tfconv.steps.benchmark.report.report import BenchmarkReport

_FOLDER = "benchmark"


def written(
    comparison: Comparison, reports: Reports, workdir: Path, context: StepContext
) -> StepResult:
    """Writes the files, tells of them, and gives the step's result."""
    files, pictures = _files(comparison, reports, workdir, context.primary_metric)
    for file in files:
        context.emit(ArtifactFile(path=file, folder=_FOLDER))
    for name, measurement in comparison.measurements.items():
        for file in measurement.files:
            context.emit(ArtifactFile(path=file, folder=f"{_FOLDER}/{name}"))
    context.emit(Tag(name="tfconv.device", value=str(context.device)))
    return StepResult(output=reports, card=step_card(reports, pictures, context.primary_metric))


def keep(comparison: Comparison, reports: Reports, folder: Path) -> None:
    """Writes all that the step would log into a folder that is there.

    Raises:
        ConfigError: A file can't be written.
    """
    try:
        _files(comparison, reports, folder, "")
        for name, measurement in comparison.measurements.items():
            for file in measurement.files:
                (folder / name).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, folder / name / file.name)
    except OSError as error:
        raise ConfigError(
            "The files of the benchmark can't be written.",
            received=f"{error.filename or folder}: {error.strerror}",
            expected="a folder with room, where you may write",
        ) from error


def _files(
    comparison: Comparison, reports: Reports, folder: Path, primary: str
) -> tuple[list[Path], list[Picture]]:
    """The files that hold all variants, and the pictures among them."""
    files = [folder / name for name in ("report.json", "report.html", "raw_samples.parquet")]
    files[0].write_text(BenchmarkReport(reports).to_json(), encoding="utf-8")
    beside = any(measurement.files for measurement in comparison.measurements.values())
    files[1].write_text(page(reports, primary, files_beside=beside), encoding="utf-8")
    write_raw_samples(comparison.measurements, files[2])
    pictures = list(_pictures(reports, folder, primary))
    return [*files, *(picture.path for picture in pictures)], pictures


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
