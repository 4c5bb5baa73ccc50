"""What a darknet network is made of: its layers, their shapes, and the order of its weights.

Nothing is built here: shapes and counts are known before anything as large as a weight is touched.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow_tfconv.sources.darknet.cfg_text import Section

#: (channels, height, width) of an image, (units,) of a vector.
Shape = tuple[int, ...]

#: More values than this in one result of one example is a mistake in the text.
_MOST_VALUES = 2**30


@dataclass(frozen=True, slots=True)
class Slot:
    """A run of numbers in a weights file.

    Attributes:
        layer: The name of the layer that they belong to.
        name: What they are: "biases", "scales", "means", "variances" or "kernel".
        shape: Their shape as the file holds them.
    """

    layer: str
    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers they are."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A section of a `.cfg` in its place.

    Attributes:
        index: Its number, from 0, by which others refer to it.
        section: What it says.
        sources: Numbers of the layers that it takes; -1 is the network's input.
        inputs: The shapes of those.
        shape: The shape of what it gives, without the batch.
        slots: Its weights in the order of the file.
    """

    index: int
    section: Section
    sources: tuple[int, ...]
    inputs: tuple[Shape, ...]
    shape: Shape
    slots: tuple[Slot, ...] = ()

    @property
    def name(self) -> str:
        """`convolutional_0`: its kind and its number."""
        return f"{self.section.kind}_{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A whole network.

    Attributes:
        input_shape: (channels, height, width), or (units,).
        layers: In their order, one a section after [net].
    """

    input_shape: Shape
    layers: tuple[Layer, ...]

    @property
    def slots(self) -> tuple[Slot, ...]:
        """All weights in the order of the file."""
        return tuple(slot for layer in self.layers for slot in layer.slots)

    def has(self, kind: str) -> bool:
        """Whether there is a layer of a kind."""
        return any(layer.section.kind == kind for layer in self.layers)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a section stands, and what lies before it.

    Attributes:
        index: Its number.
        section: The section.
        shapes: Layer number to shape, of all before; -1 is the input.
        batch_norm_biases: Whether a [batchnorm] layer's biases are in the file (AlexeyAB's
            darknet) or not (pjreddie's).
    """

    index: int
    section: Section
    shapes: Mapping[int, Shape]
    batch_norm_biases: bool = False

    @property
    def before(self) -> Shape:
        """The shape of what the layer before gives."""
        return self.shapes[self.index - 1]

    def image(self) -> tuple[int, int, int]:
        """The shape before, which must be an image's.

        Raises:
            ConversionError: It is a vector's.
        """
        if len(self.before) != 3:
            raise self.section.error(
                "needs an image before it", expected="channels, height and width"
            )
        channels, height, width = self.before
        return channels, height, width

    def sources(self, key: str) -> tuple[int, ...]:
        """The layers that a key names; negative numbers count back from here.

        Raises:
            ConversionError: One is not there.
        """
        numbers = self.section.wholes(key)
        found = tuple(n if n >= 0 else self.index + n for n in numbers)
        if not all(0 <= n < self.index for n in found):
            raise self.section.error(
                "names a layer that is not before it",
                key,
                expected=f"-{self.index} to {self.index - 1}; this is layer {self.index}",
            )
        return found

    def layer(
        self,
        shape: Shape,
        *,
        sources: tuple[int, ...] | None = None,
        slots: tuple[tuple[str, tuple[int, ...]], ...] = (),
    ) -> Layer:
        """The layer that the section stands for.

        Raises:
            ConversionError: What it gives is empty or too large.
        """
        if min(shape) < 1 or math.prod(shape) > _MOST_VALUES:
            raise self.section.error(f"would give an image of {' x '.join(map(str, shape))}")
        taken = (self.index - 1,) if sources is None else sources
        name = f"{self.section.kind}_{self.index}"
        return Layer(
            index=self.index,
            section=self.section,
            sources=taken,
            inputs=tuple(self.shapes[n] for n in taken),
            shape=shape,
            slots=tuple(Slot(name, what, sizes) for what, sizes in slots),
        )
