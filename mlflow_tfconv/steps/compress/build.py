"""Makes variants: prune, export, quantize, try out, audit. Each stage is kept by what made it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import Audit, ParityReport
from mlflow_tfconv.engine.codec import decode, encode
from mlflow_tfconv.engine.digests import Digests
from mlflow_tfconv.engine.parts import fingerprint_of
from mlflow_tfconv.errors import CompressionError
from mlflow_tfconv.formats.model_files import link_files, model_files
from mlflow_tfconv.steps.compress.audit import Promise, audit, require_kept
from mlflow_tfconv.steps.compress.calibration import Examples
from mlflow_tfconv.steps.compress.config import QuantizeConfig, VariantConfig
from mlflow_tfconv.steps.compress.onnx_files import read_onnx
from mlflow_tfconv.steps.compress.onnx_weights import is_quantized
from mlflow_tfconv.steps.compress.pruned_model import pruned_model
from mlflow_tfconv.steps.compress.try_out import try_out
from mlflow_tfconv.steps.compress.workplace import (
    FACTS,
    KERAS_MODEL,
    MODEL,
    Workplace,
)

#: How a method is done: the file and its function.
_QUANTIZERS = {
    "dynamic": "quantize_dynamic",
    "float16": "quantize_float16",
    "static": "quantize_static",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A finished variant.

    Attributes:
        folder: Holds `model.onnx` with its external data and, if it is only pruned, `model.keras`.
        audit: What is really inside.
        fingerprint: Digest of the files and of what made them.
        parity: The verdict on the export of the pruned Keras model, or None.
        history: Metric name to one value an epoch of the fine-tuning.
        notes: What a reader should know.
    """

    folder: Path
    audit: Audit
    fingerprint: str
    parity: ParityReport | None = None
    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def build_variant(config: VariantConfig, place: Workplace) -> Built:
    """The variant, made now or taken from an earlier run.

    Raises:
        CompressionError: It can't be made, or does not give finite outputs.
        AuditError: It is not what it says.
        ParityError: The ONNX file of the pruned model disagrees with the pruned model.
    """
    folder = place.parts.build(
        {
            **place.ingredients,
            "stage": "variant",
            "prune": asdict(config.prune) if config.prune else None,
            "quantize": asdict(config.quantization) if config.quantization else None,
            "training_code": place.training_code if config.prune else "",
        },
        lambda work: _make_variant(work, config, place),
    )
    return _read(folder)


def _make_variant(work: Path, config: VariantConfig, place: Workplace) -> None:
    _refuse_quantized(place.onnx)
    facts: dict[str, Any] = {"zeros": {}, "history": {}, "parity": None, "notes": []}
    source = place.onnx
    if config.prune is not None:
        pruned = pruned_model(config.prune, config.name, place)
        facts |= json.loads((pruned / FACTS).read_text())
        source = pruned / MODEL
    if config.quantization is not None:
        facts["parity"] = None  # quantized is no longer the export of anything
        _quantize(source, work / MODEL, config.quantization, place.examples)
    else:
        link_files(source.parent, work)
        (work / FACTS).unlink()
    try_out(work / MODEL, place)
    found = audit(work / MODEL, "onnx", _promise(config, sum(facts["zeros"].values())))
    require_kept(found, config.name, config.technique)
    facts["audit"] = encode(found, work)
    (work / FACTS).write_text(json.dumps(facts))


def _promise(config: VariantConfig, zeros: int) -> Promise:
    """Dynamic quantization leaves convolutions out, and a user may exclude what does not bear it."""
    how = config.quantization
    partial = how is not None and (how.method == "dynamic" or bool(how.exclude))
    return Promise(precision=config.precision, zeros=zeros, other_share=0.5 if partial else 0.1)


def _read(folder: Path) -> Built:
    facts = json.loads((folder / FACTS).read_text())
    digests = [Digests().of(file) for file in model_files(folder / MODEL)]
    return Built(
        folder=folder,
        audit=decode(facts["audit"], folder),
        fingerprint=fingerprint_of({"files": digests, "part": folder.name}),
        parity=decode(facts["parity"], folder),
        history={name: tuple(values) for name, values in facts["history"].items()},
        notes=tuple(facts["notes"]),
    )


def _quantize(source: Path, output: Path, config: QuantizeConfig, examples: Examples) -> None:
    name = _QUANTIZERS[config.method]
    quantizer = import_module(f"mlflow_tfconv.steps.compress.{name}")
    quantize: Callable[..., None] = getattr(quantizer, name)
    quantize(source, output, config, examples)


def _refuse_quantized(path: Path) -> None:
    if is_quantized(read_onnx(path)):
        raise CompressionError(
            "The model is quantized already.",
            received=f"{path}, with QuantizeLinear or integer nodes",
            expected="a model in float32",
            fix="Start from the model as it was before quantization.",
        )


def moved(built: Built, folder: Path) -> Built:
    """The same variant, with its files linked into another folder."""
    link_files(built.folder, folder)
    (folder / FACTS).unlink()
    parity = built.parity and replace(
        built.parity, reference=folder / KERAS_MODEL, candidate=folder / MODEL
    )
    return replace(built, folder=folder, parity=parity)
