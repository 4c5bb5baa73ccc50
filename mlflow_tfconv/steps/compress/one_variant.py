"""One variant of a model file, without a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.arguments import path_of
from mlflow_tfconv.artifacts import ConvertedModel, Dataset, Variant
from mlflow_tfconv.data.manifest import read_manifest
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.formats.model_files import model_files, own_data
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.runtimes.batches_of import Samples
from mlflow_tfconv.runtimes.given_model import is_live_model, model_path
from mlflow_tfconv.steps.compress.base import keras_file, keras_of
from mlflow_tfconv.steps.compress.build import build_variant
from mlflow_tfconv.steps.compress.calibration import Examples
from mlflow_tfconv.steps.compress.config import VariantConfig
from mlflow_tfconv.steps.compress.onnx_files import move_onnx
from mlflow_tfconv.steps.compress.pruned_model import exported_onnx
from mlflow_tfconv.steps.compress.workplace import MODEL, Workplace


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model to make a variant of.

    Attributes:
        path: The file or folder that is made smaller.
        keras: The same as a Keras file, or None.
    """

    path: Path
    keras: Path | None


def source_of(model: Any, scratch: Path) -> Source:
    """The files of a model as a caller has it; a live one is saved into `scratch`.

    Raises:
        ConfigError: It is no model.
        ConversionError: Keras can't save it.
    """
    if is_live_model(model):
        from mlflow_tfconv.exporters.live_model import save_live_model

        file = scratch / "live.keras"
        save_live_model(model, file)
        return Source(path=file, keras=file)
    if isinstance(model, ConvertedModel):
        path = model.onnx or model.saved_model or model.source
        return Source(path=path, keras=keras_of(model))
    path = model_path(model, "a path, a ConvertedModel, a Variant or a keras.Model")
    return Source(path=path, keras=keras_file(path))


def one_variant(
    asked: VariantConfig,
    source: Source,
    output: Path,
    *,
    scratch: Path,
    calibration: Samples | None,
    dataset: Dataset | str | Path | None,
    seed: int,
) -> Variant:
    """Writes `output`; see `compress`."""
    _refuse_own_files(source.path, output)
    parts = Parts(scratch)
    is_onnx = recognised(source.path).format == "onnx"
    place = Workplace(
        onnx=source.path if is_onnx else exported_onnx(source.path, parts, Device()),
        keras=source.keras,
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


def _refuse_own_files(source: Path, output: Path) -> None:
    """Nothing that the model consists of is written over."""
    written = [file for file in (output, own_data(output)) if file.exists()]
    for file in model_files(source) if source.is_file() else ():
        if any(file.samefile(other) for other in written):
            raise ConfigError(
                "The output is the model itself.",
                received=f"{output}; {file} belongs to the model {source}",
                expected="a file of its own",
                fix="Name another output; the model is left as it is.",
            )


def _given(calibration: Samples | None) -> Samples | None:
    """Something that can be gone through more than once."""
    return tuple(calibration) if isinstance(calibration, Iterator) else calibration


def _dataset(given: Dataset | str | Path | None) -> Dataset | None:
    if given is None or isinstance(given, Dataset):
        return given
    path = path_of(given, "The dataset")
    manifest = read_manifest(path)
    return Dataset(
        manifest=path / "manifest.json" if path.is_dir() else path,
        digest=manifest.digest,
        counts=manifest.counts,
    )
