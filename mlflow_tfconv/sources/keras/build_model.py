"""Builds a live model from the config of a Sequential or functional model of any age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.sources.keras.dialect import Origin, dialect_of
from mlflow_tfconv.sources.keras.functional_graph import functional_graph
from mlflow_tfconv.sources.keras.layer_config import Surroundings
from mlflow_tfconv.sources.keras.sequential_graph import sequential_graph
from mlflow_tfconv.sources.keras.stored_layer import Shape
from mlflow_tfconv.sources.keras.translate_layer import translate_layer
from mlflow_tfconv.sources.keras.translated import Translated
from mlflow_tfconv.sources.options import SourceOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltModel:
    """A model whose weights are not there yet.

    Attributes:
        translated: It; `translated.layer` is the live `keras.Model`, `translated.children` are its
            layers in the order in which the original wrote their weights.
        around: What was left open and assumed, and what the user should know.
    """

    translated: Translated
    around: Surroundings

    @property
    def model(self) -> Any:
        """The live model."""
        return self.translated.layer

    @property
    def layers(self) -> tuple[Translated, ...]:
        """Its layers in the original's order."""
        return self.translated.children


def build_model(
    config: dict[str, Any],
    options: SourceOptions,
    *,
    origin: Origin = Origin(),
    stored: Mapping[str, tuple[Shape, ...]] | None = None,
) -> BuiltModel:
    """The model that a config describes; nothing in it is executed.

    Args:
        config: `class_name` and `config`, as JSON or an HDF5 file has them.
        options: Replacements of Lambda layers, custom objects, backend, shapes.
        origin: What the files say of the Keras that wrote it.
        stored: Layer name to the shapes of its stored weights, where these are known already.

    Raises:
        ConversionError: A layer is refused or unknown, or the config is none of a model.
        ConfigError: A replacement names no layer that it could replace.
    """
    dialect, choices = dialect_of(config, origin, options)
    around = Surroundings(
        dialect=dialect,
        options=options,
        translate=_translate,
        choices=list(choices),
        stored=stored or {},
    )
    with keras.saving.custom_object_scope(dict(options.custom_objects)):
        translated = _translate(config, around, whole=True)
    _require_used(around)
    return BuiltModel(translated=translated, around=around)


def _translate(written: dict[str, Any], around: Surroundings, *, whole: bool = False) -> Translated:
    """A layer or a model; `whole` is the outermost."""
    if not isinstance(written, dict) or not isinstance(written.get("class_name"), str):
        raise _no_model(written)
    class_name, config = written["class_name"], written.get("config")
    if class_name == "Graph" or (isinstance(config, dict) and "nodes" in config):
        raise ConversionError(
            "This is a Graph model of Keras 0, which no later Keras has.",
            received=f"class_name {class_name!r}",
            expected="a Sequential or functional model",
            fix="Write the architecture as a function with today's Keras, and give it as "
            "`architecture` beside the weights.",
        )
    if class_name == "Sequential" or isinstance(config, list):
        return sequential_graph(written, around, whole=whole)
    if isinstance(config, dict) and "layers" in config and "output_layers" in config:
        return functional_graph(written, around, whole=whole)
    if whole:
        raise _no_model(written)
    return translate_layer(written, around)


def _no_model(written: Any) -> ConversionError:
    return ConversionError(
        "The architecture is not one of a Sequential or functional model.",
        received=f"{written}"[:300],
        expected="class_name Sequential, Model or Functional, with the config of its layers",
        fix="A subclassed model can't be built from a file: give a function that builds it as "
        "`architecture`, or save it as a SavedModel.",
    )


def _require_used(around: Surroundings) -> None:
    unused = sorted(set(around.options.lambdas) - around.lambdas_used)
    if unused:
        there = ", ".join(map(repr, around.lambda_names)) or "none"
        raise ConfigError(
            f"There is no Lambda layer called {unused[0]!r} to replace.",
            received=f"lambdas for {', '.join(map(repr, unused))}",
            expected=f"names of Lambda layers of this model: {there}",
            fix="Call the replacement by the layer's name.",
        )
