"""Functional models: layers, and the calls between them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import keras

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.keras.calls import called
from mlflow_tfconv.sources.keras.input_layer import input_tensor
from mlflow_tfconv.sources.keras.layer_config import Surroundings
from mlflow_tfconv.sources.keras.references import Reference, references_in, resolved
from mlflow_tfconv.sources.keras.translated import Translated


def functional_graph(
    written: dict[str, Any], around: Surroundings, *, whole: bool = False
) -> Translated:
    """The model that the config of a functional model describes.

    Raises:
        ConversionError: A layer can't be translated, or the calls don't fit together.
    """
    config = written["config"]
    graph = _Graph(config, around, whole)
    graph.run()
    name = str(config.get("name") or written.get("name") or "model")
    inputs = _plain_when_single(resolved(config["input_layers"], graph.tensor))
    outputs = _plain_when_single(resolved(config["output_layers"], graph.tensor))
    return Translated(
        name=name,
        class_name=str(written["class_name"]),
        layer=keras.Model(inputs, outputs, name=name.replace("/", "_")),
        children=tuple(graph.layers.values()),
        trainable=config.get("trainable") is not False,
    )


def _plain_when_single(structure: Any) -> Any:
    single = isinstance(structure, list) and len(structure) == 1
    return structure[0] if single else structure


class _Graph:
    """Calls layers as soon as what they take is there."""

    def __init__(self, config: dict[str, Any], around: Surroundings, whole: bool) -> None:
        self.layers: dict[str, Translated] = {}
        self._config, self._around, self._whole = config, around, whole
        self._written = {_name(layer): layer for layer in config["layers"]}
        self._results: dict[str, list[list[Any]]] = defaultdict(list)
        self._numbers = self._numbers_of_calls()

    def _numbers_of_calls(self) -> dict[str, list[int]]:
        """Layer name to the numbers by which its calls are referred to, in their order.

        Where counting starts depends on version and layer: a model that is a layer begins at 1,
        for it was called when it was made. Since every call is referred to, the order tells.
        """
        numbers: dict[str, set[int]] = defaultdict(set)
        said = [layer.get("inbound_nodes") for layer in self._config["layers"]]
        ends = [self._config["input_layers"], self._config["output_layers"]]
        for name, call, _ in references_in([*said, *ends]):
            numbers[name].add(call)
        return {name: sorted(found) for name, found in numbers.items()}

    def run(self) -> None:
        """Makes all layers and calls them."""
        waiting: list[tuple[str, Any]] = []
        for name, layer in self._written.items():
            if layer["class_name"] == "InputLayer":
                self._input(name, layer)
                continue
            self.layers[name] = self._around.translate(_named(layer, name), self._around)
            waiting += [(name, node) for node in layer.get("inbound_nodes") or []]
        while waiting:
            ready = self._ready(waiting)
            if not ready:
                raise self._unconnected(waiting)
            for name, node in ready:
                waiting.remove((name, node))
                result = called(self.layers[name], node, self.tensor, self._around)
                self._results[name].append(keras.tree.flatten(result))

    def _ready(self, waiting: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """Of each layer the first call, when all that it takes is there."""
        first: dict[str, Any] = {}
        for name, node in waiting:
            first.setdefault(name, node)
        return [
            (name, node)
            for name, node in first.items()
            if all(self._is_there(reference) for reference in references_in(node))
        ]

    def _is_there(self, reference: Reference) -> bool:
        name, call, _ = reference
        return name not in self._written or self._number(name, call) < len(self._results[name])

    def _number(self, name: str, call: int) -> int:
        numbers = self._numbers[name]
        return numbers.index(call) if call in numbers else call

    def _input(self, name: str, layer: dict[str, Any]) -> None:
        tensor = input_tensor(
            layer.get("config") or {},
            self._around,
            name=name,
            whole=self._whole,
            looked_up=self._whole and self._only_embedded(name),
        )
        self._results[name].append([tensor])

    def _only_embedded(self, name: str) -> bool:
        takers = [
            layer["class_name"]
            for layer in self._written.values()
            if any(r[0] == name for r in references_in(layer.get("inbound_nodes")))
        ]
        return bool(takers) and all(taker == "Embedding" for taker in takers)

    def tensor(self, reference: Reference) -> Any:
        """The tensor that a reference names.

        Raises:
            ConversionError: There is none.
        """
        name, call, output = reference
        try:
            return self._results[name][self._number(name, call)][output]
        except (KeyError, IndexError) as error:
            raise ConversionError(
                f"The architecture refers to a tensor that is not there: output {output} of call "
                f"{call} of layer {name!r}.",
                received=f"[{name!r}, {call}, {output}]",
                expected=f"a layer among {', '.join(self._written)}"[:400],
                fix="Check that the architecture is whole.",
            ) from error

    def _unconnected(self, waiting: list[tuple[str, Any]]) -> ConversionError:
        name, node = waiting[0]
        return ConversionError(
            f"Layer {name!r} takes a tensor that no layer gives.",
            received=f"{node}"[:300],
            expected=f"outputs of {', '.join(self._written)}"[:400],
            fix="Check that the architecture is whole.",
        )


def _name(layer: dict[str, Any]) -> str:
    inner = layer.get("config")
    named = inner.get("name") if isinstance(inner, dict) else None
    return str(layer.get("name") or named)


def _named(layer: dict[str, Any], name: str) -> dict[str, Any]:
    """The config with the name by which the graph knows the layer."""
    inner = layer.get("config")
    if isinstance(inner, dict) and inner.get("name") != name:
        return {**layer, "config": {**inner, "name": name}}
    return {**layer, "name": name}
