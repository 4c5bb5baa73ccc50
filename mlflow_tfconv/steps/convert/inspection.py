"""What a model file holds, told without converting it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlflow_tfconv.artifacts import Choice, TensorSpec
from mlflow_tfconv.formats.known_formats import FORMATS
from mlflow_tfconv.steps.convert.call import Call
from mlflow_tfconv.steps.convert.function import Shape, Tensors
from mlflow_tfconv.steps.convert.request import pickled


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What was found.

    Attributes:
        path: The file or folder; of a checkpoint its prefix.
        format: A key of `FORMATS`.
        detail: What else was seen of the format.
        size_bytes: All its files.
        inputs: Its inputs, as far as they can be told.
        outputs: Its outputs.
        parameters: Number of values in its weights, or None when it can't be told.
        signatures: Names of a SavedModel's signatures.
        choices: What the files leave open, what `convert` would take, and what else there is.
        warnings: What a user should know.
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
    choices: tuple[Choice, ...] = ()
    warnings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def convertible(self) -> bool:
        """Whether `convert` can be expected to take it."""
        return bool(self.outputs) and self.format != "onnx" and not (self.problems or self.missing)

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
        lines += [f"  choice   {choice}" for choice in self.choices]
        lines += [f"  warning  {_indented(text)}" for text in self.warnings]
        lines += [f"  missing  {_indented(text)}" for text in self.missing]
        lines += [f"  problem  {_indented(text)}" for text in self.problems]
        if self.convertible:
            lines.append(f"  Convert it: tfconv convert {self.path} OUTPUT")
        return "\n".join(lines)


def inspect_model(
    path: str | Path,
    *,
    inputs: Tensors | None = None,
    outputs: Tensors | None = None,
    weights: str | Path | None = None,
    architecture: str | Path | Callable[[], Any] | None = None,
    signature: str | None = None,
    tags: str | tuple[str, ...] | set[str] | None = None,
    original_backend: Literal["tensorflow", "theano"] | None = None,
    lambdas: Mapping[str, Callable[..., Any]] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    use_ema: bool | str | None = None,
    shapes: Mapping[str, Shape] | None = None,
    trust: bool = False,
    time_limit_s: float | None = None,
    memory_limit_mb: float | None = None,
) -> ModelInfo:
    """Looks into a model without converting it, in a process of its own.

    >>> info = tfconv.inspect_model("model.ckpt-200")     # doctest: +SKIP
    >>> info.inputs, info.choices, info.missing     # doctest: +SKIP

    Args:
        path: A file, a folder, an archive, or the prefix of a checkpoint.
        inputs: As in `convert`, and so are all that follow.
        outputs: See there.
        weights: See there.
        architecture: See there.
        signature: See there.
        tags: See there.
        original_backend: See there.
        lambdas: See there.
        custom_objects: See there.
        use_ema: See there.
        shapes: See there.
        trust: See there.
        time_limit_s: See there.
        memory_limit_mb: See there.

    Raises:
        ConfigError: An argument can't be used.
        ConversionError: There is nothing there, or nothing that is known. What is known but
            damaged or refused is told in `problems` instead.
    """
    plain = {
        "inputs": inputs,
        "outputs": outputs,
        "weights": weights,
        "architecture": None if callable(architecture) else architecture,
        "signature": signature,
        "tags": tags,
        "original_backend": original_backend,
        "use_ema": use_ema,
        "shapes": shapes,
        "trust": trust,
        "time_limit_s": time_limit_s,
        "memory_limit_mb": memory_limit_mb,
    }
    objects = {
        "architecture": architecture if callable(architecture) else None,
        "lambdas": lambdas,
        "custom_objects": custom_objects,
    }
    call = Call(source=path, plain=plain, objects=objects)
    request = call.request()
    guard = call.guard(request, "Inspecting")
    target = "mlflow_tfconv.steps.convert.look:look_into"
    return ModelInfo(**guard.call(target, pickled(request)))


def _words(spec: TensorSpec) -> str:
    sizes = ", ".join("any" if size is None else str(size) for size in spec.shape)
    return f"{spec.name}  {spec.dtype} ({sizes})"


def _indented(text: str) -> str:
    return text.replace("\n", "\n           ")
