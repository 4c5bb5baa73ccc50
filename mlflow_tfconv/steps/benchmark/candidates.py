"""What to measure: the variants that a step hands over, or models that a user names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlflow_tfconv.artifacts import ConvertedModel, Variant, Variants
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.formats import recognised

Model = str | Path | Variant | ConvertedModel | Variants
_REFERENCES = ("base/keras", "base/saved_model", "base/onnx")
_BY_SUFFIX = {".onnx": "onnx", ".keras": "keras", ".h5": "keras_h5", ".hdf5": "keras_h5"}


def candidates(models: Model | Iterable[Model] | Mapping[str, Model]) -> tuple[Variant, ...]:
    """The variants in what was given, each with a name of its own."""
    if isinstance(models, Mapping):
        named = [(name, model) for name, model in models.items()]
    elif isinstance(models, str | Path | Variant | ConvertedModel | Variants):
        named = [("", models)]
    else:
        named = [("", model) for model in models]
    return _with_own_names([v for name, model in named for v in _variants_of(model, name)])


def reference_first(variants: Iterable[Variant]) -> list[Variant]:
    """The same, the one that the others are compared with first."""
    rank = {name: position for position, name in enumerate(_REFERENCES)}
    return sorted(variants, key=lambda variant: rank.get(variant.run_name, len(rank)))


def _variants_of(model: Model, name: str) -> list[Variant]:
    if isinstance(model, Variants):
        return list(model.variants)
    if isinstance(model, Variant):
        return [model]
    if isinstance(model, ConvertedModel):
        return _formats_of(model, name or "base")
    path = Path(model)
    return [Variant(name=name or path.stem or str(path), format=format_of(path), path=path)]


def _formats_of(model: ConvertedModel, name: str) -> list[Variant]:
    """The source when it is a Keras file, the SavedModel and the ONNX file."""
    source = model.source if format_of(model.source).startswith("keras") else None
    files = {"keras": source, "saved_model": model.saved_model, "onnx": model.onnx}
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
            own = dataclasses.replace(variant, name=f"{variant.name}-{number}")
        taken.add(own.run_name)
        named.append(own)
    return tuple(named)
