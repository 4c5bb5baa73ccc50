"""Looks at what every layer of a model gives while the model runs."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

#: Takes a layer, its path, what went in and what came out.
Look = Callable[[Any, str, Any, Any], None]


@contextlib.contextmanager
def watched_layers(model: Any, look: Look) -> Iterator[None]:
    """Within it every layer, and operation of a functional model, shows what it gives.

    Inner layers come before those that hold them. Works for Keras 3 and tf_keras, for functional
    models and for those with a `call` of their own, as long as they run eagerly.

    Args:
        model: Built.
        look: What is told of every call.
    """
    hooked: dict[int, tuple[Any, Any]] = {}
    try:
        for path, part in _parts(model, ""):
            if id(part) not in hooked:  # shared ones come more than once
                hooked[id(part)] = (part, vars(part).get("call"))
                # Not by setattr, in which Keras tracks what belongs to a layer.
                vars(part)["call"] = _looked_at(part, path, part.call, look)
        yield
    finally:
        for part, own in hooked.values():
            del vars(part)["call"]
            if own is not None:
                vars(part)["call"] = own


def _looked_at(part: Any, path: str, call: Callable[..., Any], look: Look) -> Callable[..., Any]:
    def looked_at(*arguments: Any, **keywords: Any) -> Any:
        result = call(*arguments, **keywords)
        look(part, path, (arguments, keywords), result)
        return result

    # Keras looks at the signature for `training` and `mask`.
    looked_at.__signature__ = inspect.signature(call)  # type: ignore[attr-defined]
    return looked_at


def _parts(model: Any, above: str) -> Iterator[tuple[str, Any]]:
    """Layers, and what is no layer but has a `call`: the operations of Keras 3."""
    seen: set[int] = set()
    layers = list(model._flatten_layers(include_self=False, recursive=False))
    for part in [*layers, *getattr(model, "operations", ())]:
        if id(part) in seen or not hasattr(part, "call"):
            continue
        seen.add(id(part))
        path = f"{above}{part.name}"
        yield path, part
        if hasattr(part, "_flatten_layers"):
            yield from _parts(part, f"{path}/")


def tensors_in(value: Any) -> list[Any]:
    """The tensors of nested values."""
    return [item for item in tf.nest.flatten(value) if tf.is_tensor(item)]
