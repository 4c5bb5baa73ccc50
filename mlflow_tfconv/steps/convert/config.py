"""What may be asked of the step `convert`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlflow_tfconv.errors import ConfigError

#: Opsets that the converter writes and that quantization by channel works with.
OPSETS = range(13, 19)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertConfig:
    """How the model is exported, and how closely the exports must agree with it.

    Attributes:
        using: "builtin", or the import path of a step class of your own.
        formats: What is written: "saved_model", "onnx" or both.
        source: A model file, folder or checkpoint to start from, relative to the recipe's folder;
            for a recipe without the step `train`.
        opset: Version of the ONNX operator set, 13 to 18.
        absolute_tolerance: Largest difference from the source's outputs that is allowed.
        relative_tolerance: The same relative to each output value; the two add up.
        parity_examples: Number of examples that are compared, drawn from the test split.
        input_map: Model input to the feature that feeds it, where names differ; one input and one
            feature need none.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    using: Literal["builtin"] = "builtin"
    formats: tuple[Literal["saved_model", "onnx"], ...] = ("saved_model", "onnx")
    source: str | None = None
    opset: int = 17
    absolute_tolerance: float = 1e-4
    relative_tolerance: float = 1e-3
    parity_examples: int = 64
    input_map: dict[str, str] | None = None

    def __post_init__(self) -> None:
        for name in self.formats:
            if name not in ("saved_model", "onnx"):
                raise ConfigError(
                    "`formats` has a name that is not known.",
                    received=name,
                    expected="saved_model, onnx, or both",
                )
        if not self.formats or len(set(self.formats)) != len(self.formats):
            raise ConfigError(
                "`formats` must name each format that is wanted once.",
                received=list(self.formats),
                expected="saved_model, onnx, or both",
            )
        if self.opset not in OPSETS:
            raise ConfigError(
                "This version of the ONNX operator set can't be written.",
                received=f"opset: {self.opset}",
                expected=f"{OPSETS.start} to {OPSETS.stop - 1}",
            )
        if self.parity_examples < 1 or min(self.absolute_tolerance, self.relative_tolerance) < 0:
            raise ConfigError(
                "Parity needs at least one example, and tolerances that are not negative.",
                received=f"parity_examples: {self.parity_examples}, absolute_tolerance: "
                f"{self.absolute_tolerance}, relative_tolerance: {self.relative_tolerance}",
            )
