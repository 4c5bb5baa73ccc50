"""Sequential models: one layer after another, and Keras 1's that begin with a Merge of several."""

from __future__ import annotations

from typing import Any

import keras

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.keras.calls import applied
from mlflow_tfconv.sources.keras.input_layer import input_shape, input_tensor
from mlflow_tfconv.sources.keras.layer_config import Surroundings
from mlflow_tfconv.sources.keras.translated import Translated


def sequential_graph(
    written: dict[str, Any], around: Surroundings, *, whole: bool = False
) -> Translated:
    """The model that the config of a Sequential describes, as a functional model.

    Raises:
        ConversionError: A layer can't be translated, or the shape of the input is not known.
    """
    config = written.get("config")
    inner = config if isinstance(config, dict) else {}
    layers = [_of_today(layer) for layer in (inner.get("layers") if inner else config) or []]
    name = str(inner.get("name") or written.get("name") or _made_up(layers))
    if not layers:
        raise ConversionError(
            f"The Sequential model {name!r} has no layers.",
            received=f"{config}"[:300],
            fix="Check that the architecture is whole.",
        )
    chain = _Chain(around, whole, inner)
    chain.extend(layers)
    inputs = chain.inputs[0] if len(chain.inputs) == 1 else chain.inputs
    return Translated(
        name=name,
        class_name="Sequential",
        layer=keras.Model(inputs, chain.output, name=name.replace("/", "_")),
        children=tuple(chain.layers),
        trainable=inner.get("trainable") is not False,
    )


def _made_up(layers: list[dict[str, Any]]) -> str:
    """Keras 1 does not write a Sequential's name."""
    names = [str((layer.get("config") or {}).get("name")) for layer in layers[:1]
             if isinstance(layer.get("config"), dict)]  # fmt: skip
    return f"sequential_{names[0]}" if names else "sequential"


def _of_today(layer: dict[str, Any]) -> dict[str, Any]:
    """The first Keras wrote layers without a config of their own: {"name": class, ...}."""
    if "class_name" in layer:
        return layer
    inner = {**layer, "name": layer.get("custom_name") or str(layer.get("name")).lower()}
    return {"class_name": str(layer.get("name")), "config": inner}


class _Chain:
    """Layers applied one after another."""

    def __init__(self, around: Surroundings, whole: bool, config: dict[str, Any]) -> None:
        self.inputs: list[Any] = []
        self.layers: list[Translated] = []
        self.output: Any = None
        self._around, self._whole, self._config = around, whole, config
        self._first: Translated | None = None

    def extend(self, layers: list[dict[str, Any]]) -> None:
        """Applies the layers; the first says what the model takes."""
        first, *rest = layers
        if first["class_name"] == "InputLayer":
            self._begin(first["config"], _name(first), rest[0] if rest else None)
        elif first["class_name"] == "Merge":
            self._begin_with_branches(first)
        else:
            rest = layers
            self._begin_with(first)
        for layer in rest:
            self._append(layer)

    def _append(self, written: dict[str, Any]) -> None:
        layer = self._first or self._around.translate(written, self._around)
        self._first = None
        self.output = applied(layer, self.output)
        self.layers.append(layer)

    def _begin(self, config: dict[str, Any], name: str, first: dict[str, Any] | None) -> None:
        embeds = first is not None and first["class_name"] == "Embedding"
        if input_shape(config) is None:
            config = {**config, "build_input_shape": self._config.get("build_input_shape")}
        tensor = input_tensor(config, self._around, name=name, whole=self._whole, looked_up=embeds)
        self.inputs, self.output = [tensor], tensor

    def _begin_with(self, first: dict[str, Any]) -> None:
        """Without an InputLayer the input is called like the first layer, and `_input`."""
        config, name = first.get("config"), f"{_name(first)}_input"
        if isinstance(config, dict) and "layers" not in config:
            self._begin(config, name, first)
            return
        self._first = self._around.translate(first, self._around)
        inner = self._first.layer.inputs[0]
        if self._around.dialect.first:
            name = inner._keras_history.operation.name
        taken = {"batch_input_shape": list(inner.shape), "dtype": inner.dtype}
        self._begin(taken, name, None)

    def _begin_with_branches(self, merge: dict[str, Any]) -> None:
        """Keras 1: several models side by side, whose layers the file lists as this model's."""
        branches = [_Chain(self._around, self._whole, {}) for _ in merge["config"]["layers"]]
        for branch, written in zip(branches, merge["config"]["layers"], strict=True):
            branch.take(written)
            self.inputs += [one for one in branch.inputs if one not in self.inputs]
            self.layers += branch.layers
        outer = {name: value for name, value in merge["config"].items() if name != "layers"}
        layer = self._around.translate({**merge, "config": outer}, self._around)
        self.output = applied(layer, [branch.output for branch in branches])
        self.layers.append(layer)

    def take(self, written: dict[str, Any]) -> None:
        """A branch: the layers of a Sequential, another model, or a single layer."""
        config = written.get("config")
        if written["class_name"] == "Sequential":
            inner = config if isinstance(config, list) else (config or {}).get("layers", [])
            self.extend([_of_today(layer) for layer in inner])
            return
        if isinstance(config, dict) and "layers" in config:
            model = self._around.translate(written, self._around, whole=self._whole)
            self.inputs, self.output = list(model.layer.inputs), model.layer.outputs[0]
            self.layers = list(model.children)
            return
        self.extend([written])


def _name(layer: dict[str, Any]) -> str:
    config = layer.get("config")
    named = config.get("name") if isinstance(config, dict) else None
    if named is None and isinstance(config, list) and config:
        named = _made_up([_of_today(one) for one in config])
    return str(named or layer.get("name") or layer["class_name"].lower())
