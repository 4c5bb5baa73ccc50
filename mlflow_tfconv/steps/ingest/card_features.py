"""Tables of features: what they are, what values they have, what is missing, how large they are."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.engine.cards import Table
from mlflow_tfconv.steps.ingest.feature_statistics import FeatureStatistics
from mlflow_tfconv.steps.ingest.sample_grid import is_image, shape_text
from mlflow_tfconv.steps.ingest.sizes import Sizes
from mlflow_tfconv.steps.ingest.statistics import Statistics

_MOST_SHOWN = 60
_OF_IMAGES = ("height", "width", "channels")
_SIZES = ("smallest", "5 %", "median", "95 %", "largest")


def feature_table(schema: Schema, statistics: Statistics) -> Table:
    """A row a feature; a column that would be empty is left out."""
    total = sum(statistics.counts.values())
    shown = tuple(schema.features.items())[:_MOST_SHOWN]
    rows = [
        (
            name,
            _role(schema, name),
            spec.dtype,
            shape_text(spec),
            _range(statistics.features.get(name)),
            _share(statistics, name, "missing", total),
            _share(statistics, name, "infinite", total),
        )
        for name, spec in shown
    ]
    columns = ("feature", "role", "type", "shape", "range", "missing (NaN, empty)", "with infinity")
    kept = [i for i in range(len(columns)) if i < 4 or any(row[i] for row in rows)]
    more = f", the first {_MOST_SHOWN} of {len(schema.features):,}"
    return Table(
        columns=tuple(columns[i] for i in kept),
        rows=tuple(tuple(row[i] for i in kept) for row in rows),
        caption="Features" + (more if len(shown) < len(schema.features) else ""),
    )


def size_tables(schema: Schema, statistics: Statistics) -> Iterator[Table]:
    """Sizes of images, and lengths of whatever else differs between examples."""
    images: list[tuple[str, ...]] = []
    others: list[tuple[str, ...]] = []
    for name, spec in schema.features.items():
        known = statistics.features.get(name)
        if known is None or (not known.dimensions and not known.lengths.count):
            continue
        if is_image(spec):
            images += _image_rows(name, known)
        else:
            others += _other_rows(name, spec, known)
    if images:
        yield Table(columns=("image", *_SIZES), rows=tuple(images), caption=_caption(schema))
    if others:
        yield Table(columns=("feature", *_SIZES), rows=tuple(others), caption="Lengths")


def _caption(schema: Schema) -> str:
    fixed = any(is_image(spec) and not spec.varies for spec in schema.features.values())
    return "Sizes of images as they were found" if fixed else "Sizes of images"


def _image_rows(name: str, known: FeatureStatistics) -> Iterator[tuple[str, ...]]:
    names = _OF_IMAGES if len(known.dimensions) < 4 else ("frames", *_OF_IMAGES)
    for meaning, sizes in zip(names, known.dimensions, strict=False):
        if meaning == "channels" and sizes.low == sizes.high:
            continue
        yield f"{name}: {meaning}", *_quantiles(sizes)


def _other_rows(
    name: str, spec: FeatureSpec, known: FeatureStatistics
) -> Iterator[tuple[str, ...]]:
    for number, (size, sizes) in enumerate(zip(spec.shape, known.dimensions, strict=False)):
        if size is None:
            place = f", dimension {number}" if len(spec.shape) > 1 else ""
            yield f"{name}{place}", *_quantiles(sizes)
    if known.lengths.count and spec.class_names is None:
        yield f"{name}, bytes of text", *_quantiles(known.lengths)


def _quantiles(sizes: Sizes) -> tuple[str, ...]:
    middle = (sizes.quantile(share) for share in (0.05, 0.5, 0.95))
    return tuple(f"{size:,}" for size in (sizes.low, *middle, sizes.high))


def _role(schema: Schema, name: str) -> str:
    roles = (
        "label" * (name in schema.label),
        "input" * (name in schema.inputs),
        "key" * (name == schema.key),
    )
    return ", ".join(filter(None, roles))


def _range(known: FeatureStatistics | None) -> str:
    if known is None or not math.isfinite(known.low):
        return ""
    return f"{known.low:g} to {known.high:g}"


def _share(statistics: Statistics, name: str, kind: str, total: int) -> str:
    count = getattr(statistics.features.get(name), kind, 0)
    return f"{count:,} ({count / total:.1%})" if count else ""
