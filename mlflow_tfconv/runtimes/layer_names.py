"""Which layer of a Keras model a node of its graph belongs to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any


def layer_names(model: Any) -> tuple[str, ...]:
    """Names of all layers of a live Keras model, those inside others too; none without a model."""
    flattened = getattr(model, "_flatten_layers", None)  # there is no public way to inner layers
    if flattened is None:
        return ()
    found = flattened(include_self=False, recursive=True)
    return tuple(dict.fromkeys(layer.name for layer in found))


class LayerNames:
    """Finds layers by the scopes in the names of nodes.

    TensorFlow puts `_1`, `_2`, ... behind a scope that was there before; how many of them a graph
    has is told by what most of its layers have.
    """

    def __init__(self, layers: Iterable[str], nodes: Iterable[str]) -> None:
        self._layers = frozenset(layers)
        scopes = {scope for node in nodes for scope in node.split("/")[:-1]}
        endings = Counter(
            ending for scope in scopes for layer, ending in _endings(scope, self._layers)
        )
        self._ending = endings.most_common(1)[0][0] if endings else ""

    def of(self, node: str) -> str | None:
        """The innermost layer that a node lies in, or None when it can't be told."""
        for scope in reversed(node.split("/")[:-1]):
            found = {end: layer for layer, end in _endings(scope, self._layers)}
            if found:
                return found.get(self._ending) or next(iter(found.values()))
        return None


def _endings(scope: str, layers: Collection[str]) -> list[tuple[str, str]]:
    """The layers that a scope may stand for, each with what is behind its name."""
    found = []
    name = scope
    while True:
        if name in layers:
            found.append((name, scope[len(name) :]))
        shorter = re.sub(r"_\d+$", "", name)
        if shorter == name:
            return found
        name = shorter
