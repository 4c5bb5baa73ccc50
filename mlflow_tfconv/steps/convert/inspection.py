"""What a model file holds, told without converting it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.traced_from_source import READERS
from mlflow_tfconv.formats.recognition import FORMATS, Recognised, recognised
from mlflow_tfconv.runtimes.given_model import model_path
from mlflow_tfconv.runtimes.names import tidy_name

_RUNNABLE = (*READERS, "onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What was found.

    Attributes:
        path: The file or folder; of a checkpoint its prefix.
        format: A key of `formats.recognition.FORMATS`.
        detail: What else was seen of the format.
        size_bytes: All its files.
        inputs: Its inputs, as far as they can be told.
        outputs: Its outputs.
        parameters: Number of values in its weights, or None when it can't be told.
        signatures: Names of a SavedModel's signatures.
        missing: What else is needed to convert it.
        problems: Why it can't be read or converted.
    """

    path: Path
    format: str
    detail: str = ""
    size_bytes: int = 0
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    parameters: int | None = None
    signatures: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def convertible(self) -> bool:
        """Whether `convert` can be expected to take it."""
        return self.format in READERS and not self.problems and not self.missing

    def __str__(self) -> str:
        """A few lines for a terminal."""
        weights = "" if self.parameters is None else f", {self.parameters:,} parameters"
        lines = [
            str(self.path),
            f"  format   {FORMATS[self.format]}" + (f": {self.detail}" if self.detail else ""),
            f"  size     {self.size_bytes / 1e6:,.3f} MB{weights}",
            *(f"  input    {_words(spec)}" for spec in self.inputs),
            *(f"  output   {_words(spec)}" for spec in self.outputs),
        ]
        if len(self.signatures) > 1:
            lines.append(f"  signatures  {', '.join(self.signatures)}")
        lines += [f"  missing  {text}" for text in self.missing]
        lines += [f"  problem  {_indented(text)}" for text in self.problems]
        if self.convertible:
            lines.append(f"  Convert it: tfconv convert {self.path} OUTPUT")
        return "\n".join(lines)


def inspect_model(path: str | Path) -> ModelInfo:
    """Looks into a model without converting it; nothing in it is executed.

    Args:
        path: A file, a folder, or the prefix of a checkpoint.

    Raises:
        ConfigError: It is no path.
        ConversionError: There is nothing there, or nothing that is known. What is known but
            damaged or refused is told in `problems` instead.
    """
    found = recognised(model_path(path, "the path of a model"))
    info = ModelInfo(
        path=found.path,
        format=found.format,
        detail=found.detail,
        size_bytes=_size_bytes(found.path),
        missing=_missing(found),
    )
    reader = _READERS.get(found.format)
    try:
        info = reader(info) if reader else info
    except ConversionError as error:
        return replace(info, problems=(str(error),))
    if found.format not in _RUNNABLE:
        info = replace(info, problems=("this version does not convert this format",))
    return info


def _keras(info: ModelInfo) -> ModelInfo:
    from mlflow_tfconv.runtimes.keras_signature import keras_signature
    from mlflow_tfconv.runtimes.load_keras import load_keras

    model = load_keras(info.path)
    signature = keras_signature(model)
    return replace(
        info, inputs=signature.inputs, outputs=signature.outputs, parameters=model.count_params()
    )


def _saved_model(info: ModelInfo) -> ModelInfo:
    from mlflow_tfconv.runtimes.saved_model_safety import (
        parsed_saved_model,
        refuse_unsafe_saved_model,
    )

    graphs = parsed_saved_model(info.path).meta_graphs
    signatures = {
        name: signature
        for graph in graphs
        for name, signature in graph.signature_def.items()
        if not name.startswith("__")
    }
    chosen = signatures.get("serving_default") or next(iter(signatures.values()), None)
    info = replace(info, signatures=tuple(sorted(signatures)))
    if chosen is not None:
        inputs, outputs = _signature_specs(chosen.inputs), _signature_specs(chosen.outputs)
        info = replace(info, inputs=inputs, outputs=outputs)
    refuse_unsafe_saved_model(info.path)
    variables = info.path / "variables" / "variables"
    weights = _checkpoint_parameters(variables) if variables.with_suffix(".index").exists() else 0
    return replace(info, parameters=weights)


