"""What a person wants to see of a dataset."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.engine.cards import Card, Picture, Table, Text
from mlflow_tfconv.steps.ingest.sample_grid import draw_sample_grid, image_feature, value_text
from mlflow_tfconv.steps.ingest.statistics import Statistics

_MOST_CLASSES_SHOWN = 30


def card_of(manifest: Manifest, statistics: Statistics, workdir: Path) -> Card:
    """Counts, schema, class balance and a picture of some examples, which is written to workdir."""
    total = sum(manifest.counts.values())
    used = sum(count > 0 for count in manifest.counts.values())
    parts: list[Text | Table | Picture] = [
        _splits(manifest, total),
        _features(manifest.schema, statistics),
        *(Text(text=text) for text in varying_features(manifest.schema)),
        *_balance(manifest, statistics),
        *_picture(manifest.schema, statistics, workdir),
        Text(text=f"Content digest {manifest.digest}."),
    ]
    return Card(title=f"{total:,} examples in {used} splits", parts=tuple(parts))


def varying_features(schema: Schema) -> tuple[str, ...]:
    """A sentence for each feature whose shape differs between examples."""
    return tuple(
        f"The feature {name!r} varies in shape ({_shape(spec)}): its batches are padded with zeros "
        "up to the longest example, which layers that need a fixed size refuse."
        for name, spec in schema.features.items()
        if spec.varies
    )


def _splits(manifest: Manifest, total: int) -> Table:
    rows = tuple(
        (
            split,
            f"{manifest.counts[split]:,}",
            f"{manifest.counts[split] / total:.1%}",
            str(len(shards)),
            f"{sum(shard.size_bytes for shard in shards) / 1e6:,.2f}",
        )
        for split, shards in manifest.splits.items()
    )
    return Table(columns=("split", "examples", "share", "shards", "MB"), rows=rows)


def _features(schema: Schema, statistics: Statistics) -> Table:
    rows = tuple(
        (name, _role(schema, name), spec.dtype, _shape(spec), *_range(name, statistics))
        for name, spec in schema.features.items()
    )
    return Table(
        columns=("feature", "role", "type", "shape", "range", "with NaN or inf"),
        rows=rows,
        caption="Features",
    )


def _role(schema: Schema, name: str) -> str:
    roles = (
        "label" * (name in schema.label),
        "input" * (name in schema.inputs),
        "key" * (name == schema.key),
    )
    return ", ".join(filter(None, roles))


def _shape(spec: FeatureSpec) -> str:
    return " x ".join("varies" if size is None else str(size) for size in spec.shape) or "scalar"


def _range(name: str, statistics: Statistics) -> tuple[str, str]:
    known = statistics.features.get(name)
    if known is None:
        return "", ""
    low_high = f"{known.low:g} to {known.high:g}" if math.isfinite(known.low) else ""
    not_finite = known.missing + known.infinite
    return low_high, f"{not_finite:,}" if not_finite else ""


def _balance(manifest: Manifest, statistics: Statistics) -> Iterator[Table]:
    splits = tuple(manifest.splits)
    for label, counts in statistics.classes.items():
        spec = manifest.schema.features[label]
        values = sorted({value for value, _ in counts})
        if not values or (spec.class_names is None and len(values) > _MOST_CLASSES_SHOWN):
            continue
        shown = values[:_MOST_CLASSES_SHOWN]
        more = f", the first {len(shown)} of {len(values):,}" if len(values) > len(shown) else ""
        yield Table(
            columns=("class", *splits),
            rows=tuple(
                (value_text(spec, value), *(f"{counts[value, split]:,}" for split in splits))
                for value in shown
            ),
            caption=f"Examples of each class of {label!r}{more}",
        )


def _picture(schema: Schema, statistics: Statistics, workdir: Path) -> Iterator[Picture]:
    feature = image_feature(schema)
    if feature is not None:
        path = workdir / "sample_grid.png"
        draw_sample_grid(schema, statistics, feature, path)
        text = f"{len(statistics.samples)} examples of {feature!r}, drawn from all splits"
        yield Picture(path=path, text=text)
