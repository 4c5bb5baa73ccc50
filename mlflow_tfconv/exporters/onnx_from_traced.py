"""Writes an ONNX file.

The weights are kept out of the conversion and written last, one at a time. A function that this
can't be done for is converted with its weights, which takes many times their memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.check_onnx import check_onnx
from mlflow_tfconv.exporters.guard_padding import guard_padding
from mlflow_tfconv.exporters.quiet_tensorflow import quiet_tensorflow
from mlflow_tfconv.exporters.stable_names import stable_names
from mlflow_tfconv.exporters.tf2onnx_log import errors_noted
from mlflow_tfconv.exporters.tf2onnx_model import Converted, lean_model, plain_model
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.write_onnx import MOST_FILE_BYTES, weights_taken, write_onnx

#: Versions of the operator set that tf2onnx writes, from the oldest of use today.
OPSETS = range(13, 19)

# tf2onnx keeps what it works on in globals.
_ONE_AT_A_TIME = threading.Lock()


def onnx_from_traced(traced: Traced, path: Path, *, opset: int) -> tuple[str, ...]:
    """Writes the model under the source's own names, with a batch of any size.

    Weights that are too large for one file lie beside it, in `path` + ".data".

    Returns:
        What a user should know, such as that weights could not be kept out of the conversion.

    Raises:
        ConversionError: An operation has no counterpart in ONNX, an input or output is of a type
            that ONNX lacks, or the opset can't be written.
    """
    _require_opset(opset)
    _require_tensors(traced.inputs + traced.outputs)
    with _ONE_AT_A_TIME, quiet_tensorflow():
        try:
            return _write(lean_model, traced, path, opset)
        except ConversionError as error:
            return _write_plain(traced, path, opset, error)


def _write(
    convert: Callable[..., Converted], traced: Traced, path: Path, opset: int
) -> tuple[str, ...]:
    """Converts in one of the two ways, checks and writes.

    Raises:
        ConversionError: Something went wrong on the way.
    """
    with errors_noted() as errors:
        try:
            converted = convert(traced, opset=opset)
        except ConversionError:
            raise
        except Exception as error:  # TensorFlow, grappler and tf2onnx raise whatever they meet
            raise _unconvertible([*errors, f"{type(error).__name__}: {error}"]) from error
    if errors:
        raise _unconvertible(errors)
    model = stable_names(guard_padding(converted.model))
    weights = weights_taken(model.graph, converted.tensors)
    check_onnx(model, weights, traced)
    try:
        write_onnx(model, weights, path)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # weights are read and computed with only now
        raise _unconvertible([f"{type(error).__name__}: {error}"]) from error
    return converted.warnings


def _write_plain(
    traced: Traced, path: Path, opset: int, lean_error: ConversionError
) -> tuple[str, ...]:
    """Converts with the weights; gives a warning that says so.

    Raises:
        ConversionError: There are too many of them, or it fails in this way too.
    """
    size_bytes = _weight_bytes(traced.function)
    if size_bytes > MOST_FILE_BYTES:
        raise ConversionError(
            f"{lean_error.what} Its weights are too large to try it another way.",
            received=f"{size_bytes / 1e9:.2f} GB of weights; {lean_error.received}",
            expected=f"at most {MOST_FILE_BYTES / 1e9:.2f} GB, or {lean_error.expected}",
            fix=lean_error.fix,
        ) from lean_error
    try:
        _initialize(traced)
        warnings = _write(plain_model, traced, path, opset)
    except ConversionError:
        raise lean_error from None  # it says more
    return (
        *warnings,
        "The ONNX model was converted with its weights by plain tf2onnx, which takes more time and "
        f"memory, because the lean way failed: {lean_error.received}",
    )


def _initialize(traced: Traced) -> None:
    """Plain tf2onnx takes values from the variables themselves."""
    if not traced.weights.in_memory:
        for variable in traced.function.graph.variables:
            variable.assign(traced.weights.value(variable))


def _weight_bytes(function: Any) -> int:
    return sum(v.dtype.size * (v.shape.num_elements() or 0) for v in function.graph.variables)


def _require_opset(opset: int) -> None:
    if opset not in OPSETS:
        raise ConversionError(
            "This version of the ONNX operator set can't be written.",
            received=f"opset: {opset}",
            expected=f"{OPSETS.start} to {OPSETS.stop - 1}",
        )


def _require_tensors(specs: Sequence[TensorSpec]) -> None:
    for spec in specs:
        if spec.dtype in ("string", "resource", "variant"):
            raise ConversionError(
                f"{spec.name!r} is of type {spec.dtype}, which the ONNX model can't have.",
                received=", ".join(f"{s.name}: {s.dtype}" for s in specs),
                expected="numbers and booleans",
                fix="Export the SavedModel only (formats: [saved_model]), or move what works on "
                "strings out of the model, into the data's pipeline.",
            )


def _unconvertible(errors: Sequence[str]) -> ConversionError:
    shown = list(dict.fromkeys(line for error in errors for line in error.splitlines()[:1]))
    return ConversionError(
        "The model can't be converted to ONNX.",
        received="; ".join(shown)[:2000],
        expected="operations that have a counterpart in ONNX",
        fix="Export the SavedModel only (formats: [saved_model]), write the layer with other "
        "operations, or try another `opset`.",
    )
