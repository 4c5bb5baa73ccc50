"""One variant of a model file, without a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import Dataset, Variant
from mlflow_tfconv.data.manifest import read_manifest
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.errors import CompressionError
from mlflow_tfconv.runtimes.formats import recognised
from mlflow_tfconv.steps.compress.base import keras_file
from mlflow_tfconv.steps.compress.build import build_variant
from mlflow_tfconv.steps.compress.calibration import Examples
from mlflow_tfconv.steps.compress.config import VariantConfig
from mlflow_tfconv.steps.compress.onnx_files import move_onnx
from mlflow_tfconv.steps.compress.pruned_model import exported_onnx
from mlflow_tfconv.steps.compress.workplace import MODEL, Workplace


def one_variant(
    asked: VariantConfig,
    model: Path,
    output: Path,
    *,
    scratch: Path,
    calibration: Iterable[Mapping[str, Any]] | None,
    dataset: Dataset | str | Path | None,
    seed: int,
) -> Variant:
    """Writes `output`; see `compress`."""
    parts = Parts(scratch)
    is_onnx = recognised(model).format == "onnx"
    place = Workplace(
        onnx=model if is_onnx else exported_onnx(model, parts, Device()),
        keras=keras_file(model),
        examples=Examples(dataset=_dataset(dataset), given=_given(calibration), seed=seed),
        parts=parts,
    )
    built = build_variant(asked, place)
    move_onnx(built.folder / MODEL, output)
    return Variant(
        name=asked.name,
        format="onnx",
        path=output,
        technique=asked.technique,
        precision=asked.precision,
        audit=built.audit,
        fingerprint=built.fingerprint,
    )


def _given(calibration: Iterable[Mapping[str, Any]] | None) -> tuple[Mapping[str, Any], ...] | None:
    if calibration is None:
        return None
    if isinstance(calibration, Mapping) or not isinstance(calibration, Iterable):
        raise CompressionError(
            "The calibration data are no batches.",
            received=type(calibration).__name__,
            expected="an iterable of {input_name: array of shape (batch, ...)}",
            fix="Put a single batch into a list.",
        )
    return tuple(calibration)


def _dataset(given: Dataset | str | Path | None) -> Dataset | None:
    if given is None or isinstance(given, Dataset):
        return given
    manifest = read_manifest(given)
    path = Path(given)
    return Dataset(
        manifest=path / "manifest.json" if path.is_dir() else path,
        digest=manifest.digest,
        counts=manifest.counts,
    )
