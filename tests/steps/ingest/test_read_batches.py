"""What is read many examples at once becomes the same as one by one: files, notes and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.bundles import bundles_of
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.read_bundle import read_bundle
from mlflow_tfconv.steps.ingest.reading_job import ReadingJob
from mlflow_tfconv.steps.ingest.sources.source import BatchSource, Found, FoundBatch, Piece

Columns = Mapping[str, Any]
RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class OneByOne:
    """Gives the columns row by row."""

    columns: Columns
    errors: Mapping[int, str] = field(default_factory=dict)
    split: str | None = None
    features: Mapping[str, FeatureSpec] = field(default_factory=dict)
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def pieces(self) -> tuple[Piece, ...]:
        return (Piece(name="a"), Piece(name="b"))

    def examples(self, piece: Piece) -> Iterator[Found]:
        yield from self.batch(piece)

    def batch(self, piece: Piece) -> FoundBatch:
        return FoundBatch(
            count=len(next(iter(self.columns.values()))),
            columns=self.columns,
            where=lambda index: f"{piece.name}, row {index}",
            errors={
                row: DataError(f"{piece.name}, row {row}: {s}") for row, s in self.errors.items()
            },
            split=self.split,
        )


class AtOnce(OneByOne):
    """Gives them many at once, in batches of different sizes."""

    def batches(self, piece: Piece) -> Iterator[FoundBatch]:
        batch, first = self.batch(piece), 0
        for size in (1, 40, 200, batch.count):
            yield batch.part(first, min(first + size, batch.count))
            first = min(first + size, batch.count)


def left(folder: Path, source: OneByOne, **config: Any) -> Any:
    """All that reading leaves behind: files by name, what is known, or the error."""
    folder.mkdir()
    job = ReadingJob(
        source=source,
        config=IngestConfig(using="csv", location="x", **config),
        root=folder,
        bundles=bundles_of(source.pieces()),
        folder=folder,
        output=folder,
    )
    found = []
    for bundle in job.bundles:
        try:
            read, statistics = read_bundle(job, bundle, None, lambda told: None)
        except DataError as e:
            return str(e)
        statistics.save(folder / f"{bundle.key}.npz")
        found.append(read.to_json())
    return found, {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def check_same(folder: Path, *given: Any, config: Mapping[str, Any], **also: Any) -> Any:
    assert isinstance(AtOnce(*given, **also), BatchSource)
    at_once = left(folder / "at once", AtOnce(*given, **also), **config)
    singly = left(folder / "one by one", OneByOne(*given, **also), **config)
    assert at_once == singly
    return at_once


def table(rows: int = 300) -> dict[str, Any]:
    return {
        "id": np.arange(rows),
        "x": RNG.normal(size=(rows, 3)).astype("float32"),
        "label": RNG.integers(0, 3, rows),
        "text": [b"%d" % number for number in RNG.integers(0, 99, rows)],
    }


def numeric(rows: int = 300) -> dict[str, Any]:
    return {**table(rows), "text": RNG.random(rows)}


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"label": "label", "shard_mb": 0.002},
        {"label": ("label", "text"), "key": "text"},
        {"key": "x", "split_ratios": (0.5, 0.0, 0.5)},
        {"shuffle": True, "seed": 3, "shard_mb": 0.005},
    ],
)
def test_good_examples(tmp_path: Path, config: dict[str, Any]) -> None:
    found, files = check_same(tmp_path, table(), config=config)
    assert sum(found[0]["counts"].values()) == 300
    assert len(files) > 2


@pytest.mark.parametrize("config", [{}, {"key": "id"}, {"label": "label", "shuffle": True}])
def test_rows_of_blocks(tmp_path: Path, config: dict[str, Any]) -> None:
    check_same(tmp_path, numeric(), config={**config, "layout": "block"})


def test_texts_of_declared_classes_in_blocks(tmp_path: Path) -> None:
    columns = {**numeric(), "label": [b"ab"[n % 2 : n % 2 + 1] for n in range(300)]}
    config = {"layout": "block", "label": "label"}
    check_same(tmp_path, columns, config=config, class_names={"label": ("b", "a")})


def test_a_split_of_the_source(tmp_path: Path) -> None:
    found, _ = check_same(tmp_path, table(), config={}, split="test")
    assert found[0]["counts"] == {"test": 300}


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("rows", [(0,), (1, 2, 250), (299,), tuple(range(250, 300))])
def test_examples_that_can_not_be_read(tmp_path: Path, rows: Any, on_error: str) -> None:
    errors = dict.fromkeys(rows, "bad")
    for number, (most, shuffle) in enumerate([(100, False), (100, True), (2, False)]):
        (folder := tmp_path / str(number)).mkdir()
        config = {"on_error": on_error, "max_errors": most, "shuffle": shuffle}
        check_same(folder, table(), errors, config=config)


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("row", [0, 1, 47, 298])
def test_values_that_do_not_fit(tmp_path: Path, row: int, on_error: str) -> None:
    texts, labels, numbers = list(table()["text"]), np.arange(300.0), np.arange(300)
    texts[row], labels[row], numbers[row] = None, np.nan, 300
    arrays = [np.zeros(4)] * 300
    arrays[row] = np.zeros(5)
    for number, odd in enumerate(({"a": texts}, {"label": labels}, {"b": numbers}, {"c": arrays})):
        (folder := tmp_path / str(number)).mkdir()
        given = {"b": FeatureSpec("int16"), "label": FeatureSpec("float32")} if "b" in odd else {}
        columns = {"label": np.zeros(300), **odd}
        config = {"on_error": on_error, "label": "label"}
        check_same(folder, columns, {9: "bad"}, config=config, features=given)


@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_labels_of_unknown_classes(tmp_path: Path, on_error: str) -> None:
    config = {"label": "label", "on_error": on_error}
    check_same(tmp_path, table(), config=config, class_names={"label": ("b", "a")})
