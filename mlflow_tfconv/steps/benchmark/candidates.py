"""What to measure: the variants that a step hands over, or models that a user names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow_tfconv.arguments import in_short
from mlflow_tfconv.artifacts import Checkpoint, ConvertedModel, TensorSpec, Variant, Variants
from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.runtimes.given_model import is_live_model, model_path
from mlflow_tfconv.runtimes.runtime import open_runtime

Model = str | Path | Variant | ConvertedModel | Variants | Checkpoint | Any  # Any: a keras.Model
_ONE = (str, Path, Variant, ConvertedModel, Variants, Checkpoint)
_REFERENCES = ("base/keras", "base/saved_model", "base/onnx")
_BY_SUFFIX = {".onnx": "onnx", ".keras": "keras", ".h5": "keras_h5", ".hdf5": "keras_h5"}


def candidates(
    models: Model | Iterable[Model] | Mapping[str, Model], scratch: Path
) -> tuple[Variant, ...]:
    """The variants in what was given, each with a name of its own.

    Args:
        models: What `tfconv.benchmark` takes.
        scratch: A folder, where live models are saved.

    Raises:
        ConfigError: There are none, or something is no model.
        ConversionError: Keras can't save a live model.
    """
    if isinstance(models, Mapping):
        named = [(str(name), model) for name, model in models.items()]
    elif isinstance(models, _ONE) or not isinstance(models, Iterable) or is_live_model(models):
        named = [("", models)]
    else:
        named = [("", model) for model in models]
    variants = [v for name, model in named for v in _variants_of(model, name, scratch)]
    if not variants:
        raise ConfigError(
            "There is no model to measure.",
            received=in_short(models),
            expected="one or several paths, variants, converted models or Keras models",
        )
    return _with_own_names(variants)


def inputs_of(variants: Iterable[Variant]) -> tuple[TensorSpec, ...]:
    """The inputs of the first variant that can be opened, ONNX files first: that is quick.

    A fixed batch size is left open, since examples are dealt out as each model takes them.

    Raises:
        ConversionError: None can be opened.
    """
    failure = ConversionError("There is no model.")
    for variant in sorted(variants, key=lambda variant: variant.format != "onnx"):
        options = variant.session_options or None
        try:
            with open_runtime(variant.path, session_options=options) as runtime:
                return tuple(replace(s, shape=(None, *s.shape[1:])) for s in runtime.inputs)
        except ConversionError as error:
            failure = error
    raise failure


def reference_first(variants: Iterable[Variant]) -> list[Variant]:
    """The same, the one that the others are compared with first."""
    rank = {name: position for position, name in enumerate(_REFERENCES)}
    return sorted(variants, key=lambda variant: rank.get(variant.run_name, len(rank)))


def _variants_of(model: Any, name: str, scratch: Path) -> list[Variant]:
    if isinstance(model, Variants):
        return list(model.variants)
    if isinstance(model, Variant):
        return [replace(model, name=name or model.name)]
    if isinstance(model, ConvertedModel):
        return _formats_of(model, name or "base")
    if is_live_model(model):
        return [_saved(model, name or model.name, scratch)]
    path = model_path(model, "a path, a Variant, a ConvertedModel or a keras.Model")
    return [Variant(name=name or path.stem or str(path), format=format_of(path), path=path)]


def _saved(model: Any, name: str, scratch: Path) -> Variant:
    """A live model as a file."""
    from mlflow_tfconv.exporters.live_model import save_live_model

    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / f"{len(list(scratch.iterdir()))}.keras"
    save_live_model(model, path)
    return Variant(name=name, format="keras", path=path)


def _formats_of(model: ConvertedModel, name: str) -> list[Variant]:
    """The Keras file when there is one, the SavedModel and the ONNX file."""
    keras = model.keras
    if not model.source_format and format_of(model.source).startswith("keras"):
        keras = keras or model.source  # of a step `convert` of the user's own
    files = {"keras": keras, "saved_model": model.saved_model, "onnx": model.onnx}
    return [
        Variant(name=name, format=kind, path=path, parity=model.parity.get(kind))
        for kind, path in files.items()
        if path is not None
    ]


def format_of(path: Path) -> str:
    """The format by content; by name for what is no model, so that its failure is a result."""
    try:
        return recognised(path).format
    except ConversionError:
        return "saved_model" if path.is_dir() else _BY_SUFFIX.get(path.suffix.lower(), "onnx")


def _with_own_names(variants: list[Variant]) -> tuple[Variant, ...]:
    taken: set[str] = set()
    named = []
    for variant in variants:
        own, number = variant, 1
        while own.run_name in taken:
            number += 1
            own = replace(variant, name=f"{variant.name}-{number}")
        taken.add(own.run_name)
        named.append(own)
    return tuple(named)
