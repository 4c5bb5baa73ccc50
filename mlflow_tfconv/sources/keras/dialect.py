"""Which Keras wrote a model: its version and its backend decide what the same words mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.sources.options import SourceOptions

#: Backends whose convolutions turn their kernels around.
_FLIPPING = ("theano",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a Keras of some age speaks.

    Attributes:
        version: Major and minor version; (2, 0) when nothing tells.
        backend: "tensorflow", "theano", "cntk", ...
        channels_first: Whether layers that don't say so have their channels first.
        masked: Whether any layer makes a mask.
        of_tensorflow: Whether it is the Keras inside TensorFlow.
    """

    version: tuple[int, int] = (2, 0)
    backend: str = "tensorflow"
    channels_first: bool = False
    masked: bool = False
    of_tensorflow: bool = False

    @property
    def first(self) -> bool:
        """Whether it is Keras 1 (or 0)."""
        return self.version < (2, 0)

    @property
    def repeats_masked_outputs(self) -> bool:
        """Whether Bidirectional repeats the last output where a step is masked."""
        return not self.of_tensorflow or self.version < (2, 2)

    @property
    def flips_kernels(self) -> bool:
        """Whether the spatial axes of convolution kernels have to be reversed for TensorFlow."""
        return self.backend in _FLIPPING


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What files say of the Keras that wrote them.

    Attributes:
        version: As written, such as "1.2.2" or "2.4.0-tf"; None when nothing says.
        backend: As written; None when nothing says.
        names: Names of the stored weights: TensorFlow's end in ":0", Theano's do not.
    """

    version: str | None = None
    backend: str | None = None
    names: tuple[str, ...] = ()


def dialect_of(
    config: Any, origin: Origin, options: SourceOptions
) -> tuple[Dialect, tuple[Choice, ...]]:
    """How to understand a model's config, and what had to be assumed for it.

    Args:
        config: The whole architecture.
        origin: What the files say of the Keras that wrote it.
        options: `original_backend` decides where the files don't.
    """
    layers = list(layer_configs(config))
    version = _version(origin.version) or ((1, 0) if _looks_first(layers) else (2, 0))
    backend = options.original_backend or origin.backend
    choices: tuple[Choice, ...] = ()
    if backend is None:
        choice = _backend_by_names(origin.names)
        backend = choice.chosen
        choices = (choice,) if any(_convolves(layer) for layer in layers) else ()
    orderings = [ordering for layer in layers if (ordering := _ordering(layer))]
    first = orderings.count("channels_first")
    return (
        Dialect(
            version=version,
            backend=str(backend),
            channels_first=first * 2 > len(orderings) or (not orderings and backend == "theano"),
            masked=any(_masks(layer) for layer in layers),
            of_tensorflow="tf" in (origin.version or "") or version >= (2, 4),
        ),
        choices,
    )


def _backend_by_names(names: tuple[str, ...]) -> Choice:
    """What Keras 1 does not write down: Theano turns the kernels of convolutions around."""
    plain = [name for name in names if not re.match(r"param_\d+$", name)]
    theano = bool(plain) and not any(name.endswith(":0") for name in plain)
    if theano:
        why = (
            f"the names of its weights, such as {plain[0]!r}, don't end in ':0' as TensorFlow's do"
        )
    elif plain:
        why = f"the names of its weights, such as {plain[0]!r}, end in ':0' as TensorFlow's do"
    else:
        why = "nothing in the files tells, and only the outputs could"
    return Choice(
        what="original_backend",
        chosen="theano" if theano else "tensorflow",
        alternatives=("tensorflow",) if theano else ("theano",),
        argument="original_backend",
        reason=f"the file does not say on which backend the model was trained; {why}",
    )


def layer_configs(config: Any) -> Iterator[dict[str, Any]]:
    """Every object with a class name in a config, from the outside in."""
    if isinstance(config, list):
        for item in config:
            yield from layer_configs(item)
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str):
            yield config
        for item in config.values():
            yield from layer_configs(item)


def _version(text: str | None) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", text or "")
    return (int(found[1]), int(found[2])) if found else None


def _looks_first(layers: list[dict[str, Any]]) -> bool:
    return any(_FIRST_WORDS & set(_inner(layer)) for layer in layers)


#: Words that only configs of Keras 1 have.
_FIRST_WORDS = {"nb_filter", "border_mode", "dim_ordering", "W_regularizer", "init", "mode_type"}


def _inner(layer: dict[str, Any]) -> dict[str, Any]:
    inner = layer.get("config")
    return inner if isinstance(inner, dict) else {}


def _convolves(layer: dict[str, Any]) -> bool:
    return "conv" in str(layer["class_name"]).lower()


def _ordering(layer: dict[str, Any]) -> str | None:
    inner = _inner(layer)
    ordering = inner.get("dim_ordering") or inner.get("data_format")
    return {"th": "channels_first", "tf": "channels_last"}.get(str(ordering), ordering)


def _masks(layer: dict[str, Any]) -> bool:
    return layer["class_name"] == "Masking" or bool(_inner(layer).get("mask_zero"))
