"""How many examples each class has, in words, as a table and as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.engine.cards import Picture, Table
from mlflow_tfconv.steps.ingest.class_picture import draw_class_picture
from mlflow_tfconv.steps.ingest.sample_grid import value_text
from mlflow_tfconv.steps.ingest.statistics import Statistics

_MOST_SHOWN = 30
_MOST_NAMED = 5
_IMBALANCE = 10


def class_warnings(manifest: Manifest, statistics: Statistics) -> Iterator[str]:
    """What to know before a training: classes that a split lacks, that are rare, or too frequent."""
    splits = [split for split, count in manifest.counts.items() if count]
    for label, counts in statistics.classes.items():
        spec = manifest.schema.features[label]
        values = _values(spec, counts)
        if not values:
            continue
        texts = {value: repr(value_text(spec, value)) for value in values}
        for split in splits:
            missing = [texts[value] for value in values if not counts[value, split]]
            if missing:
                yield f"{split} lacks {_some(missing, 'class')} of {label!r}."
        totals = {value: sum(counts[value, split] for split in splits) for value in values}
        once = [texts[value] for value in values if totals[value] == 1]
        if once:
            yield f"There is only one example of {_some(once, 'class')} of {label!r}."
        most, least = max(totals.values()), min(filter(None, totals.values()))
        if most >= _IMBALANCE * least:
            yield (
                f"The classes of {label!r} are out of balance: the largest has {most / least:,.0f} "
                "times as many examples as the smallest."
            )


def balance(
    schema: Schema, statistics: Statistics, splits: Sequence[str], workdir: Path
) -> Iterator[Table | Picture]:
    """A table for each label of classes, and a picture where there are some to compare."""
    for number, (label, counts) in enumerate(statistics.classes.items()):
        spec = schema.features[label]
        values = _values(spec, counts)
        if not values:
            continue
        names = [value_text(spec, value) for value in values]
        rows = [[counts[value, split] for split in splits] for value in values]
        yield _table(label, names, rows, splits)
        if len(values) > 2:
            path = workdir / ("classes.png" if number == 0 else f"classes_{number}.png")
            draw_class_picture(names, rows, splits, path)
            text = f"Examples of each of {len(values):,} classes of {label!r}, by split"
            yield Picture(path=path, text=text)


def _table(
    label: str, names: Sequence[str], rows: Sequence[Sequence[int]], splits: Sequence[str]
) -> Table:
    shown = len(names[:_MOST_SHOWN])
    more = f", the first {shown} of {len(names):,}" if len(names) > shown else ""
    return Table(
        columns=("class", *splits),
        rows=tuple(
            (name, *(f"{count:,}" for count in row))
            for name, row in zip(names[:shown], rows[:shown], strict=True)
        ),
        caption=f"Examples of each class of {label!r}{more}",
    )


def _values(spec: FeatureSpec, counts: Counter[tuple[Any, str]]) -> list[Any]:
    """The classes in order, those without examples too; none of a label that counts something."""
    seen = {value for value, _ in counts}
    if spec.class_names is not None:
        text = spec.dtype == "string"
        known = [name.encode() if text else i for i, name in enumerate(spec.class_names)]
        return known + sorted(seen - set(known))
    return sorted(seen) if len(seen) <= _MOST_SHOWN else []


def _some(names: Sequence[str], what: str) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    if len(names) == 1:
        return f"the {what} {shown}"
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return f"{len(names):,} {what}es ({shown}{more})"
