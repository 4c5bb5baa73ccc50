"""What a source of examples is: pieces that are read one by one, each as a stream."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a source that is read on its own, in any process: a file, some, or a range of one.

    Attributes:
        name: What it is, for a person, such as "data/a.csv" or "cats/0001.jpg to cats/0999.jpg".
        arguments: What its source needs to read it; plain values, as JSON holds them.
        identity: What tells that its content is unchanged, such as the size and the time of the
            file's last change; plain values. A killed ingest does not read it again.
        size_bytes: About what it will give, for the progress; None when nobody knows.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at one place of a piece: an example, or why there is none.

    Attributes:
        where: The place, for a person: "data/a.csv, row 17", "cats/0001.jpg".
        example: `{feature: value}`, or the error for an example that can't be read. An error is
            given and not raised where the examples after it can be read all the same: whether it
            ends the step is for `ingest.on_error` to say.
        split: The split that the source itself says ("train", "validation" or "test"), such as a
            folder named so; None leaves it to the hash.
        group: What the hash is taken of when the recipe names no `key`: examples of one group stay
            in one split, such as the frames of a video. None takes the example itself.
        original_shapes: Feature to the shape it had before the source changed it, for the
            statistics: the size of an image before it was resized, or of one that stays encoded.
        record: The example serialized, where it is to be written as its source has it; None writes
            a tf.train.Example of `example`.
    """

    where: str
    example: Mapping[str, Any] | DataError
    split: str | None = None
    group: str | None = None
    original_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    record: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBatch:
    """What stands at many places of a piece, one after the other; taken at once where that can be.

    Attributes:
        count: How many places.
        columns: Feature to its values, an array (count, ...) or a sequence of values; anything at
            places without an example, and nothing at all where none has one.
        where: Gives a place, counted from 0 in here, for a person.
        errors: Place to why there is no example.
        split: As of `Found`.
    """

    count: int
    columns: Mapping[str, np.ndarray[Any, Any] | Sequence[Any]]
    where: Callable[[int], str]
    errors: Mapping[int, DataError] = field(default_factory=dict)
    split: str | None = None

    def __iter__(self) -> Iterator[Found]:
        """One by one."""
        names = tuple(self.columns)
        rows = zip(*self.columns.values(), strict=True) if names else itertools.repeat(())
        for index, values in zip(range(self.count), rows, strict=False):
            error = self.errors.get(index)
            example = dict(zip(names, values, strict=True)) if error is None else error
            yield Found(self.where(index), example, self.split)

    def part(self, first: int, last: int) -> FoundBatch:
        """Those from first to last (exclusive)."""
        where = self.where
        return FoundBatch(
            count=last - first,
            columns={name: values[first:last] for name, values in self.columns.items()},
            where=lambda index: where(first + index),
            errors={
                index - first: error
                for index, error in self.errors.items()
                if first <= index < last
            },
            split=self.split,
        )

    def without(self, places: Collection[int]) -> FoundBatch:
        """Those but some, as if these were not there."""
        kept = [index for index in range(self.count) if index not in places]
        new = {index: place for place, index in enumerate(kept)}
        where = self.where
        return FoundBatch(
            count=len(kept),
            columns={name: _those(values, kept) for name, values in self.columns.items()},
            where=lambda index: where(kept[index]),
            errors={new[index]: error for index, error in self.errors.items() if index in new},
            split=self.split,
        )

    @property
    def good(self) -> Sequence[int]:
        """The places with an example."""
        if not self.errors:
            return range(self.count)
        return [index for index in range(self.count) if index not in self.errors]

    @property
    def good_columns(self) -> Mapping[str, np.ndarray[Any, Any] | Sequence[Any]]:
        """Feature to the values at these places."""
        if not self.errors:
            return self.columns
        return {name: _those(values, self.good) for name, values in self.columns.items()}


def _those(values: np.ndarray[Any, Any] | Sequence[Any], places: Sequence[int]) -> Any:
    if isinstance(values, np.ndarray):
        return values[np.asarray(places, np.int64)]
    return [values[place] for place in places]


class Source(Protocol):
    """A source, opened; small, and picklable: it is sent to the processes that read its pieces.

    Attributes:
        features: What is known of features beforehand (given in recipe.yaml, or inferred from a
            sample); empty where the examples themselves show it.
        class_names: Label to its classes where they are known beforehand, such as the folders of
            images; an integer label is an index into them.

    A source may have the attributes `labels` too, a tuple: what is learned where the recipe names
    no label, such as the folders of images; and `splits`: those that folders or names say.
    """

    @property
    def features(self) -> Mapping[str, FeatureSpec]:
        """What is known beforehand."""

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """Label to its classes."""

    def pieces(self) -> tuple[Piece, ...]:
        """All of it, the same pieces in the same order on every machine.

        Raises:
            DataError: There are none.
        """

    def examples(self, piece: Piece) -> Iterator[Found]:
        """Those of one piece, always in the same order, holding few of them in memory.

        Raises:
            DataError: The piece can't be read any further.
        """


@runtime_checkable
class BatchSource(Protocol):
    """A source that finds many examples at once: what `Source.examples` gives one by one."""

    def batches(self, piece: Piece) -> Iterator[Found | FoundBatch]:
        """Those of one piece, always in the same order, few of them in memory.

        Raises:
            DataError: The piece can't be read any further.
        """
