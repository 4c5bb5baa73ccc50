"""What may be asked of `compress`."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from mlflow_tfconv.errors import ConfigError

#: What may stand for a whole QuantizeConfig.
Shorthand = Literal["float16", "dynamic", "dynamic_int8", "static_int8"]

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeConfig:
    """How the numbers of a model get smaller, after training and export.

    Attributes:
        method: `float16` halves the weights; `static` computes in integers, with ranges measured on
            calibration data (for convolutions); `dynamic` takes the ranges anew for each batch
            (for matrix products, LSTMs and embeddings; convolutions stay in float).
        dtype: Type of the integers of `static` and `dynamic`.
        samples: How many examples calibrate `static`: a random sample of the whole train split.
        exclude: Patterns of ONNX node names that stay in float, such as `*/head/*`.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    method: Literal["float16", "dynamic", "static"]
    dtype: Literal["int8"] | None = None
    samples: int = 512
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_choice("quantize.method", self.method, ("float16", "dynamic", "static"))
        _check_choice("quantize.dtype", self.dtype, ("int8", None))
        if self.method == "float16" and self.dtype is not None:
            raise ConfigError(
                "`quantize.dtype` is the type of integers, and float16 has none.",
                received=f"method: float16, dtype: {self.dtype}",
                fix="Leave `dtype` out, or choose `method: static` or `method: dynamic`.",
            )
        _check_at_least("quantize.samples", self.samples, 1)

    @property
    def precision(self) -> str:
        """Type of the weights that come out: "float16" or "int8"."""
        return "float16" if self.method == "float16" else "int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneConfig:
    """Which share of the weights becomes zero, the smallest ones first, layer by layer.

    A Keras model is fine-tuned on the train split meanwhile, with the optimizer, loss and metrics
    that it was compiled with; a model that exists only as SavedModel or ONNX is pruned at once.

    Attributes:
        sparsity: Share of zeros in each pruned layer, between 0 and 1.
        schedule: `polynomial` raises the sparsity over the first three quarters of the fine-tuning;
            `constant` starts with all of it.
        epochs: Passes over the train split; 0 prunes at once, without fine-tuning.
        batch_size: Examples in a step of the fine-tuning.
        learning_rate: Of the fine-tuning; without it the model's own.
        frequency: Steps from one choice of weights to the next; without it such that there are
            about 20 while the sparsity is raised.
        layers: Patterns of the layer names that are pruned; without them all that hold kernels.
        exclude: Patterns of the layer names that are not.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    sparsity: float
    schedule: Literal["polynomial", "constant"] = "polynomial"
    epochs: int = 2
    batch_size: int = 64
    learning_rate: float | None = None
    frequency: int | None = None
    layers: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.sparsity < 1:
            raise ConfigError(
                "`prune.sparsity` is a share of the weights.",
                received=self.sparsity,
                expected="a number between 0 and 1, both excluded",
                fix="Write 0.5 for one half of the weights.",
            )
        _check_choice("prune.schedule", self.schedule, ("polynomial", "constant"))
        _check_at_least("prune.epochs", self.epochs, 0)
        _check_at_least("prune.batch_size", self.batch_size, 1)
        _check_at_least("prune.frequency", self.frequency, 1)
        if self.learning_rate is not None and self.learning_rate <= 0:
            raise ConfigError(
                "`prune.learning_rate` has to be positive.", received=self.learning_rate
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantConfig:
    """One variant of the model: pruned, then quantized, as far as asked.

    Attributes:
        name: Names its run, `<name>/onnx`.
        quantize: `float16`, `dynamic_int8` (or `dynamic`), `static_int8`, or the settings in full.
        prune: What is pruned, or nothing.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    name: str
    quantize: Shorthand | QuantizeConfig | None = None
    prune: PruneConfig | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.quantize is None and self.prune is None:
            raise ConfigError(
                f'The variant "{self.name}" asks for nothing: it would be the base model again.',
                expected="`quantize`, `prune` or both",
                fix="Add what it should do, such as `quantize: static_int8`, or take it out.",
            )
        if isinstance(self.quantize, str):
            _check_choice("quantize", self.quantize, tuple(_SHORTHANDS))

    @property
    def quantization(self) -> QuantizeConfig | None:
        """`quantize` in full."""
        return _SHORTHANDS[self.quantize] if isinstance(self.quantize, str) else self.quantize

    @property
    def technique(self) -> str:
        """What is done, in order, such as "prune+static"."""
        done = ("prune" if self.prune else None, q.method if (q := self.quantization) else None)
        return "+".join(filter(None, done))

    @property
    def precision(self) -> str:
        """Type of the weights that come out."""
        return q.precision if (q := self.quantization) else "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressConfig:
    """Which smaller variants are made of the model.

    Attributes:
        using: "builtin", or the import path of a step class of your own.
        variants: What is made; the model itself is always there, as `base`.
        seed: Decides the calibration sample and the order of the examples in fine-tuning.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    using: Literal["builtin"] = "builtin"
    variants: tuple[VariantConfig, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        counts = Counter(variant.name.lower() for variant in self.variants)
        doubled = [v.name for v in self.variants if counts[v.name.lower()] > 1]
        if doubled:
            raise ConfigError(
                "Two variants have the same name (upper and lower case are not told apart).",
                received=", ".join(doubled),
                fix="Give each variant in `compress.variants` a name of its own.",
            )


def _check_name(name: str) -> None:
    if name.lower() == "base":
        raise ConfigError(
            'A variant can\'t be called "base": that is the model as it was converted.',
            received=name,
            fix="Choose another name, such as `fp16`.",
        )
    if not _SAFE_NAME.fullmatch(name) or name.endswith("."):
        raise ConfigError(
            "This name of a variant can't be a folder's and a run's name.",
            received=repr(name),
            expected="up to 64 letters, digits, `.`, `_` and `-`, a letter or digit first",
            fix="Rename the variant.",
        )


def _check_choice(key: str, value: object, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        raise ConfigError(
            f"`{key}` is not one of its choices.",
            received=repr(value),
            expected=", ".join(str(choice) for choice in choices if choice is not None),
        )


def _check_at_least(key: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise ConfigError(f"`{key}` is too small.", received=value, expected=f"{least} or more")


_SHORTHANDS = {
    "float16": QuantizeConfig(method="float16"),
    "dynamic": QuantizeConfig(method="dynamic", dtype="int8"),
    "dynamic_int8": QuantizeConfig(method="dynamic", dtype="int8"),
    "static_int8": QuantizeConfig(method="static", dtype="int8"),
}
