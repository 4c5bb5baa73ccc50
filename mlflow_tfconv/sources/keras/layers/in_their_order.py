"""Layers that have a data format: as they are, or with their channels moved last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlflow_tfconv.runtimes.layers_of_old.channels_first import ChannelsFirst
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.plain import dtype_of, made
from mlflow_tfconv.sources.keras.translated import Translated


def in_their_order(
    today: Any,
    layer: LayerConfig,
    /,
    *,
    axis: int = 1,
    output_axis: int | None = 1,
    dressed: Callable[[Any], Any] | None = None,
    **arguments: Any,
) -> Translated:
    """A layer of today that has its channels where the original has them.

    Args:
        today: The class of today.
        layer: The original.
        axis: Where its input's channels are when they are first.
        output_axis: Where those of the output are then; None when it has no spatial axes.
        dressed: Wraps the layer of today, with its channels last, into another layer.
        arguments: Those of the class.
    """
    if not layer.channels_first and dressed is None:
        return made(today, layer, **arguments)
    given = {name: value for name, value in arguments.items() if value is not None}
    owner = today(name=f"{layer.today}_inner", **given, **dtype_of(layer))
    live = owner if dressed is None else dressed(owner)
    if layer.channels_first:
        names = {"name": layer.today, **dtype_of(layer)}
        live = ChannelsFirst(live, axis=axis, output_axis=output_axis, **names)
    return Translated(
        name=layer.name,
        class_name=layer.class_name,
        layer=live,
        owner=owner,
        trainable=layer.trainable,
    )
