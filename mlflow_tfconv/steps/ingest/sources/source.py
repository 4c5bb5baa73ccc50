"""What a source of examples is: pieces that are read one by one, each as a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

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
