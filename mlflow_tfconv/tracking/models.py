"""Logs model files as MLflow models and loads each back once; a job for a process of its own.

Nothing here is imported by the driver: TensorFlow, where a format needs it, stays in the job.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.tracking.default_server import default_server
from mlflow_tfconv.tracking.flavors import FileFlavor, requirements
from mlflow_tfconv.tracking.server import SOURCE_TAG

#: The model's folder among the run's artifacts, on servers without logged models.
ARTIFACT_NAME = "model"
_TOLERANCE = 1e-4  # the same file in the same runtime: only the order of sums may differ
_EXAMPLES = 4

Arrays = Mapping[str, np.ndarray[Any, Any]]


def log_models(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Logs every model of a list, ONNX before those that need TensorFlow.

    Args:
        jobs: Plain values: `name` (of the logged model), `recipe`, `recipe_root` (its folder, or
            None), `tracking_uri`, `run_id`, `format` ("keras" | "saved_model" | "onnx"),
            `path`, `inputs` and `outputs` (lists of `{name, dtype, shape}`), `examples` (path of
            an .npz with a small batch, or None), `providers` (of ONNX Runtime).

    Returns:
        In the same order: `uri` and `model_id` (None without logged models), `max_abs_error` (None
        when nothing could be predicted for want of examples), `duration_s`, `failure` (why it could
        not be logged, or None) and `problem` (what was wrong with the model that came back, or
        None).
    """
    return [_log_model(job) for job in jobs]


def _log_model(job: Mapping[str, Any]) -> dict[str, Any]:
    started = time.perf_counter_ns()
    examples = _examples(job)
    result: dict[str, Any] = {"uri": None, "model_id": None, "max_abs_error": None, "problem": None}
    with default_server(job["tracking_uri"]):
        try:
            result |= _log(job, examples)
        except Exception as error:  # noqa: BLE001 (the others of the list are still to be logged)
            result["failure"] = f"{type(error).__name__}: {error}"
        else:
            result |= {"failure": None, **_load_back(job, str(result["uri"]), examples)}
    return {**result, "duration_s": (time.perf_counter_ns() - started) / 1e9}


def _examples(job: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]] | None:
    """A few examples of the batch, whole where an input's batch size is fixed."""
    if job["examples"] is None:
        return None
    fixed = any(spec["shape"] and spec["shape"][0] is not None for spec in job["inputs"])
    with np.load(job["examples"], allow_pickle=False) as arrays:
        return {name: arrays[name] if fixed else arrays[name][:_EXAMPLES] for name in arrays.files}


def _log(job: Mapping[str, Any], examples: Arrays | None) -> dict[str, Any]:
    """The model on its child run: a logged model on MLflow 3, artifacts of the run on 2.22."""
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    options = {
        "signature": _signature(job["inputs"], job["outputs"]),
        "input_example": None if examples is None else dict(examples),
        "pip_requirements": requirements(job["format"]),
        "validate_serving_input": False,
    }
    root = job.get("recipe_root")
    flavor = FileFlavor(
        format=job["format"],
        source=Path(job["path"]),
        providers=tuple(job["providers"]),
        recipe_root=None if root is None else Path(root),
    )
    place: dict[str, Any] = {"artifact_path": ARTIFACT_NAME}
    if hasattr(mlflow, "create_external_model"):
        place = {"artifact_path": None, "name": job["name"], "tags": {SOURCE_TAG: job["recipe"]}}
    with mlflow.start_run(run_id=job["run_id"]):
        try:
            info = Model.log(**place, flavor=flavor, **options)
        except MlflowException as error:
            if "logged-models" not in str(error):
                raise
            return _log_as_artifacts(job["run_id"], flavor, options)
    return {"uri": info.model_uri, "model_id": getattr(info, "model_id", None)}


