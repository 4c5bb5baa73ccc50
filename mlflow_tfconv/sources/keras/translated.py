"""A layer of an older Keras as one of today's, and how its stored weights become its variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.sources.keras.stored_layer import Array, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightLayout:
    """One way in which some Keras wrote the weights of a layer.

    Attributes:
        names: What the Keras of that time called them: "kernel", "bias".
        shapes: Their shapes in the file.
        values: Turns them, in that order, into the values of the layer's variables.
        trainable: How many of them are trained; these come first.
    """

    names: tuple[str, ...]
    shapes: tuple[Shape, ...]
    values: Callable[[Sequence[Array]], Sequence[Array]]
    trainable: int


def as_they_are(arrays: Sequence[Array]) -> Sequence[Array]:
    """The values of a layer that stores its weights as it uses them."""
    return arrays


@dataclass(slots=True, kw_only=True)
class Translated:
    """A layer of an older Keras, as one of today's.

    Attributes:
        name: The layer's name in the original.
        class_name: Its class in the original.
        layer: What is called in its place.
        owner: The layer that has the variables: `layer`, or one inside it.
        children: Of a layer that has the weights of others: those, in the original's order.
        layouts: After `owner` was built: how its weights may be stored, the likeliest first; None
            when they are stored as they are.
        trainable: Whether the original says so.
        finish: What is to be done after the weights were assigned.
        call: Calls `layer` as the original's calls of it mean.
    """

    name: str
    class_name: str
    layer: Any
    owner: Any = None
    children: tuple[Translated, ...] = ()
    layouts: Callable[[], Sequence[WeightLayout]] | None = None
    trainable: bool = True
    finish: Callable[[], None] | None = None
    call: Callable[..., Any] | None = None

    @property
    def variables(self) -> list[Any]:
        """The variables of a layer without children: those that are trained first."""
        owner = self.layer if self.owner is None else self.owner
        return [*owner.trainable_weights, *owner.non_trainable_weights]

    def possible_layouts(self) -> Sequence[WeightLayout]:
        """How the weights of a layer without children may be stored, the likeliest first."""
        return self.layouts() if self.layouts is not None else (self.plain_layout(),)

    def plain_layout(self) -> WeightLayout:
        """The layout of weights that are stored as they are used."""
        variables = self.variables
        return WeightLayout(
            names=tuple(variable.name for variable in variables),
            shapes=tuple(tuple(variable.shape) for variable in variables),
            values=as_they_are,
            trainable=sum(variable.trainable for variable in variables),
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the layer."""
        return (self.call or self.layer)(*args, **kwargs)


def leaves(layer: Translated) -> list[Translated]:
    """The layers without children in it, or itself."""
    if not layer.children:
        return [layer]
    return [leaf for child in layer.children for leaf in leaves(child)]
