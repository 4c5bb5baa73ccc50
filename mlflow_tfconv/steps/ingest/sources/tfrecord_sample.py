"""A sample of foreign records: which features they have, in which lists, of which lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.sources.tfrecord_bytes import BytesSeen
from mlflow_tfconv.steps.ingest.sources.tfrecord_files import RecordFile
from mlflow_tfconv.steps.ingest.sources.tfrecord_messages import (
    check_message,
    features_of,
    kind_of,
    lists_of,
    message_of,
)
from mlflow_tfconv.steps.ingest.sources.tfrecord_options import TfrecordOptions

_LITTLE_BYTES = 32_000_000  # all files together: looked at whole
_MOST_BYTES = 100_000_000  # of one file
_MOST_REMOTE_BYTES = 8_000_000


@dataclass(slots=True)
class Lengths:
    """The smallest and the largest of some lengths."""

    least: int | None = None
    most: int = 0

    def add(self, length: int) -> None:
        """Takes one."""
        self.least = length if self.least is None else min(self.least, length)
        self.most = max(self.most, length)

    @property
    def common(self) -> int | None:
        """The one length of all; None when they differ, or there was none."""
        return self.least if self.least == self.most else None


@dataclass(slots=True)
class FeatureSeen:
    """What a feature was in the records that were looked at.

    Attributes:
        kind: "int64_list", "float_list" or "bytes_list".
        sequence: Whether it is a feature list.
        where: The first record that has it.
        records: How many have it.
        lengths: Of its lists of values; of a feature list, of each step.
        steps: Of a feature list: their number.
        values: Of an int64 list of one value: the value, as long as it is the same one.
        bytes_seen: What its bytes values are, as long as each list holds one.
        differing: Place and kind of the first list that is of another kind than those before.
    """

    kind: str
    sequence: bool
    where: str
    records: int = 0
    lengths: Lengths = field(default_factory=Lengths)
    steps: Lengths = field(default_factory=Lengths)
    value: int | None = None
    bytes_seen: BytesSeen = field(default_factory=BytesSeen)
    differing: tuple[str, str] | None = None

    def add(self, features: Sequence[Any], where: str) -> None:
        """Takes the feature of one record: one list, or the steps of a feature list."""
        self.records += 1
        self.steps.add(len(features))
        for feature in features:
            kind = kind_of(feature)
            if kind != self.kind:
                self.differing = self.differing or (where, kind or "an empty feature")
                continue
            values = getattr(feature, kind).value
            self.lengths.add(len(values))
            if kind == "bytes_list" and len(values) == 1:
                self.bytes_seen.add(values[0], where)
            if kind == "int64_list" and len(values) == 1:
                self.value = values[0] if self.value in (None, values[0]) else -1


@dataclass(slots=True)
class RecordSample:
    """What the records that were looked at are.

    Attributes:
        records: How many were looked at.
        files: Of how many files.
        whole: Whether these are all that there are.
        features: Feature to what it was; feature lists come last.
        problem: The first record that was left out, because it can't be read; None without.
    """

    records: int = 0
    files: int = 0
    whole: bool = True
    features: dict[str, FeatureSeen] = field(default_factory=dict)
    problem: DataError | None = None

    def add(self, record: bytes, where: str) -> None:
        """Takes a record.

        Raises:
            DataError: It is no example.
        """
        message = message_of(record, where)
        check_message(message, record, where)
        self.records += 1
        for name, feature in features_of(message).items():
            if kind_of(feature) is not None:
                self._seen(name, [feature], where, sequence=False)
        for name, steps in lists_of(message).items():
            self._seen(name, list(steps.feature), where, sequence=True)

    def _seen(self, name: str, features: list[Any], where: str, *, sequence: bool) -> None:
        seen = self.features.get(name)
        if seen is None:
            kind = kind_of(features[0]) if features else None
            if kind is None:
                return  # a list without steps, or of steps without values, says nothing
            seen = self.features[name] = FeatureSeen(kind, sequence, where)
        if seen.sequence != sequence:
            raise DataError(
                f"{where}: the feature {name!r} is in the context and in the feature lists.",
                fix="Rename one of them: convert the data with `using: custom`.",
            )
        seen.add(features, where)


def sample_of(files: Sequence[RecordFile], options: TfrecordOptions, *, skip: bool) -> RecordSample:
    """Looks at records of some files; little data are looked at whole.

    Args:
        files: All files.
        options: How much to look at.
        skip: Whether records that can't be read are left out, to be counted later.

    Raises:
        DataError: A file or a record can't be read.
    """
    sizes = [file.file.size_bytes for file in files]
    little = None not in sizes and sum(size or 0 for size in sizes) <= _LITTLE_BYTES
    chosen = files if little else _spread(files, options.sample_files)
    sample = RecordSample(files=len(chosen), whole=little)
    for file in chosen:
        for number, record in _some_records(file, options.sample_records, whole=little):
            try:
                if isinstance(record, DataError):
                    raise record
                sample.add(record, where_of(file, number))
            except DataError as error:
                if not skip:
                    raise
                sample.problem = sample.problem or error
    return sample


def where_of(file: RecordFile, number: int) -> str:
    """The place of a record, for a person."""
    return f"{file.file.shown}, record {number} (from 0)"


def _spread(files: Sequence[RecordFile], most: int) -> list[RecordFile]:
    """So many of them at most, evenly, the first and the last among them."""
    if len(files) <= most or most == 1:
        return list(files)[:most] if most == 1 else list(files)
    return [files[round(n * (len(files) - 1) / (most - 1))] for n in range(most)]


def _some_records(
    file: RecordFile, count: int, *, whole: bool
) -> Iterator[tuple[int, bytes | DataError]]:
    """Number and record: some in a row, then every tenth of as many, every hundredth, ..."""
    left = _MOST_REMOTE_BYTES if file.file.remote else _MOST_BYTES
    step, until = 1, count
    with closing(file.file.open()) as opened:
        for number, record in enumerate(file.frames(opened)):
            if whole or number % step == 0 or isinstance(record, DataError):
                yield number, record
            if not whole and number >= until:
                step, until = step * 10, until * 10
            left -= len(record) if isinstance(record, bytes) else 0
            if left < 0 and not whole:
                return