def _log_as_artifacts(
    run_id: str, flavor: FileFlavor, options: Mapping[str, Any]
) -> dict[str, Any]:
    """What a server of MLflow 2.22 takes from a client of MLflow 3: it has no logged models."""
    import mlflow
    from mlflow.models import Model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, ARTIFACT_NAME)
        model = Model(artifact_path=ARTIFACT_NAME, run_id=run_id)
        flavor.save_model(str(path), mlflow_model=model, **options)
        mlflow.log_artifacts(str(path), ARTIFACT_NAME, run_id=run_id)
    return {"uri": f"runs:/{run_id}/{ARTIFACT_NAME}", "model_id": None}


def _signature(inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema
    from mlflow.types.schema import TensorSpec as Tensor

    def schema(specs: Sequence[Mapping[str, Any]]) -> Any:
        return Schema(
            [Tensor(_numpy_dtype(s["dtype"]), _shape(s["shape"]), s["name"]) for s in specs]
        )

    return ModelSignature(inputs=schema(inputs), outputs=schema(outputs) if outputs else None)


def _numpy_dtype(name: str) -> np.dtype[Any]:
    """TensorFlow has two types that numpy lacks."""
    return np.dtype({"string": "str", "bfloat16": "float32"}.get(name, name))


def _shape(shape: Sequence[int | None]) -> tuple[int, ...]:
    """MLflow writes -1 for what varies, and wants the batch to vary."""
    return (-1, *(-1 if size is None else size for size in shape[1:]))


def _load_back(job: Mapping[str, Any], uri: str, examples: Arrays | None) -> dict[str, Any]:
    """Loads the model as its users will, and compares it with the file that was measured."""
    try:
        given = _predict_from_log(uri, examples)
        expected = None if examples is None else _predict_from_file(job, examples)
    except Exception as error:  # noqa: BLE001 (whatever it is, the model is of no use to anybody)
        return {"problem": f"It could not be loaded back: {type(error).__name__}: {error}"}
    if expected is None:
        return {}
    apart, allowed = max_difference(expected, given), _TOLERANCE * max(1.0, _magnitude(expected))
    problem = None if apart <= allowed else f"It predicts {apart:.3g} away from its own file."
    return {"max_abs_error": apart, "problem": problem}


def _predict_from_log(uri: str, examples: Arrays | None) -> Any:
    import mlflow.pyfunc

    loaded = mlflow.pyfunc.load_model(uri)
    if examples is None:
        return None
    with warnings.catch_warnings():
        # A dict for a Keras model of one input, which it takes and mentions.
        warnings.filterwarnings("ignore", message="The structure of `inputs` doesn't match")
        return loaded.predict(dict(examples))


def _predict_from_file(job: Mapping[str, Any], examples: Arrays) -> dict[str, np.ndarray[Any, Any]]:
    from mlflow_tfconv.runtimes.runtime import open_runtime

    with open_runtime(job["path"], job["format"]) as runtime:
        return runtime.predict(examples)


def max_difference(expected: Arrays, given: Any) -> float:
    """The largest absolute difference, NaN against NaN being none; infinite for other outputs.

    Args:
        expected: Output name to array.
        given: What pyfunc gave: the same mapping, or (Keras) arrays in the same order, or one.
    """
    if not isinstance(given, Mapping):
        arrays = given if isinstance(given, list | tuple) else [given]
        given = dict(zip(expected, arrays, strict=False))
    return max((_difference(v, given.get(name)) for name, v in expected.items()), default=0.0)


def _difference(a: np.ndarray[Any, Any], given: Any) -> float:
    b = np.asarray(given)
    if given is None or b.size != a.size:
        return float("inf")
    b = b.reshape(a.shape)  # a SavedModel's outputs of width 1 come back flat
    if a.dtype.kind not in "fiub":
        return 0.0 if np.array_equal(a, b) else float("inf")
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    same = (wide_a == wide_b) | (np.isnan(wide_a) & np.isnan(wide_b))
    return float(np.max(np.where(same, 0.0, np.abs(wide_a - wide_b)), initial=0.0))


def _magnitude(arrays: Arrays) -> float:
    numbers = (v for v in arrays.values() if v.dtype.kind in "fiu" and v.size)
    return max((float(np.max(np.abs(v))) for v in numbers), default=0.0)
