"""What a person wants to see of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.engine.cards import Card, Picture, Table, Text
from mlflow_tfconv.steps.ingest.card_classes import balance, class_warnings
from mlflow_tfconv.steps.ingest.card_features import feature_table, size_tables
from mlflow_tfconv.steps.ingest.sample_grid import (
    draw_sample_grid,
    image_feature,
    is_image,
    shape_text,
)
from mlflow_tfconv.steps.ingest.sample_table import sample_table
from mlflow_tfconv.steps.ingest.skipped import Skipped
from mlflow_tfconv.steps.ingest.statistics import Statistics

_MOST_SKIPPED_SHOWN = 20

Part = Text | Table | Picture


def card_of(
    manifest: Manifest, statistics: Statistics, workdir: Path, skipped: Skipped | None = None
) -> Card:
    """Counts, schema, class balance and some examples; pictures are written to workdir."""
    schema, counts = manifest.schema, manifest.counts
    used = sum(count > 0 for count in counts.values())
    parts: list[Part] = [
        _splits(manifest),
        *(Text(text=text) for text in _warnings(manifest, statistics)),
        *_skipped(skipped or Skipped()),
        *balance(schema, statistics, tuple(counts), workdir),
        *_samples(schema, statistics, workdir),
        feature_table(schema, statistics),
        *size_tables(schema, statistics),
        *(Text(text=text) for text in varying_features(schema)),
        Text(text=f"Content digest {manifest.digest}."),
    ]
    return Card(title=f"{sum(counts.values()):,} examples in {used} splits", parts=tuple(parts))


def varying_features(schema: Schema) -> tuple[str, ...]:
    """A sentence for each feature whose shape differs between examples."""
    return tuple(
        f"The feature {name!r} varies in shape ({shape_text(spec)}): its batches are padded with "
        f"zeros up to the longest example, which layers that need a fixed size refuse."
        f"{_advice(spec)}"
        for name, spec in schema.features.items()
        if spec.varies
    )


def _advice(spec: FeatureSpec) -> str:
    if spec.dtype != "uint8" or not is_image(spec):
        return ""
    stored = ", with `store: pixels`" if spec.encoding == "image" else ""
    asked = f"`ingest.image.size: [224, 224]`{stored}"
    return f" Give images one size: {asked}, or where arrays are made."


def _splits(manifest: Manifest) -> Table:
    total = sum(manifest.counts.values())
    rows = tuple(
        (
            split,
            f"{manifest.counts[split]:,}",
            f"{manifest.counts[split] / max(total, 1):.1%}",
            str(len(shards)),
            f"{sum(shard.size_bytes for shard in shards) / 1e6:,.2f}",
        )
        for split, shards in manifest.splits.items()
    )
    return Table(columns=("split", "examples", "share", "shards", "MB"), rows=rows)


def _warnings(manifest: Manifest, statistics: Statistics) -> Iterator[str]:
    empty = [split for split, count in manifest.counts.items() if count == 0]
    if empty:
        yield f"⚠ No examples in {' and '.join(empty)}."
    yield from (f"⚠ {text}" for text in class_warnings(manifest, statistics))


def _skipped(skipped: Skipped) -> Iterator[Table]:
    if not skipped.count:
        return
    shown = skipped.texts[:_MOST_SKIPPED_SHOWN]
    first = f", the first {len(shown)}" if len(shown) < skipped.count else ""
    examples = "example" if skipped.count == 1 else "examples"
    yield Table(
        columns=("left out", "why"),
        rows=tuple((str(number), text) for number, text in enumerate(shown, start=1)),
        caption=f"⚠ {skipped.count:,} {examples} that could not be used{first}",
    )


def _samples(schema: Schema, statistics: Statistics, workdir: Path) -> Iterator[Part]:
    feature = image_feature(schema)
    if feature is None:
        yield from sample_table(schema, statistics)
        return
    path = workdir / "sample_grid.png"
    draw_sample_grid(schema, statistics, feature, path)
    text = f"{len(statistics.samples)} examples of {feature!r}, drawn from all splits"
    yield Picture(path=path, text=text)
