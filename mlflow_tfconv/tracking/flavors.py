"""Model files as MLflow models: what `Model.log` calls to fill the model's folder.

Keras files and SavedModels are copied, not loaded and written again: what was measured is what is
logged, and TensorFlow is only needed to load it back. The layouts are those that `mlflow.tensorflow`
of 2.22 and 3 reads (a Keras model; a SavedModel with a named signature).
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from mlflow_tfconv.formats.model_files import copy_data, model_bytes
from mlflow_tfconv.tracking.keras_code import FOLDER, LOADER, copy_own_classes
from mlflow_tfconv.tracking.keras_of_old import has_layers_of_old

_DISTRIBUTIONS = {
    "onnx": ("onnx", "onnxruntime-gpu", "onnxruntime", "numpy"),
    "keras": ("tensorflow", "keras", "numpy"),
    "saved_model": ("tensorflow", "numpy"),
}


_LOADER_OF_OLD = "mlflow_tfconv.tracking.keras_of_old"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFlavor:
    """Looks like a flavor module of MLflow: has the `save_model` that `Model.log` calls.

    Attributes:
        format: "keras" | "saved_model" | "onnx".
        source: The file, or the SavedModel's folder.
        providers: ONNX Runtime's execution providers that an ONNX file is to be served with.
        recipe_root: The folder whose code may define classes of a Keras model.
    """

    format: str
    source: Path
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    recipe_root: Path | None = None

    def save_model(self, path: str, mlflow_model: Any, signature: Any, **options: Any) -> None:
        """Fills `path` with a complete MLflow model."""
        del options["validate_serving_input"]  # it is loaded back and compared afterwards
        if self.format == "onnx":
            options["onnx_execution_providers"] = list(self.providers)
        if self.format == "keras":
            options["recipe_root"] = self.recipe_root
        _WRITERS[self.format](
            self.source, Path(path), mlflow_model=mlflow_model, signature=signature, **options
        )


def requirements(format: str) -> list[str]:  # noqa: A002 (the word that events use)
    """Pinned packages that the model needs; said by us, since inferring them takes MLflow seconds.

    Of two distributions of one library (onnxruntime and onnxruntime-gpu) the first that is there.
    """
    pins: dict[str, str] = {}
    for name in _DISTRIBUTIONS[format]:
        try:
            pins.setdefault(name.removesuffix("-gpu"), f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return [f"mlflow=={metadata.version('mlflow')}", *pins.values()]


def _write_onnx(source: Path, path: Path, **options: Any) -> None:
    """The file as it is, with its external data: the weights of large ones are not loaded."""
    import mlflow.onnx
    import onnx

    model = onnx.load(source, load_external_data=False)
    mlflow.onnx.save_model(model, str(path), save_as_external_data=False, **options)
    if copy_data(source, path):
        mlflow_model = options["mlflow_model"]
        mlflow_model.model_size_bytes = model_bytes(path)
        mlflow_model.save(str(path / "MLmodel"))


def _write_keras(source: Path, path: Path, *, recipe_root: Path | None, **options: Any) -> None:
    data = path / "data"
    data.mkdir(parents=True)
    (data / "keras_module.txt").write_text("tensorflow.keras")
    (data / "save_format.txt").write_text("tf")
    shutil.copyfile(source, data / "model.keras")
    conf = {"data": "data", "model_type": "keras", "save_format": "tf"}
    conf["keras_version"] = metadata.version("keras")
    if copy_own_classes(source, recipe_root, path):
        conf["code"] = FOLDER
        loading = {"data": "data", "code": FOLDER, "loader_module": LOADER}
        _finish(path, conf, loading, **options)
        return
    if not has_layers_of_old(source):
        _finish(path, conf, {"data": "data"}, **options)
        return
    ours = f"mlflow-tfconv=={metadata.version('mlflow-tfconv')}"
    options["pip_requirements"] = [*options["pip_requirements"], ours]
    _finish(path, conf, {"data": "data", "loader_module": _LOADER_OF_OLD}, **options)


def _write_saved_model(source: Path, path: Path, **options: Any) -> None:
    shutil.copytree(source, path / "tfmodel")
    conf = {
        "saved_model_dir": "tfmodel",
        "model_type": "tf1-estimator",
        "meta_graph_tags": ["serve"],
        "signature_def_key": "serving_default",
    }
    _finish(path, conf, {}, **options)


_WRITERS: Mapping[str, Callable[..., None]] = {
    "onnx": _write_onnx,
    "keras": _write_keras,
    "saved_model": _write_saved_model,
}


def _finish(
    path: Path,
    conf: Mapping[str, Any],
    pyfunc_conf: Mapping[str, Any],
    *,
    mlflow_model: Any,
    signature: Any,
    input_example: Any,
    pip_requirements: list[str],
) -> None:
    """MLmodel, the input example and the files that say which packages are needed."""
    from mlflow import pyfunc
    from mlflow.models.utils import _save_example

    mlflow_model.signature = signature
    if input_example is not None:
        _save_example(mlflow_model, input_example, str(path))
    mlflow_model.add_flavor("tensorflow", **{"code": None, **conf})
    environment = {"conda_env": "conda.yaml", "python_env": "python_env.yaml"}
    loader = {"loader_module": "mlflow.tensorflow", **pyfunc_conf}
    pyfunc.add_to_model(mlflow_model, **environment, **loader)
    mlflow_model.save(str(path / "MLmodel"))
    _write_environment(path, pip_requirements)


def _write_environment(path: Path, pip_requirements: list[str]) -> None:
    """The three descriptions of one environment that MLflow's tools look for (JSON is YAML)."""
    python = platform.python_version()
    (path / "requirements.txt").write_text("\n".join(pip_requirements))
    (path / "python_env.yaml").write_text(
        json.dumps(
            {
                "python": python,
                "build_dependencies": ["pip", "setuptools", "wheel"],
                "dependencies": ["-r requirements.txt"],
            }
        )
    )
    (path / "conda.yaml").write_text(
        json.dumps(
            {
                "name": "mlflow-env",
                "channels": ["conda-forge"],
                "dependencies": [f"python={python}", "pip", {"pip": pip_requirements}],
            }
        )
    )
