"""The report as one HTML page that needs nothing else: no other file, no network, no script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.steps.benchmark.report.columns import Column, columns, number, quality_metric
from mlflow_tfconv.steps.benchmark.report.curves import HEIGHT, WIDTH, curves
from mlflow_tfconv.steps.benchmark.report.grids import flat
from mlflow_tfconv.steps.benchmark.report.meanings import meanings
from mlflow_tfconv.steps.benchmark.report.panels import bounds_in_words, panels
from mlflow_tfconv.steps.benchmark.report.scatter import scatter
from mlflow_tfconv.steps.benchmark.report.standing import (
    Standing,
    details_of,
    in_words,
    reference_of,
    standing,
)
from mlflow_tfconv.steps.benchmark.report.summary_table import shared_notes
from mlflow_tfconv.steps.benchmark.report.variant_section import variant_section

_PAGE = Path(__file__).parent / "page.html"
_RANK = 6  # columns from here on stand below, with all numbers
_OPEN = 3  # so many variants are shown with all details at once
_TOLD = ("machine", "gpu", "versions", "device_options")


def page(reports: Reports, primary: str | None = None, *, files_beside: bool = False) -> str:
    """The page.

    Args:
        reports: What was measured.
        primary: The quality metric to show first, such as "accuracy".
        files_beside: Whether traces and curves lie in a folder a variant beside the page.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_PAGE.read_text(encoding="utf-8"))
    reference = reference_of(reports)
    measured = [row for row in reports.rows if row.failure is None]
    shown = [column for column in columns(reports.rows, primary) if column.rank < _RANK]
    return template.render(
        title=_title(reports),
        subtitle=_subtitle(reports),
        reference=reference.run_name if reference and len(measured) > 1 else None,
        findings=[s for row in measured for s in _findings(row, reports, primary)],
        columns=shown,
        rows=[_row(row, shown, reports) for row in reports.rows],
        shared=shared_notes(reports.rows),
        panels=panels(reports, primary),
        scatter=scatter(reports, primary),
        curves=curves(reports),
        frame=(WIDTH, HEIGHT),
        variants=[variant_section(row, reports) for row in reports.rows],
        files_beside=files_beside,
        open=len(reports.rows) <= _OPEN,
        meanings=meanings(name for row in reports.rows for name in row.metrics),
        surroundings=_surroundings(reports),
        settings=flat(reports.environment.get("config") or {}),
    )


def _title(reports: Reports) -> str:
    count = len(reports.rows)
    failed = sum(row.failure is not None for row in reports.rows)
    what = f"{count} {'model' if count == 1 else 'models'}"
    return f"{count - failed} of {what} measured, {failed} failed" if failed else f"{what} measured"


def _subtitle(reports: Reports) -> str:
    environment = reports.environment
    machine = environment.get("machine") or {}
    gpu = environment.get("gpu") or {}
    examples = environment.get("examples")
    parts = (
        f"on {environment.get('device', '?')}",
        gpu.get("name"),
        machine.get("processor"),
        f"{machine['processors']} processors" if machine.get("processors") else None,
        f"{examples:,} examples" if examples else None,
    )
    return " · ".join(str(part) for part in parts if part)


def _findings(
    row: VariantReport, reports: Reports, primary: str | None
) -> list[tuple[str, list[tuple[str, str]]]]:
    """A variant and, for a person in a hurry, how it stands: (verdict, words)."""
    reference = reference_of(reports)
    if reference is None or row.run_name == reference.run_name:
        return []
    quality = quality_metric(reports.rows, primary)
    latency = [c for c in columns(reports.rows) if c.metric.startswith("latency/p50")][:1]
    asked = [
        *((c.metric, f" ({c.unit})" if " b" in c.unit else "", "speed") for c in latency),
        ("throughput/samples_per_s", " throughput", "throughput"),
        ("footprint/size_mb", " on disk", "size"),
        ("footprint/host_peak_mb", " memory", "memory"),
        ("footprint/gpu_peak_mb", " GPU memory", "GPU memory"),
    ]
    said = [_said(standing(row, metric, reports), metric, *words) for metric, *words in asked]
    if quality is not None:
        said.append(_said_of_quality(row, quality, reports))
    return [(row.run_name, [(verdict, words) for verdict, words in said if words])]


def _said(found: Standing | None, metric: str, what: str, thing: str) -> tuple[str, str]:
    """The verdict in words: the metric's own with `what` behind it, or that the thing is equal."""
    if found is None:
        return "", ""
    equal = found.verdict == "equal"
    return found.verdict, f"equal {thing}" if equal else in_words(metric, found) + what


def _said_of_quality(row: VariantReport, quality: str, reports: Reports) -> tuple[str, str]:
    found, name = standing(row, quality, reports), quality.removeprefix("quality/")
    drop = row.metrics.get(f"{quality}_drop")
    if found is None or drop is None:
        return "", ""
    drops = (details_of(reports, row).get("quality") or {}).get("drops") or {}
    verdict = (drops.get(name) or {}).get("verdict")
    if verdict == "unchanged" or drop == 0:
        return found.verdict, f"{name} unchanged"
    noise = ", within noise" if found.verdict == "equal" else ""
    how = "worse" if drop > 0 else "better"
    return found.verdict, f"{name} {number(abs(drop), 2)} {how}{noise}"


def _row(row: VariantReport, shown: list[Column], reports: Reports) -> dict[str, Any]:
    reference = reference_of(reports)
    return {
        "name": row.run_name,
        "failure": None if row.failure is None else row.failure.splitlines()[0],
        "is_reference": reference is not None and reference.run_name == row.run_name,
        "unstable": any("unstable" in note for note in row.notes),
        "cells": [_cell(row, column, reports) for column in shown],
    }


def _cell(row: VariantReport, column: Column, reports: Reports) -> dict[str, Any]:
    found = standing(row, column.metric, reports)
    return {
        "heading": column.heading,
        "text": number(row.metrics.get(column.metric), column.digits),
        "bounds": bounds_in_words(row, column.metric, column.digits),
        "verdict": found.verdict if found else "",
        "words": in_words(column.metric, found) if found else "",
    }


def _surroundings(reports: Reports) -> dict[str, str]:
    environment = reports.environment
    plain = {
        name: value
        for name, value in environment.items()
        if name in _TOLD or isinstance(value, str | int | float)
    }
    return flat(plain)
