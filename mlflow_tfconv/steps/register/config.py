"""What may be asked of the gate and the model registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlflow_tfconv.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """What a variant must reach to pass.

    Attributes:
        metric: A metric's name as it is logged, such as `quality/accuracy`.
        min: Least value that passes.
        max: Largest value that passes.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    metric: str
    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise ConfigError(
                f"A validation criterion on {self.metric} has no bound.",
                received="neither min nor max",
                expected="min, max or both",
                fix=f"Write {{metric: {self.metric}, min: 0.95}} in register.validation_criteria.",
            )
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ConfigError(
                f"No value can pass the validation criterion on {self.metric}.",
                received=f"min: {self.min}, max: {self.max}",
                expected="min at most max",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterConfig:
    """Which variant is registered, and as what.

    Attributes:
        using: "builtin", or the import path of a step class of your own.
        validation_criteria: What a variant must reach; without any, all that were measured pass.
        choose: The metric that decides among those that passed.
        greater_is_better: Its direction; null for the built-in metrics, which know theirs.
        formats: The formats that may be registered.
        model_name: The registered model; by default `model_registry.model_name` of the profile.
        alias: The alias that moves to the new version.
        allow_non_validated_model: Register the best even if none passes, with the alias
            "challenger" and the tag `tfconv.validated: false`.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    using: Literal["builtin"] = "builtin"
    validation_criteria: tuple[Criterion, ...] = ()
    choose: str = "latency/p50_ms"
    greater_is_better: bool | None = None
    formats: tuple[str, ...] = ("onnx", "saved_model", "keras")
    model_name: str | None = None
    alias: str = "champion"
    allow_non_validated_model: bool = False

    def __post_init__(self) -> None:
        known = ("onnx", "saved_model", "keras")
        if not self.formats or not set(self.formats) <= set(known):
            raise ConfigError(
                "register.formats names a format that no variant has.",
                received=", ".join(self.formats) or "none",
                expected=f"one or more of {', '.join(known)}",
            )
