"""The part of inspecting that opens the files: in a guarded process of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.engine.guarded_child import Voice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.formats.known_formats import Recognised
from mlflow_tfconv.formats.model_files import model_bytes
from mlflow_tfconv.formats.onnx_data import onnx_data
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.sources.archive_models import split_archive_path
from mlflow_tfconv.sources.options import SourceOptions
from mlflow_tfconv.sources.siblings import completed
from mlflow_tfconv.steps.convert.phases import READING, Phases
from mlflow_tfconv.steps.convert.request import Request

Facts = dict[str, Any]


def look_into(request: Request, voice: Voice) -> Facts:
    """The fields of `ModelInfo`.

    Raises:
        ConversionError: There is nothing there, or nothing that is known.
    """
    Phases(voice, request.config).begin(READING)
    archive, inside = split_archive_path(request.source)
    found = recognised(archive)
    facts: Facts = {
        "path": found.path if inside is None else request.source,
        "format": found.format,
        "detail": found.detail,
        "missing": (),
    }
    try:
        facts["missing"] = _missing(found, request)
        facts["size_bytes"] = model_bytes(found.path)
        facts |= _EASY.get(found.format, _nothing)(found.path)
        if not facts["missing"] and found.format not in _NOT_READ:
            facts |= _read(request)
    except ConversionError as error:
        facts["problems"] = (str(error),)
    if found.format in _NOT_READ and found.format != "onnx":
        facts["problems"] = ("this format is not converted",)
    return facts


def _read(request: Request) -> Facts:
    """What converting would begin with."""
    from mlflow_tfconv.exporters.traced_from_source import traced_from_source
    from mlflow_tfconv.steps.convert.options import source_options

    options = source_options(request)
    traced = traced_from_source(request.source, options=options, device=request.device)
    return {
        "inputs": traced.inputs,
        "outputs": traced.outputs,
        "parameters": traced.parameters,
        "choices": traced.choices,
        "warnings": traced.warnings,
    }


def _missing(found: Recognised, request: Request) -> tuple[str, ...]:
    architecture = request.given.architecture or request.config.architecture
    needs: dict[str, tuple[Any, str]] = {
        "weights_h5": (architecture, "the architecture: these are weights only"),
        "keras_json": (request.config.weights, "the weights: this is the architecture only"),
        "keras_yaml": (request.config.weights, "the weights: this is the architecture only"),
        "object_checkpoint": (
            architecture,
            "the architecture: this checkpoint holds weights only (a Keras JSON, or a function "
            "that builds the model)",
        ),
    }
    if found.format in needs:
        given, words = needs[found.format]
        return () if given or completed(found, SourceOptions())[1] else (words,)
    if found.format == "tf_checkpoint":
        files = {**_CHECKPOINT_FILES, **({} if architecture else _GRAPH_FILE)}
        return tuple(
            f"{found.path.name}{suffix}: {why}"
            for suffix, why in files.items()
            if not any(found.path.parent.glob(f"{found.path.name}{suffix}*"))
        )
    if found.format == "onnx":
        gone = (file for file in onnx_data(found.path) if not file.is_file())
        return tuple(f"{file.name}: the weights" for file in gone)
    return ()


_CHECKPOINT_FILES = {
    ".index": "the index file is missing",
    ".data-": "the data file is missing",
}
_GRAPH_FILE = {".meta": "the graph; there are weights only"}
#: What no reader of sources takes.
_NOT_READ = ("onnx", "tflite")


def _nothing(path: Path) -> Facts:
    del path
    return {}


def _saved_model(path: Path) -> Facts:
    """What saved_model.pb says, of a model that is refused too."""
    from mlflow_tfconv.runtimes.saved_model_safety import parsed_saved_model

    signatures = {
        name: signature
        for graph in parsed_saved_model(path).meta_graphs
        for name, signature in graph.signature_def.items()
        if not name.startswith("__")
    }
    chosen = signatures.get("serving_default") or next(iter(signatures.values()), None)
    facts: Facts = {"signatures": tuple(sorted(signatures))}
    if chosen is not None:
        facts["inputs"] = _signature_specs(chosen.inputs)
        facts["outputs"] = _signature_specs(chosen.outputs)
    return facts


def _signature_specs(values: Any) -> tuple[TensorSpec, ...]:
    import tensorflow as tf

    from mlflow_tfconv.runtimes.names import tidy_name

    return tuple(
        TensorSpec(
            name=tidy_name(name),
            dtype=tf.dtypes.as_dtype(values[name].dtype).name,
            shape=tuple(
                None if dim.size < 0 else dim.size for dim in values[name].tensor_shape.dim
            ),
        )
        for name in sorted(values)
    )


def _onnx(path: Path) -> Facts:
    """Of the file alone: its external data are not read."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except DecodeError as error:
        raise ConversionError(
            "The ONNX file is damaged or cut off.",
            received=f"{path}: {error}",
            fix="Copy or download the file again and compare its size.",
        ) from error
    weights = {tensor.name for tensor in graph.initializer}
    return {
        "inputs": tuple(_value_spec(v) for v in graph.input if v.name not in weights),
        "outputs": tuple(_value_spec(v) for v in graph.output),
        "parameters": sum(math.prod(tensor.dims) for tensor in graph.initializer),
    }


def _value_spec(value: Any) -> TensorSpec:
    import onnx

    tensor = value.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else ""
    named = "string" if tensor.elem_type == onnx.TensorProto.STRING else dtype
    return TensorSpec(name=value.name, dtype=named, shape=shape)


def _weights_h5(path: Path) -> Facts:
    import h5py

    counts: list[int] = []
    with h5py.File(path, "r") as file:  # links to other files are not followed by a visit
        file.visititems(
            lambda _, item: counts.append(item.size) if isinstance(item, h5py.Dataset) else None
        )
    return {"parameters": sum(int(count) for count in counts)}


def _checkpoint(path: Path) -> Facts:
    """Number of floating point values in it, whatever they are for."""
    from mlflow_tfconv.sources.checkpoints.checkpoint_files import checkpoint_files
    from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader

    if checkpoint_files(path) is None:
        return {}
    reader = CheckpointReader(path)
    floats = [key for key in reader if str(reader.dtype(key)).startswith(("float", "bf"))]
    return {"parameters": sum(math.prod(reader.shape(key)) for key in floats)}


#: Format to who tells something of it without TensorFlow's reading it.
_EASY: dict[str, Callable[[Path], Facts]] = {
    "saved_model": _saved_model,
    "onnx": _onnx,
    "weights_h5": _weights_h5,
    "tf_checkpoint": _checkpoint,
    "tf_checkpoint_v1": _checkpoint,
    "object_checkpoint": _checkpoint,
}
