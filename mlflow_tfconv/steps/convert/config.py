"""What may be asked of the step `convert`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mlflow_tfconv.errors import ConfigError

#: Opsets that the converter writes and that quantization by channel works with.
OPSETS = range(13, 19)
DEFAULT_OPSET = 17
#: Where the functions of a recipe lie that its config names.
USER_FILE = "steps/convert.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertConfig:
    """How the model is read and exported, and how closely the exports must agree with it.

    Attributes:
        using: "builtin", or the import path of a step class of your own.
        formats: What is written: "saved_model", "onnx" or both.
        source: A model file, folder or checkpoint to start from, relative to the recipe's folder;
            for a recipe without the step `train`.
        weights: The weights that belong to `source`, when that is an architecture alone (Keras
            JSON or YAML, darknet cfg).
        architecture: The architecture that belongs to `source`, when that holds weights alone: a
            file (Keras JSON or YAML, darknet cfg, a graph), or "steps/convert.py:NAME" for a
            function that builds the model.
        inputs: Tensors, layers or signature keys that are the model's inputs, or new name to such;
            an inner tensor cuts the graph there. Without it they are inferred.
        outputs: The same of its outputs.
        signature: Which signature of a SavedModel.
        tags: The tags of the MetaGraph of a SavedModel that has several.
        original_backend: What a model of Keras 1 was trained on; its file does not say.
        lambdas: Name of a Lambda layer to the function in steps/convert.py that replaces it.
        custom_objects: Name of a layer, or of anything else in a Keras config, to the class or
            function in steps/convert.py that it stands for; what is registered with Keras in
            steps/train.py or steps/convert.py is known anyway.
        use_ema: True takes moving averages of the weights, a text names their suffix, false takes
            the weights; without it the better one is inferred.
        opset: Version of the ONNX operator set, 13 to 18; 17 without it.
        shapes: Input to its whole shape, null where it varies.
        layout: How the inputs of the exports hold images: "nchw" or "nhwc"; without it as the
            source has them.
        precision: What the exports compute in: "float16" or "bfloat16"; without it as the source.
        preprocessing: The function in steps/convert.py that goes before the model and becomes
            part of it.
        trust: Whether what a foreign file says may be executed: code of Lambda layers, operations
            that touch files.
        absolute_tolerance: Largest difference from the source's outputs that is allowed; without
            it what suits the precision.
        relative_tolerance: The same relative to each output value; the two add up.
        parity_examples: Number of examples that are compared, drawn from the test split.
        input_map: Model input to the feature that feeds it, where names differ; one input and one
            feature need none.
        time_limit_s: Most seconds for reading, for each file that is written, and for each batch
            that is compared; without it 1800, and 60 or more for a batch.
        memory_limit_mb: Most memory that converting may use, in MB (10^6 bytes); without it nine
            tenths of what is free.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    using: Literal["builtin"] = "builtin"
    formats: tuple[Literal["saved_model", "onnx"], ...] = ("saved_model", "onnx")
    source: str | None = None
    weights: str | None = None
    architecture: str | None = None
    inputs: tuple[str, ...] | dict[str, str] | None = None
    outputs: tuple[str, ...] | dict[str, str] | None = None
    signature: str | None = None
    tags: tuple[str, ...] | None = None
    original_backend: Literal["tensorflow", "theano"] | None = None
    lambdas: dict[str, str] = field(default_factory=dict)
    custom_objects: dict[str, str] = field(default_factory=dict)
    use_ema: bool | str | None = None
    opset: int | None = None
    shapes: dict[str, tuple[int | None, ...]] = field(default_factory=dict)
    layout: Literal["nchw", "nhwc"] | None = None
    precision: Literal["float16", "bfloat16"] | None = None
    preprocessing: str | None = None
    trust: bool = False
    absolute_tolerance: float | None = None
    relative_tolerance: float | None = None
    parity_examples: int = 64
    input_map: dict[str, str] | None = None
    time_limit_s: float | None = None
    memory_limit_mb: float | None = None

    @property
    def written_opset(self) -> int:
        """The opset that is written."""
        return DEFAULT_OPSET if self.opset is None else self.opset

    @property
    def architecture_function(self) -> str | None:
        """The function in steps/convert.py that builds the model."""
        file, colon, name = (self.architecture or "").partition(":")
        return name if colon and file == USER_FILE else None

    @property
    def architecture_file(self) -> str | None:
        """The file with the architecture."""
        return self.architecture if self.architecture_function is None else None

    @property
    def user_functions(self) -> tuple[str, ...]:
        """What steps/convert.py must have."""
        single = (self.architecture_function, self.preprocessing)
        named = (*self.lambdas.values(), *self.custom_objects.values(), *single)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def __post_init__(self) -> None:
        _check_formats(self.formats)
        if self.written_opset not in OPSETS:
            raise ConfigError(
                "This version of the ONNX operator set can't be written.",
                received=f"opset: {self.opset}",
                expected=f"{OPSETS.start} to {OPSETS.stop - 1}",
            )
        tolerances = (self.absolute_tolerance or 0, self.relative_tolerance or 0)
        if self.parity_examples < 1 or min(tolerances) < 0:
            raise ConfigError(
                "Parity needs at least one example, and tolerances that are not negative.",
                received=f"parity_examples: {self.parity_examples}, absolute_tolerance: "
                f"{self.absolute_tolerance}, relative_tolerance: {self.relative_tolerance}",
            )
        for limit in ("time_limit_s", "memory_limit_mb"):
            value = getattr(self, limit)
            if value is not None and not value > 0:
                raise ConfigError(f"`{limit}` must be above 0.", received=value)


def _check_formats(formats: tuple[str, ...]) -> None:
    for name in formats:
        if name not in ("saved_model", "onnx"):
            raise ConfigError(
                "`formats` has a name that is not known.",
                received=name,
                expected="saved_model, onnx, or both",
            )
    if not formats or len(set(formats)) != len(formats):
        raise ConfigError(
            "`formats` must name each format that is wanted once.",
            received=list(formats),
            expected="saved_model, onnx, or both",
        )
