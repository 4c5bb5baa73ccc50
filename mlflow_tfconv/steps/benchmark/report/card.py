"""The card of the step: the table, where the time goes, the pictures, and what to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.engine.cards import Card, Picture, Table, Text
from mlflow_tfconv.steps.benchmark.report.profile_table import profile_table
from mlflow_tfconv.steps.benchmark.report.summary_table import shared_notes, summary_table

_WIDTH = 96  # letters: a card is shown in terminals, too


def step_card(reports: Reports, pictures: Sequence[Picture], primary: str) -> Card:
    """What a person wants to see first.

    Args:
        reports: What was measured.
        pictures: Those that were drawn.
        primary: The quality metric that matters most.
    """
    profiles = profile_table(reports)
    parts: list[Text | Table | Picture] = [
        summary_table(reports, primary, _WIDTH),
        *([] if profiles is None else [profiles]),
        *pictures,
        *_compared(reports),
        *_remarks(reports.rows),
    ]
    return Card(title=_title(reports), parts=tuple(parts))


def _title(reports: Reports) -> str:
    failed = sum(row.failure is not None for row in reports.rows)
    title = f"{len(reports.rows)} variants measured on {reports.environment.get('device', '?')}"
    return f"{len(reports.rows) - failed} of {title}; {failed} failed" if failed else title


def _compared(reports: Reports) -> Iterator[Text]:
    reference, count = reports.environment.get("reference"), reports.environment.get("examples")
    if reference is not None and count:
        yield Text(text=f"Compared with {reference} on {count:,} examples.")
    timings = str(reports.environment.get("timings", ""))
    if ":" in timings:  # not when all are of the same moment
        yield Text(text=f"Of the timings {timings}.")


def _remarks(rows: Sequence[VariantReport]) -> Iterator[Text]:
    shared = shared_notes(rows)
    for row in rows:
        for note in row.notes:
            if note not in shared:
                yield Text(text=f"{row.run_name}: {note}.")
    for row in rows:
        if row.failure:
            yield Text(text=f"{row.run_name} failed: {row.failure}")
