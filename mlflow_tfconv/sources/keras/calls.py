"""Calls a translated layer as the original's graph calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.keras.layer_config import Surroundings
from mlflow_tfconv.sources.keras.references import (
    Reference,
    is_one_tensor,
    keywords_of,
    resolved,
)
from mlflow_tfconv.sources.keras.translated import Translated

#: Functions of TensorFlow take a list with one tensor as a list.
_KEEPS_LISTS = ("TFOpLambda", "SlicingOpLambda")


def called(
    layer: Translated,
    node: Any,
    tensor: Callable[[Reference], Any],
    around: Surroundings,
) -> Any:
    """What the layer gives for one entry of its inbound nodes.

    Raises:
        ConversionError: The layer can't take it.
    """
    first = _first(layer, node, tensor)
    keywords = resolved(keywords_of(node), tensor)
    if keywords.pop("training", None) is True:
        around.warnings.append(
            f"Layer {layer.name!r} ({layer.class_name}) is called with training=True, also when "
            "the original predicts. Here it works as at inference."
        )
    given = {
        name: value for name, value in keywords.items() if value is not None and name != "name"
    }
    return applied(layer, first, given)


def applied(layer: Translated, inputs: Any, keywords: dict[str, Any] | None = None) -> Any:
    """What the layer gives for its inputs.

    Raises:
        ConversionError: The layer can't take them.
    """
    try:
        return layer(inputs, **(keywords or {}))
    except ConversionError:
        raise
    except Exception as error:  # Keras and TensorFlow raise many kinds
        raise ConversionError(
            f"Layer {layer.name!r} ({layer.class_name}) can't be applied to what it gets.",
            received=f"{_shapes(inputs)}; {type(error).__name__}: {_in_short(error)}",
            expected="an architecture whose layers fit each other",
            fix="Check that the architecture is whole and was written by Keras.",
        ) from error


def _first(layer: Translated, node: Any, tensor: Callable[[Reference], Any]) -> Any:
    inputs = resolved(node, tensor)
    if is_one_tensor(node) or layer.class_name in _KEEPS_LISTS:
        return inputs
    return inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else inputs


def _shapes(inputs: Any) -> str:
    if isinstance(inputs, list | tuple):
        return ", ".join(map(_shapes, inputs))
    return str(getattr(inputs, "shape", inputs))


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split())[:400]
