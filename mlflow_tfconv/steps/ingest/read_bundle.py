"""A bundle of pieces read: its examples checked, one by one or many at once."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from mlflow_tfconv.data.columns import Columns, are_finite, columns_like
from mlflow_tfconv.data.inference import Arrays, SchemaInference
from mlflow_tfconv.data.rows import check_fits_rows
from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.bundle_writer import BundleWriter
from mlflow_tfconv.steps.ingest.bundles import Bundle
from mlflow_tfconv.steps.ingest.class_names import ClassNames
from mlflow_tfconv.steps.ingest.reading_job import (
    BundleRead,
    Features,
    ReadingJob,
    features_to_json,
)
from mlflow_tfconv.steps.ingest.skipped import Skipped
from mlflow_tfconv.steps.ingest.sources.source import BatchSource, Found, FoundBatch, Piece
from mlflow_tfconv.steps.ingest.statistics import Statistics

Say = Callable[[dict[str, Any]], None]

_TELL_EVERY_S = 0.25
_FEW = 16  # so few examples are checked one by one
_MOST_AT_ONCE = 2**13  # their records take some hundred bytes each, besides what they hold


def read_bundle(
    job: ReadingJob, bundle: Bundle, like: Features | None, say: Say
) -> tuple[BundleRead, Statistics]:
    """Reads a bundle's pieces one after the other, holding few examples in memory.

    Args:
        job: How.
        bundle: What.
        like: The features of the first example of all; None when this is where they begin.
        say: Gets `{"first": features}` at the first example and `{"progress": ...}` now and then.

    Raises:
        DataError: An example can't be read or does not fit, or there are too many of these; the
            disk took no more.
    """
    with ExitStack() as stack:
        reader = _Reader(job, bundle, like, say, stack)
        for piece, seed in zip(bundle.pieces, bundle.seeds, strict=True):
            number = 0
            for found in reader.stream(piece):
                if isinstance(found, FoundBatch):
                    reader.take_all(found, seed, number)
                    number += found.count
                else:
                    reader.take(found, seed, number)
                    number += 1
        return reader.finish(), reader.writer.statistics


def row_features(features: Features, classes: ClassNames) -> dict[str, FeatureSpec]:
    """Features as the layout "block" stores them: text of declared classes as indices."""
    return {
        name: dataclasses.replace(spec, dtype="int64")
        if spec.dtype == "string" and name in classes.names
        else spec
        for name, spec in features.items()
    }


class _Reader:
    """Takes examples and knows what became of them."""

    def __init__(
        self,
        job: ReadingJob,
        bundle: Bundle,
        like: Features | None,
        say: Say,
        stack: ExitStack,
    ) -> None:
        given = job.source.features
        self._given = given
        self._classes = ClassNames(job.source.class_names)
        self.writer = BundleWriter(job, bundle, self._classes, stack)
        self._job, self._bundle, self._like, self._say = job, bundle, like, say
        self._config = job.config
        self._block = job.config.layout == "block"
        self._inference = SchemaInference(job.config.labels, job.config.key, given=given, like=like)
        self._first: Features = {}
        self._skipped = Skipped()
        self._told = time.monotonic()

    def stream(self, piece: Piece) -> Iterator[Found | FoundBatch]:
        """A piece's examples; when it can't be read any further the rest of it counts as one."""
        source = self._job.source
        try:
            if isinstance(source, BatchSource):
                yield from source.batches(piece)
            else:
                yield from source.examples(piece)
        except DataError as error:
            if self._config.on_error == "fail":
                raise
            yield Found(where=piece.name, example=error)

    def take(self, found: Found, seed: str, number: int) -> None:
        """One example, or why there is none."""
        before = self._inference.features
        try:
            arrays = self._checked(found)
        except DataError as error:
            self._inference.features = before
            if self._config.on_error == "fail":
                raise
            self._skip(error)
            return
        if not self._first:
            self._begin()
        self.writer.put(found, arrays, self._inference.features, seed=seed, number=number)
        self._tell()

    def take_all(self, batch: FoundBatch, seed: str, number: int) -> None:
        """Many examples, the first of which has this number: at once where nothing is odd.

        Otherwise its halves, and so on: what is odd is in the end looked at by itself.
        """
        columns = self._agreeing(batch)
        if columns is not None:
            for _, error in sorted(batch.errors.items()):
                self._skip(error)
            numbers = [number + index for index in batch.good]
            self.writer.put_all(
                batch, columns, self._inference.features, seed=seed, numbers=numbers
            )
            self._tell()
        elif batch.count <= _FEW:
            for found in batch:
                self.take(found, seed, number)
                number += 1
        else:
            half = batch.count // 2
            self.take_all(batch.part(0, half), seed, number)
            self.take_all(batch.part(half, batch.count), seed, number + half)

    def finish(self) -> BundleRead:
        """All that is known now, with the segments complete on disk."""
        return BundleRead(
            identity=self._bundle.identity,
            like=self._like,
            first=self._first,
            features=self._inference.features if self._first else {},
            counts=self.writer.counts,
            contents=self.writer.contents,
            segments=self.writer.finish(),
            skipped=self._skipped,
        )

    def _checked(self, found: Found) -> Arrays:
        if isinstance(found.example, DataError):
            raise found.example
        before = self._inference.features
        arrays = self._inference.check(found.example, found.where)
        self._classes.check(arrays, found.where)
        if self._block and self._inference.features is not before:
            stored = row_features(self._inference.features, self._classes)
            check_fits_rows(stored, found.where)
        return arrays

    def _begin(self) -> None:
        self._first = self._inference.features
        self._say({"first": features_to_json(self._first)})

    def _agreeing(self, batch: FoundBatch) -> Columns | None:
        """The examples that are there, when all agree with what is known; None when one may not."""
        if not self._first or not _FEW < batch.count <= _MOST_AT_ONCE:
            return None
        if batch.errors and self._config.on_error == "fail":
            return None
        columns = columns_like(batch.good_columns, self._inference.features, self._given)
        if columns is None or not self._classes.know(columns):
            return None
        labels = (columns[label] for label in self._config.labels)
        return columns if all(map(are_finite, labels)) else None

    def _skip(self, error: DataError) -> None:
        self._skipped.add(error)
        self._skipped.check(self._config.max_errors)

    def _tell(self) -> None:
        if time.monotonic() - self._told > _TELL_EVERY_S:
            self._told = time.monotonic()
            self._say({"progress": [self.writer.counts.total(), self.writer.size_bytes]})
