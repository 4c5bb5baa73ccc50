"""What single bytes values of foreign records are: images, tensors, text, or nobody knows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field

from mlflow_tfconv.data.image_headers import (
    ImageDamagedError,
    image_format,
    image_shape,
    undecodable_format,
)
from mlflow_tfconv.data.inference import merged_shape
from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.data.tensor_messages import READ_AS, tensor_found

_MOST_LOOKED_AT = 2000
_COLOURS = 3


@dataclass(slots=True)
class BytesSeen:
    """What the values of one feature were.

    Attributes:
        values: How many were looked at.
        images: How many begin as an image that TensorFlow decodes.
        other_images: Format to how many begin as one that it does not decode.
        tensors: How many are a serialized tensor.
        text: Whether all are UTF-8.
        sizes: Length to how many are that long.
        differing: Place and what it holds of the first tensor that is of another type or rank than
            those before.
    """

    values: int = 0
    images: int = 0
    other_images: Counter[str] = field(default_factory=Counter)
    tensors: int = 0
    text: bool = True
    sizes: Counter[int] = field(default_factory=Counter)
    differing: tuple[str, str] | None = None
    _shape: tuple[int | None, ...] | None = None
    _channels: set[int] = field(default_factory=set)
    _tensor: FeatureSpec | None = None

    def add(self, value: bytes, where: str) -> None:
        """Takes a value; beyond the first thousands they are taken to be alike."""
        if self.values >= _MOST_LOOKED_AT:
            return
        self.values += 1
        self.sizes[len(value)] += 1
        if image_format(value):
            self.images += 1
            self._add_image(value)
        elif (other := undecodable_format(value)) is not None:
            self.other_images[other] += 1
        elif tensor_found(value) is not None:
            self.tensors += 1
            self._add_tensor(value, where)
        else:
            self.text = self.text and _is_text(value)

    @property
    def spec(self) -> FeatureSpec | None:
        """The image or tensor that most of the values are; None when they are something else."""
        if 2 * self.tensors > self.values:
            return self._tensor
        if 2 * self.images <= self.values:
            return None
        height, width = (None, None) if self._shape is None else self._shape[:2]
        channels = next(iter(self._channels)) if len(self._channels) == 1 else _COLOURS
        return FeatureSpec("uint8", (height, width, channels), encoding="image")

    @property
    def size(self) -> int | None:
        """The length of every value, None when they differ."""
        return next(iter(self.sizes)) if len(self.sizes) == 1 else None

    def _add_image(self, value: bytes) -> None:
        try:
            shape = image_shape(value)
        except ImageDamagedError:
            return  # it is told with its record when all are read
        self._shape = shape if self._shape is None else merged_shape(self._shape, shape)
        self._channels.add(shape[2])

    def _add_tensor(self, value: bytes, where: str) -> None:
        found = tensor_found(value)
        if found is None:
            return
        dtype = READ_AS.get(found.dtype, found.dtype)
        stored = found.dtype if dtype != found.dtype else None
        spec = FeatureSpec(dtype, found.shape, encoding="tensor", stored_dtype=stored)
        known = self._tensor or spec
        shape = merged_shape(known.shape, found.shape)
        if shape is None or (dtype, stored) != (known.dtype, known.stored_dtype):
            self.differing = self.differing or (where, f"{found.dtype} {found.shape}")
        else:
            self._tensor = dataclasses.replace(known, shape=shape)


def _is_text(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in value
