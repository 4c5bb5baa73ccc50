"""The function `convert`, for use without a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlflow_tfconv.arguments import path_of
from mlflow_tfconv.artifacts import ConvertedModel
from mlflow_tfconv.steps.convert.call import Call

if TYPE_CHECKING:
    from mlflow_tfconv.engine.events import Emit
    from mlflow_tfconv.runtimes.batches_of import Samples

Format = Literal["saved_model", "onnx"]
Tensors = str | Sequence[str] | Mapping[str, str]
Shape = Sequence[int | None]


def convert(
    source: str | Path | Any,
    output_dir: str | Path,
    *,
    formats: Format | Sequence[Format] = ("saved_model", "onnx"),
    inputs: Tensors | None = None,
    outputs: Tensors | None = None,
    weights: str | Path | None = None,
    architecture: str | Path | Callable[[], Any] | None = None,
    signature: str | None = None,
    tags: str | Sequence[str] | set[str] | None = None,
    original_backend: Literal["tensorflow", "theano"] | None = None,
    lambdas: Mapping[str, Callable[..., Any]] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    use_ema: bool | str | None = None,
    opset: int | None = None,
    shapes: Mapping[str, Shape] | None = None,
    layout: Literal["nchw", "nhwc"] | None = None,
    precision: Literal["float16", "bfloat16"] | None = None,
    preprocessing: Any = None,
    samples: Samples | None = None,
    tolerance: Any = None,
    trust: bool = False,
    time_limit_s: float | None = None,
    memory_limit_mb: float | None = None,
    emit: Emit | None = None,
) -> ConvertedModel:
    """Exports a model and compares what was written with the model itself.

    What the files leave open is inferred; `.choices` of the result says what was, and which
    argument chooses otherwise. The model is read, run and compared in processes of their own: a
    file that crashes TensorFlow, or keeps it busy for ever, is an error.

    >>> converted = tfconv.convert("model.ckpt-200", "out")     # doctest: +SKIP
    >>> converted.onnx, converted.parity["onnx"].max_abs_error     # doctest: +SKIP

    Args:
        source: A model file, a folder, a checkpoint's prefix, an archive of any of these, or a
            `keras.Model` (which is also saved, as `output_dir/source.keras`).
        output_dir: The folder for `saved_model/` and `model.onnx`. What an earlier conversion has
            left there is replaced when this one has succeeded, and stays as it is when not.
        formats: What is written.
        inputs: Tensors ("batch:0" or "batch"), layers or signature keys that are the inputs; or
            {new name: tensor}. An inner tensor cuts the graph there.
        outputs: The same of the outputs.
        weights: The weights of an architecture (Keras JSON or YAML, darknet cfg).
        architecture: The architecture of weights: such a file, a graph, or a function without
            arguments that builds the model.
        signature: Which signature of a SavedModel.
        tags: The tags of the MetaGraph of a SavedModel that has several.
        original_backend: What a model of Keras 1 was trained on.
        lambdas: Name of a Lambda layer to the function that replaces it.
        custom_objects: Name to class or function that a Keras config refers to.
        use_ema: True takes moving averages of the weights, a text names their suffix, False takes
            the weights.
        opset: Version of the ONNX operator set, 13 to 18; 17 when nothing is said.
        shapes: Input to its whole shape, None where it varies; the batch is the first. Sizes are in
            the source's own layout.
        layout: How the inputs of the exports hold images; None as the source has them.
        precision: "float16" or "bfloat16": what the weights are stored in, and the ONNX model
            computes in as far as ONNX Runtime can; inputs and outputs stay as they are.
        preprocessing: What goes before the model and becomes part of it: a function of a tensor,
            {input: function}, {input: {"scale": 1 / 127.5, "offset": -1}} or {input: {"mean":
            [...], "std": [...]}}; with "dtype": "uint8" the exports take bytes.
        samples: What to compare the outputs on: batches `{input_name: array of shape (batch,
            ...)}`, one of them, or the array of a single input; None makes some up.
        tolerance: What the outputs may differ by: a number, a pair (absolute, relative), a mapping
            {"absolute": ..., "relative": ...}, or the name of a precision; None is what suits
            `precision`.
        trust: Whether what the file says may be executed: code of Lambda layers, operations that
            touch files, links to other files.
        time_limit_s: Most seconds for reading, for each file that is written, and for each batch
            that is compared; None allows half an hour, and a minute or more for a batch.
        memory_limit_mb: Most memory that converting may use, in MB (10^6 bytes); None allows nine
            tenths of what is free.
        emit: Called with a `Progress` event whenever a part begins.

    Raises:
        ConfigError: An argument can't be used, or the samples don't fit the model.
        ConversionError: The model is refused, can't be read, or can't be written in a format.
        ParityError: An export disagrees with the source (`.report` says how).
    """
    plain = {
        "formats": formats,
        "inputs": inputs,
        "outputs": outputs,
        "weights": weights,
        "architecture": None if callable(architecture) else architecture,
        "signature": signature,
        "tags": tags,
        "original_backend": original_backend,
        "use_ema": use_ema,
        "opset": opset,
        "shapes": shapes,
        "layout": layout,
        "precision": precision,
        "trust": trust,
        "time_limit_s": time_limit_s,
        "memory_limit_mb": memory_limit_mb,
    }
    objects = {
        "architecture": architecture if callable(architecture) else None,
        "lambdas": lambdas,
        "custom_objects": custom_objects,
        "preprocessing": preprocessing,
        "tolerance": tolerance,
    }
    call = Call(source=source, plain=plain, objects=objects, samples=samples, emit=emit)
    return call.into(path_of(output_dir, "The output"))
