"""A bundle of pieces read: its examples checked, split, counted and written into segments."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from mlflow_tfconv.data.examples import serialized_example
from mlflow_tfconv.data.framing import framed
from mlflow_tfconv.data.inference import Arrays, SchemaInference
from mlflow_tfconv.data.manifest import content_of, record_digest
from mlflow_tfconv.data.rows import check_fits_rows, row_of
from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.data.shards import Disk
from mlflow_tfconv.data.splits import SPLITS, identity_of, split_of
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.bundles import Bundle
from mlflow_tfconv.steps.ingest.class_names import ClassNames
from mlflow_tfconv.steps.ingest.reading_job import (
    BundleRead,
    Features,
    ReadingJob,
    features_to_json,
)
from mlflow_tfconv.steps.ingest.segments import SegmentWriter, ShuffledSegmentWriter
from mlflow_tfconv.steps.ingest.skipped import Skipped
from mlflow_tfconv.steps.ingest.sources.source import Found, Piece
from mlflow_tfconv.steps.ingest.statistics import Statistics

Say = Callable[[dict[str, Any]], None]

_TELL_EVERY_S = 0.25


def read_bundle(
    job: ReadingJob, bundle: Bundle, like: Features | None, say: Say
) -> tuple[BundleRead, Statistics]:
    """Reads a bundle's pieces one after the other, holding one example at a time.

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
            for number, found in enumerate(reader.stream(piece)):
                reader.take(found, seed, number)
        return reader.finish(), reader.statistics


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
        images = [name for name, spec in given.items() if spec.encoding == "image"]
        self.statistics = Statistics(job.config.labels, images)
        self._job, self._bundle, self._like, self._say = job, bundle, like, say
        self._config = job.config
        self._block = job.config.layout == "block"
        self._inference = SchemaInference(job.config.labels, job.config.key, given=given, like=like)
        self._classes = ClassNames(job.source.class_names)
        self._first: Features = {}
        self._skipped = Skipped()
        self._counts: Counter[str] = Counter()
        self._contents: Counter[str] = Counter()
        self._writers = {split: self._writer(split, stack) for split in SPLITS if job.write}
        self._bytes = 0
        self._told = time.monotonic()

    def stream(self, piece: Piece) -> Iterator[Found]:
        """A piece's examples; when it can't be read any further the rest of it counts as one."""
        try:
            yield from self._job.source.examples(piece)
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
            self._skipped.add(error)
            self._skipped.check(self._config.max_errors)
            return
        if not self._first:
            self._begin()
        self._put(found, arrays, seed, number)
        self._tell()

    def finish(self) -> BundleRead:
        """All that is known now, with the segments complete on disk."""
        segments = {split: writer.finish() for split, writer in self._writers.items()}
        return BundleRead(
            identity=self._bundle.identity,
            like=self._like,
            first=self._first,
            features=self._inference.features if self._first else {},
            counts=self._counts,
            contents={split: content_of(total) for split, total in self._contents.items()},
            segments=segments,
            skipped=self._skipped,
        )

    def _writer(self, split: str, stack: ExitStack) -> SegmentWriter | ShuffledSegmentWriter:
        kind = ShuffledSegmentWriter if self._config.shuffle else SegmentWriter
        disk = Disk(self._job.folder, self._job.needed_bytes)
        writer = kind(disk, f"{self._bundle.key}-{split}", self._job.shard_bytes)
        stack.callback(writer.close)
        return writer

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

    def _put(self, found: Found, arrays: Arrays, seed: str, number: int) -> None:
        if self._block:
            record = row_of(self._classes.as_indices(arrays))
        elif found.record is not None:
            record = found.record
        else:
            record = serialized_example(arrays, self._inference.features)
        digest = record_digest(record)
        split = found.split or split_of(
            self._identity(found, arrays, digest), self._config.split_ratios
        )
        if self._job.write:
            unit = record if self._block else framed(record)
            place = self._place(seed, number) if self._config.shuffle else digest
            self._writers[split].write(unit, place)
        self._counts[split] += 1
        self._contents[split] += digest
        self._bytes += len(record)
        self.statistics.add(split, arrays, digest, found.original_shapes)

    def _identity(self, found: Found, arrays: Arrays, digest: int) -> bytes:
        """What stays the same of an example: its key, its group, or the digest of all of it."""
        if self._config.key is not None:
            return identity_of(arrays[self._config.key])
        return digest.to_bytes(32, "big") if found.group is None else found.group.encode()

    def _place(self, seed: str, number: int) -> int:
        """A number between 0 and 2**64 that hangs on where the example stands, and on the seed."""
        text = f"{self._config.seed}\0{seed}\0{number}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")

    def _tell(self) -> None:
        if time.monotonic() - self._told > _TELL_EVERY_S:
            self._told = time.monotonic()
            self._say({"progress": [self._counts.total(), self._bytes]})
