"""Layers of a model by patterns on their names, nested ones too."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from keras.src.utils.naming import reset_uids  # no public name for it

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.libraries import tf_keras_if_used


def count_names_anew() -> None:
    """Lets layers that nobody has named be called as in a process that has made no others.

    Patterns of such names would else be about other layers when a process trains twice.
    """
    reset_uids()
    legacy = tf_keras_if_used()
    if legacy is not None:
        legacy.backend.reset_uids()


def layer_paths(model: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every layer with its path below the model, such as "backbone/block1_conv".

    A layer that is used in two places comes twice.

    Args:
        model: Of Keras 3 or tf_keras.
        above: The path of `model` itself, with a slash.
    """
    # Wrappers such as Bidirectional have no `layers`; this is in both Kerases.
    for layer in model._flatten_layers(include_self=False, recursive=False):
        path = f"{above}{layer.name}"
        yield path, layer
        yield from layer_paths(layer, f"{path}/")


def matches(path: str, pattern: str) -> bool:
    """Whether a pattern is about the layer: about its path, or the end of it."""
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"*/{pattern}")


def matched_layers(model: Any, patterns: Iterable[str], *, key: str) -> dict[str, list[Any]]:
    """Pattern to the layers it is about.

    Raises:
        ConfigError: A pattern is about none.
    """
    paths = list(layer_paths(model))
    found = {p: [layer for path, layer in paths if matches(path, p)] for p in patterns}
    for pattern, layers in found.items():
        if not layers:
            raise _no_layer(pattern, [path for path, _ in paths], key)
    return found


def longest_match(model: Any, patterns: Iterable[str]) -> Mapping[int, str]:
    """Id of a weight to the longest pattern that is about a layer it belongs to."""
    found: dict[int, str] = {}
    in_order = sorted(patterns, key=len)  # a longer one overwrites
    for pattern in in_order:
        for path, layer in layer_paths(model):
            if matches(path, pattern):
                found |= {id(weight): pattern for weight in layer.weights}
    return found


def _no_layer(pattern: str, paths: list[str], key: str) -> ConfigError:
    plain = pattern.strip("*?")
    names = dict.fromkeys([*paths, *(path.rsplit("/", 1)[-1] for path in paths)])
    near = difflib.get_close_matches(plain, names, n=3, cutoff=0.5)
    within = [path for path in paths if plain and plain.lower() in path.lower()][:3]
    close = list(dict.fromkeys([*within, *near]))
    return ConfigError(
        f"No layer of the model matches {pattern!r} in train.{key}.",
        received=f"{key}: {pattern}",
        expected=_listed(paths),
        fix=f"Did you mean {' or '.join(map(repr, close))}?"
        if close
        else "Take the names of layers from the model's summary; * stands for any letters.",
    )


def _listed(paths: list[str]) -> str:
    shown = ", ".join(paths[:12])
    return shown if len(paths) <= 12 else f"{shown}, ... ({len(paths)} layers)"