def _signature_specs(values: Any) -> tuple[TensorSpec, ...]:
    import tensorflow as tf

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


def _onnx(info: ModelInfo) -> ModelInfo:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(str(info.path), load_external_data=False).graph
    except DecodeError as error:
        raise ConversionError(
            "The ONNX file is damaged or cut off.",
            received=f"{info.path}: {error}",
            fix="Copy or download the file again and compare its size.",
        ) from error
    weights = {tensor.name for tensor in graph.initializer}
    return replace(
        info,
        inputs=tuple(_value_spec(v) for v in graph.input if v.name not in weights),
        outputs=tuple(_value_spec(v) for v in graph.output),
        parameters=sum(_count(tensor.dims) for tensor in graph.initializer),
    )


def _value_spec(value: Any) -> TensorSpec:
    import onnx

    tensor = value.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else ""
    named = "string" if tensor.elem_type == onnx.TensorProto.STRING else dtype
    return TensorSpec(name=value.name, dtype=named, shape=shape)


def _weights_h5(info: ModelInfo) -> ModelInfo:
    import h5py

    counts: list[int] = []
    with h5py.File(info.path, "r") as file:
        file.visititems(
            lambda _, item: counts.append(item.size) if isinstance(item, h5py.Dataset) else None
        )
    return replace(info, parameters=sum(counts))


def _checkpoint(info: ModelInfo) -> ModelInfo:
    if any("file is missing" in text for text in info.missing):
        return info
    return replace(info, parameters=_checkpoint_parameters(info.path))


def _checkpoint_parameters(prefix: Path) -> int:
    """Number of floating point values in a checkpoint, whatever they are for."""
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(prefix))
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise ConversionError(
            "The checkpoint's index is damaged or cut off.",
            received=f"{prefix}: {str(error).splitlines()[0]}",
            fix="Copy all its files again.",
        ) from error
    dtypes = reader.get_variable_to_dtype_map()
    shapes = reader.get_variable_to_shape_map()
    return sum(_count(shape) for name, shape in shapes.items() if dtypes[name].is_floating)


_READERS: dict[str, Callable[[ModelInfo], ModelInfo]] = {
    "keras": _keras,
    "keras_h5": _keras,
    "weights_h5": _weights_h5,
    "saved_model": _saved_model,
    "onnx": _onnx,
    "tf_checkpoint": _checkpoint,
}


def _missing(found: Recognised) -> tuple[str, ...]:
    if found.format == "weights_h5":
        return ("the architecture: these are weights only",)
    if found.format == "keras_json":
        return ("the weights: this is the architecture only",)
    if found.format == "meta_graph":
        return ("the weights: name the checkpoint's prefix, without .meta",)
    if found.format == "tf_checkpoint":
        return tuple(
            f"{found.path.name}{suffix}: {why}"
            for suffix, why in _CHECKPOINT_FILES.items()
            if not any(found.path.parent.glob(f"{found.path.name}{suffix}*"))
        )
    return ()


_CHECKPOINT_FILES = {
    ".index": "the index file is missing",
    ".data-": "the data file is missing",
    ".meta": "the graph; there are weights only",
}


def _count(shape: Any) -> int:
    count = 1
    for size in shape:
        count *= int(size)
    return count


def _words(spec: TensorSpec) -> str:
    sizes = ", ".join("any" if size is None else str(size) for size in spec.shape)
    return f"{spec.name}  {spec.dtype} ({sizes})"


def _indented(text: str) -> str:
    return text.replace("\n", "\n           ")


def _size_bytes(path: Path) -> int:
    if path.is_dir():
        files = list(path.rglob("*"))
    elif path.exists():
        files = [path]
    else:
        files = list(path.parent.glob(f"{path.name}.*"))
    return sum(file.stat().st_size for file in files if file.is_file())
