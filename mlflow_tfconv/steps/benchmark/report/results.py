"""What the step leaves behind: report.json, the raw timings, the picture, the card."""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.artifacts import Reports
from mlflow_tfconv.engine.cards import Card, Picture, Table, Text
from mlflow_tfconv.engine.events import ArtifactFile, Tag
from mlflow_tfconv.engine.step import StepContext, StepResult
from mlflow_tfconv.steps.benchmark.driver.comparison import Comparison
from mlflow_tfconv.steps.benchmark.report.pictures import quality_against_latency
from mlflow_tfconv.steps.benchmark.report.raw_samples import write_raw_samples
from mlflow_tfconv.steps.benchmark.report.report import BenchmarkReport

_FOLDER = "benchmark"
_CARD_WIDTH = 96  # letters: a card is shown in terminals, too


def written(
    comparison: Comparison, reports: Reports, workdir: Path, context: StepContext
) -> StepResult:
    """Writes the files, tells of them, and gives the step's result."""
    report = BenchmarkReport(reports)
    files = [workdir / name for name in ("report.json", "report.html", "raw_samples.parquet")]
    files[0].write_text(report.to_json(), encoding="utf-8")
    files[1].write_text(report.to_html(context.primary_metric), encoding="utf-8")
    write_raw_samples(comparison.measurements, files[2])
    picture = _picture(reports, workdir, context.primary_metric)
    for file in [*files, *([picture.path] if picture else [])]:
        context.emit(ArtifactFile(path=file, folder=_FOLDER))
    context.emit(Tag(name="tfconv.device", value=str(context.device)))
    return StepResult(output=reports, card=_card(report, picture, context.primary_metric))


def _picture(reports: Reports, workdir: Path, primary: str) -> Picture | None:
    names = dict.fromkeys(name for row in reports.rows for name in row.metrics)
    quality = [n for n in names if n.startswith("quality/") and not n.endswith("_drop")]
    if not quality:
        return None
    shown = f"quality/{primary}" if f"quality/{primary}" in quality else quality[0]
    file = workdir / "quality_against_latency.png"
    text = quality_against_latency(reports, shown, file)
    return None if text is None else Picture(path=file, text=text)


def _card(report: BenchmarkReport, picture: Picture | None, primary: str) -> Card:
    failed = sum(row.failure is not None for row in report.rows)
    title = f"{len(report.rows)} variants measured on {report.environment['device']}"
    if failed:
        title = f"{len(report.rows) - failed} of {title}; {failed} failed"
    parts: list[Table | Picture | Text] = [report.table(primary, width=_CARD_WIDTH)]
    if picture is not None:
        parts.append(picture)
    reference = report.environment["reference"]
    if reference is not None:
        count = report.environment["examples"]
        parts.append(Text(text=f"Compared with {reference} on {count:,} examples."))
    parts += [Text(text=f"{row.run_name} {note}.") for row in report.rows for note in row.notes]
    parts += [
        Text(text=f"{row.run_name} failed: {row.failure}") for row in report.rows if row.failure
    ]
    return Card(title=title, parts=tuple(parts))
