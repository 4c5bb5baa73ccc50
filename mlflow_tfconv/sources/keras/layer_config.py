"""One layer as a file describes it, and what its translation needs to know besides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.keras.dialect import Dialect
from mlflow_tfconv.sources.keras.stored_layer import Shape
from mlflow_tfconv.sources.keras.translated import Translated
from mlflow_tfconv.sources.options import SourceOptions


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """What the layers of one model share while it is translated.

    Attributes:
        dialect: How the Keras that wrote it speaks.
        options: What the user said.
        translate: Translates a config of any layer or model: `(config, surroundings)`.
        choices: What was left open and taken; grows.
        warnings: What the user should know; grows.
        lambdas_used: Names of the replacements that found their layer; grows.
        lambda_names: Names of all Lambda layers met; grows.
        stored: Layer name to the shapes of its stored weights, where these are known.
    """

    dialect: Dialect
    options: SourceOptions
    translate: Callable[..., Translated]
    choices: list[Choice] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    lambdas_used: set[str] = field(default_factory=set)
    lambda_names: list[str] = field(default_factory=list)
    stored: Mapping[str, tuple[Shape, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerConfig:
    """One layer as a file describes it, in the words of Keras 2.

    Attributes:
        class_name: Its class, in the words of Keras 2.
        written_as: Its class as the file has it.
        name: Its name.
        arguments: The arguments of its constructor.
        around: What it shares with the other layers.
        extra: What the file says beside the config, such as its build config.
    """

    class_name: str
    written_as: str
    name: str
    arguments: dict[str, Any]
    around: Surroundings
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def today(self) -> str:
        """Its name as today's Keras allows it."""
        return self.name.replace("/", "_")

    @property
    def channels_first(self) -> bool:
        """Whether its channels come before the spatial axes."""
        said = self.arguments.get("data_format")
        if said in ("channels_first", "channels_last"):
            return bool(said == "channels_first")
        if self.class_name.endswith("1D"):  # older than their data format, and as they always were
            return False
        return self.around.dialect.channels_first

    @property
    def trainable(self) -> bool:
        """Whether its weights are trained."""
        return self.arguments.get("trainable") is not False

    def get(self, name: str, default: Any = None) -> Any:
        """An argument; what is null in the file is as if it were absent."""
        value = self.arguments.get(name)
        return default if value is None else value

    def kept(self, names: Iterable[str]) -> dict[str, Any]:
        """Those of the arguments that are given."""
        return {name: _tupled(self.arguments[name]) for name in names if name in self.arguments}

    def with_arguments(self, **arguments: Any) -> LayerConfig:
        """The same layer with other arguments."""
        return replace(self, arguments={**self.arguments, **arguments})

    def refused(self, why: str, fix: str) -> ConversionError:
        """The error for a layer that can't be translated."""
        return ConversionError(
            f"Layer {self.name!r} ({self.written_as}) can't be translated: {why}.",
            received=_in_short(self.arguments),
            fix=fix,
        )


def _tupled(value: Any) -> Any:
    """JSON has no tuples, and Keras wants some."""
    return tuple(_tupled(item) for item in value) if isinstance(value, list) else value


def _in_short(arguments: dict[str, Any]) -> str:
    shown = {name: value for name, value in arguments.items() if value is not None}
    return f"{shown}"[:300]
