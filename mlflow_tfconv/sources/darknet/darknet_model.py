"""Finds the architecture that darknet weights belong to, and reads both into a live Keras model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from mlflow_tfconv.arguments import in_short
from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.sources.darknet.architecture import (
    Architecture,
    cfg_architectures,
    keras_architecture,
    tiny_yolo_architecture,
)
from mlflow_tfconv.sources.darknet.cfg_text import looks_like_cfg
from mlflow_tfconv.sources.darknet.network import Shape
from mlflow_tfconv.sources.darknet.tiny_yolo import tiny_yolos
from mlflow_tfconv.sources.darknet.weights_file import (
    LONG_HEADER,
    SHORT_HEADER,
    WeightsFile,
    fitted_header,
    not_finite,
    read_values,
    weights_file,
)
from mlflow_tfconv.sources.keras.architecture import architecture_from_file
from mlflow_tfconv.sources.keras.build_model import build_model
from mlflow_tfconv.sources.keras.built_model import called
from mlflow_tfconv.sources.keras.reading import KerasReading
from mlflow_tfconv.sources.options import SourceOptions

_FORMAT = "darknet_weights"
_KERAS_FORMATS = ("keras_json", "keras_yaml")
_MOST_SIBLINGS = 200


def darknet_model(path: Path, options: SourceOptions) -> KerasReading:
    """The network with its weights.

    Args:
        path: The weights, or the `.cfg` when `options.weights` names the weights or they lie
            beside it.
        options: `architecture` (a `.cfg`, a Keras JSON or YAML, or a function that gives a
            `keras.Model`), `weights`, `outputs` (names of layers), `shapes` (of the input).

    Raises:
        ConversionError: Something can't be read, or weights and architecture don't fit.
        ConfigError: The function gives no Keras model.
    """
    weights, named, choices = _weights_and_architecture(path, options)
    file = weights_file(weights)
    architecture, header, more = _fitting(file, _architectures(file, named, options))
    transposed, dense = architecture.transposed(file)
    values = read_values(file, header, architecture.slots, transposed=transposed)
    model, built = architecture.build(values)
    return KerasReading(
        model=model,
        source_format=_FORMAT,
        choices=(*choices, *architecture.choices, *more, *dense, *built),
        warnings=(*architecture.warnings, *not_finite(values)),
    )


Named = Path | Callable[[], Any] | None


def _weights_and_architecture(
    path: Path, options: SourceOptions
) -> tuple[Path, Named, tuple[Choice, ...]]:
    if not (looks_like_cfg(path) or _is_of_keras(path)):
        return path, options.architecture, ()
    if options.weights is not None:
        return options.weights, path, ()
    found = [weights for weights in _siblings(path) if _holds(weights, path, options)]
    if len(found) == 1:
        reason = "the only weights beside it that fit"
        return found[0], path, (_choice("weights", found[0], reason),)
    raise ConversionError(
        f"{path.name} is an architecture alone: its weights are needed.",
        received=f"{path}; beside it {len(found)} fitting weights files",
        expected="a weights file of darknet",
        fix="Name it: weights=PATH."
        + (f" Here: {', '.join(p.name for p in found)}." if found else ""),
    )


def _architectures(
    file: WeightsFile, named: Named, options: SourceOptions
) -> Sequence[Architecture]:
    """What the weights may belong to; the first is the likeliest.

    Raises:
        ConversionError: Nothing is known.
    """
    if named is not None:
        return _of(named, options)
    found = [p for p in _siblings(file.path) if looks_like_cfg(p) or _is_of_keras(p)]
    fitting = [p for p in found if _fits_any(file, p, options)]
    if len(fitting) == 1:
        reason = f"the only architecture beside {file.path.name} that has as many weights"
        choice = _choice("architecture", fitting[0], reason)
        return [replace(one, choices=(choice, *one.choices)) for one in _of(fitting[0], options)]
    members = tiny_yolos(file.values_after(file.declared_header))
    if members and members[0].published and not fitting:
        return (tiny_yolo_architecture(members[0], options.outputs),)
    raise _needed(file, fitting, found)


def _of(named: Path | Callable[[], Any], options: SourceOptions) -> Sequence[Architecture]:
    if not isinstance(named, Path):
        return (keras_architecture(_model_of(named), f"the model of {_name(named)}()"),)
    if not looks_like_cfg(named) and _is_of_keras(named):
        return (_of_keras_file(named, options),)
    return cfg_architectures(named, options.outputs, _input_shape(options))


def _of_keras_file(path: Path, options: SourceOptions) -> Architecture:
    read = architecture_from_file(path)
    built = build_model(read.config, options, origin=read.origin)
    # Kernels of darknet don't depend on the backend unless the user says that they do.
    choices = tuple(c for c in built.around.choices if c.what != "original_backend")
    return keras_architecture(
        built.model,
        f"the network of {path.name}",
        flipped=options.original_backend == "theano",
        choices=choices,
        warnings=tuple(built.around.warnings),
    )


def _model_of(build: Callable[[], Any]) -> Any:
    model = called(build)
    if isinstance(model, keras.Model) and model.built:
        return model
    raise ConfigError(
        "The function that builds the architecture gives no model of Keras 3 that is built.",
        received=in_short(model),
        expected="a keras.Model with an Input",
    )


def _name(function: Callable[[], Any]) -> str:
    return getattr(function, "__name__", "architecture")


def _input_shape(options: SourceOptions) -> Shape | None:
    """(channels, height, width) if the user says them all."""
    for shape in options.shapes.values():
        sizes = tuple(size for size in shape[1:] if size is not None)
        if len(sizes) == len(shape) - 1:
            return sizes
    return None


def _fitting(
    file: WeightsFile, architectures: Sequence[Architecture]
) -> tuple[Architecture, int, tuple[Choice, ...]]:
    """The first architecture that fits, the header with which it does, and what was assumed.

    Raises:
        ConversionError: None fits; tells of the first.
    """
    for architecture in architectures[1:]:
        if architecture.parameters == file.values_after(file.declared_header):
            return architecture, file.declared_header, ()
    header, choices = fitted_header(file, architectures[0].slots, architectures[0].words)
    return architectures[0], header, choices


def _fits_any(file: WeightsFile, path: Path, options: SourceOptions) -> bool:
    """Whether the sizes agree, with either header."""
    counts = {file.values_after(header) for header in (SHORT_HEADER, LONG_HEADER)}
    try:
        return any(one.parameters in counts for one in _of(path, options))
    except ConversionError:
        return False


def _siblings(path: Path) -> Iterator[Path]:
    entries = sorted(path.absolute().parent.iterdir())[:_MOST_SIBLINGS]
    return (entry for entry in entries if entry.is_file() and entry.name != path.name)


def _is_of_keras(path: Path) -> bool:
    try:
        return recognised(path).format in _KERAS_FORMATS
    except ConversionError:
        return False


def _holds(weights: Path, architecture: Path, options: SourceOptions) -> bool:
    """Whether a file is as large as the weights of an architecture, and no text."""
    try:
        file = weights_file(weights)
    except ConversionError:
        return False
    return _fits_any(file, architecture, options)


def _choice(what: str, path: Path, reason: str) -> Choice:
    return Choice(what=what, chosen=path.name, argument=what, reason=reason)


def _needed(file: WeightsFile, fitting: list[Path], found: list[Path]) -> ConversionError:
    beside = fitting or found
    names = ", ".join(path.name for path in beside)
    counts = [file.values_after(header) for header in (SHORT_HEADER, LONG_HEADER)]
    what = f"{file.path.name} holds weights alone: the architecture is needed"
    if len(fitting) > 1:
        what = f"{file.path.name} fits several architectures beside it: {names}"
    return ConversionError(
        f"{what}{_resemblance(file)}.",
        received=f"{file.path} of {file.words:,} words: {counts[0]:,} floats after a 4-word "
        f"header, {counts[1]:,} after a 5-word header; version "
        + ".".join(map(str, file.version))
        + (f"; beside it, none of which fits: {names}" if found and not fitting else ""),
        expected="a darknet .cfg, a Keras JSON or YAML, or a function that builds a keras.Model",
        fix="Give it: architecture=PATH_OR_FUNCTION.",
    )


def _resemblance(file: WeightsFile) -> str:
    """A remark when the size is that of a well-known network, or nearly."""
    declared = file.declared_header
    count = file.values_after(declared)
    other = LONG_HEADER if declared == SHORT_HEADER else SHORT_HEADER
    for member in tiny_yolos(count):
        return f" (it has as many weights as {member})"
    for member in tiny_yolos(file.values_after(other)):
        too = "one float too many" if other > declared else "one float too few"
        kind = f"a {other}-word header ({'64' if other == LONG_HEADER else '32'}-bit seen count)"
        return f" ({too} for {member}, {member.parameters:,}: does it have {kind}?)"
    return ""
