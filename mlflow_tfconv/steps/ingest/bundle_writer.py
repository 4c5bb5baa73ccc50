"""Checked examples as records: split, counted, and written into segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from hashlib import blake2b

import numpy as np

from mlflow_tfconv.data.columns import Columns
from mlflow_tfconv.data.example_columns import serialized_examples
from mlflow_tfconv.data.examples import serialized_example
from mlflow_tfconv.data.framing import framed, framed_each
from mlflow_tfconv.data.inference import Arrays
from mlflow_tfconv.data.manifest import content_of, record_digest
from mlflow_tfconv.data.rows import row_of, rows_of
from mlflow_tfconv.data.shards import Disk
from mlflow_tfconv.data.splits import SPLITS, identities_of, identity_of, split_of, splits_of
from mlflow_tfconv.steps.ingest.bundles import Bundle
from mlflow_tfconv.steps.ingest.class_names import ClassNames
from mlflow_tfconv.steps.ingest.digests import Digests
from mlflow_tfconv.steps.ingest.reading_job import Features, ReadingJob
from mlflow_tfconv.steps.ingest.segments import Segment, SegmentWriter, ShuffledSegmentWriter
from mlflow_tfconv.steps.ingest.sources.source import Found, FoundBatch
from mlflow_tfconv.steps.ingest.statistics import Statistics


class BundleWriter:
    """Writes what a bundle holds, one example or many at once: the same to the bit.

    Attributes:
        statistics: Of the examples so far.
        counts: Split to the number of its examples.
        size_bytes: Of their records.
    """

    def __init__(
        self, job: ReadingJob, bundle: Bundle, classes: ClassNames, stack: ExitStack
    ) -> None:
        images = [n for n, spec in job.source.features.items() if spec.encoding == "image"]
        self.statistics = Statistics(job.config.labels, images)
        self.counts: Counter[str] = Counter()
        self.size_bytes = 0
        self._job, self._bundle, self._classes = job, bundle, classes
        self._config = job.config
        self._block = job.config.layout == "block"
        self._contents: Counter[str] = Counter()
        self._writers = {split: self._writer(split, stack) for split in SPLITS if job.write}

    @property
    def contents(self) -> dict[str, str]:
        """Split to the sum of its digests, see `Shard.content`."""
        return {split: content_of(total) for split, total in self._contents.items()}

    def put(
        self, found: Found, arrays: Arrays, features: Features, *, seed: str, number: int
    ) -> None:
        """One example.

        Args:
            found: The example, as it was found.
            arrays: Its values, checked.
            features: What is known of these.
            seed: What is mixed into its random number when the examples are shuffled.
            number: Its place in its piece.

        Raises:
            DataError: The disk took no more.
        """
        if self._block:
            record = row_of(self._classes.as_indices(arrays))
        elif found.record is not None:
            record = found.record
        else:
            record = serialized_example(arrays, features)
        digest = record_digest(record)
        split = found.split or split_of(
            self._identity(found, arrays, digest), self._config.split_ratios
        )
        if self._job.write:
            unit = record if self._block else framed(record)
            place = self._places(seed, [number])[0] if self._config.shuffle else digest
            self._writers[split].write(unit, place)
        self.counts[split] += 1
        self._contents[split] += digest
        self.size_bytes += len(record)
        self.statistics.add(split, arrays, digest, found.original_shapes)

    def put_all(
        self,
        batch: FoundBatch,
        columns: Columns,
        features: Features,
        *,
        seed: str,
        numbers: Sequence[int],
    ) -> None:
        """Many examples, as `put` takes each.

        Raises:
            DataError: The disk took no more.
        """
        if self._block:
            records = rows_of(self._classes.as_indices(columns))
        else:
            records = serialized_examples(columns, features)
        digests = Digests.of(records)
        splits = [batch.split] * len(records) if batch.split else self._splits(columns, digests)
        units = records if self._block or not self._job.write else framed_each(records)
        for split in SPLITS:
            those = np.flatnonzero(np.array([one == split for one in splits], dtype=bool))
            if those.size:
                chosen = digests.those(those)
                self._contents[split] += chosen.total()
                if self._job.write:
                    indices = those.tolist()
                    places = [numbers[index] for index in indices]
                    self._write_all(split, [units[i] for i in indices], chosen, seed, places)
        self.counts.update(splits)
        self.size_bytes += sum(map(len, records))
        self.statistics.add_all(splits, columns, digests)

    def finish(self) -> Mapping[str, tuple[Segment, ...]]:
        """Split to its segments, complete on disk."""
        return {split: writer.finish() for split, writer in self._writers.items()}

    def _writer(self, split: str, stack: ExitStack) -> SegmentWriter | ShuffledSegmentWriter:
        kind = ShuffledSegmentWriter if self._config.shuffle else SegmentWriter
        disk = Disk(self._job.folder, self._job.needed_bytes)
        writer = kind(disk, f"{self._bundle.key}-{split}", self._job.shard_bytes)
        stack.callback(writer.close)
        return writer

    def _write_all(
        self,
        split: str,
        units: Sequence[bytes],
        digests: Digests,
        seed: str,
        numbers: Sequence[int],
    ) -> None:
        writer = self._writers[split]
        if isinstance(writer, SegmentWriter):
            writer.write_all(units, digests)
        else:
            writer.write_all(units, self._places(seed, numbers))

    def _identity(self, found: Found, arrays: Arrays, digest: int) -> bytes:
        """What stays the same of an example: its key, its group, or the digest of all of it."""
        if self._config.key is not None:
            return identity_of(arrays[self._config.key])
        return digest.to_bytes(32, "big") if found.group is None else found.group.encode()

    def _splits(self, columns: Columns, digests: Digests) -> list[str]:
        key = self._config.key
        identities = digests.whole if key is None else identities_of(columns[key])
        return splits_of(identities, self._config.split_ratios)

    def _places(self, seed: str, numbers: Sequence[int]) -> list[int]:
        """Numbers below 2**64 that hang on where the examples stand, and on the seed."""
        before = f"{self._config.seed}\0{seed}\0".encode()
        hashed = [blake2b(before + b"%d" % number, digest_size=8).digest() for number in numbers]
        return list(np.frombuffer(b"".join(hashed), ">u8").tolist())
