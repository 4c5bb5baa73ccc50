"""What a model can take: the range and the form of the values of an input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: What values are, when they are not just numbers: an encoded image, serialized `tf.train.Example`
#: messages, words, digits as text, raw bytes, the number of examples in the batch.
Content = Literal["numbers", "jpeg", "png", "example", "words", "digits", "bytes", "batch_size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A feature of serialized examples.

    Attributes:
        dtype: A numpy dtype name, or "string".
        count: Number of values.
    """

    dtype: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRange:
    """What is known of the values of an input.

    Attributes:
        low: The smallest value that makes sense, or None.
        high: The largest, itself included, or None.
        shape: The whole shape of a batch, where it is not (batch, ...) or dimensions have to be of
            a certain size; None leaves the batch size, and in the tail all sizes, open.
        content: What the values are.
        whole: Whether floats stand for whole numbers.
        features: Of serialized examples: name to feature.
    """

    low: float | None = None
    high: float | None = None
    shape: tuple[int | None, ...] | None = None
    content: Content = "numbers"
    whole: bool = False
    features: Mapping[str, Feature] = field(default_factory=dict)
