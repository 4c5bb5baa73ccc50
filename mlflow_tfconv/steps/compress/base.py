"""The model as it came, in every format that it has."""

from __future__ import annotations

import json
from pathlib import Path

from mlflow_tfconv.artifacts import ConvertedModel, Variant
from mlflow_tfconv.engine.codec import decode, encode
from mlflow_tfconv.engine.digests import Digests
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.steps.compress.audit import audit

_AUDIT = "audit.json"
_KERAS_FORMATS = ("keras", "keras_h5")


def keras_file(source: Path) -> Path | None:
    """The checkpoint, if it is a whole Keras model."""
    try:
        return source if recognised(source).format in _KERAS_FORMATS else None
    except ConversionError:
        return None


def keras_of(model: ConvertedModel) -> Path | None:
    """The model as a file that Keras 3 loads: its source, or what that was translated to."""
    if model.keras is not None or model.source_format:
        return model.keras
    return keras_file(model.source)  # of a step `convert` of the user's own


def base_variants(model: ConvertedModel, parts: Parts) -> tuple[Variant, ...]:
    """`base/keras`, `base/saved_model` and `base/onnx`, those which exist, audited."""
    files = {
        "keras": keras_of(model),
        "saved_model": model.saved_model,
        "onnx": model.onnx,
    }
    return tuple(_base(name, path, model, parts) for name, path in files.items() if path)


def _base(format: str, path: Path, model: ConvertedModel, parts: Parts) -> Variant:  # noqa: A002
    digest = Digests().of(path)

    def make(work: Path) -> None:
        (work / _AUDIT).write_text(json.dumps(encode(audit(path, format), work)))

    folder = parts.build({"stage": "audit", "format": format, "file": digest}, make)
    return Variant(
        name="base",
        format=format,
        path=path,
        audit=decode(json.loads((folder / _AUDIT).read_text()), folder),
        fingerprint=f"{digest}"[:20],
        parity=model.parity.get(format),
    )
