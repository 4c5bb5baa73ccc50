"""What may be asked of the step `ingest`."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field
from typing import Any

from mlflow_tfconv.data.schema import ARRAY_DTYPES
from mlflow_tfconv.errors import ConfigError

SOURCES = ("custom", "tfrecord")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureConfig:
    """How a feature of existing TFRecords is to be read.

    Attributes:
        dtype: A numpy dtype such as "uint8", or "string". A bytes value of another dtype than
            "string" is read as the little-endian elements of an array.
        shape: Of one example; the first dimension may be null when it varies; [] is one value.
        class_names: What the integers of a label mean.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    dtype: str
    shape: tuple[int | None, ...] = ()
    class_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.dtype not in (*ARRAY_DTYPES, "string"):
            raise ConfigError(
                "The dtype of a feature is not known.",
                received=repr(self.dtype),
                expected=f"{', '.join(ARRAY_DTYPES)} or string",
                fix="Correct it under ingest.features.",
            )
        if None in self.shape[1:]:
            raise ConfigError(
                "Only the first dimension of a feature of existing TFRecords may vary.",
                received=f"shape: {list(self.shape)}",
                fix="Give the other dimensions, or convert the data with `using: custom`.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """Where the examples come from and how they are split.

    Attributes:
        using: "custom" calls the generator `load_examples` in steps/ingest.py; "tfrecord" takes
            existing TFRecord files of tf.train.Example; the import path of a class of your own
            replaces the step.
        location: A file, folder or glob pattern, relative to the recipe's folder, or a URL. A
            generator gets it as the argument `location`. TFRecord files whose names or folders
            say train, validation or test stay where they are; others are split into new shards.
        label: The feature, or features, to learn.
        key: The feature whose hash decides the split, such as an id; examples of the same key stay
            together. Without it the whole example is hashed.
        split_ratios: Shares of train, validation and test.
        shard_mb: Size of the shards, in MB (10^6 bytes).
        params: Arguments for `load_examples`.
        features: For "tfrecord": the features to read; without it all are read, with the types that
            the files show.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    using: str = "custom"
    location: str | None = None
    label: str | tuple[str, ...] | None = None
    key: str | None = None
    split_ratios: tuple[float, ...] = (0.8, 0.1, 0.1)
    shard_mb: float = 100
    params: dict[str, Any] = field(default_factory=dict)
    features: dict[str, FeatureConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_source(self)
        _check_ratios(self.split_ratios)
        if self.shard_mb <= 0:
            raise ConfigError(
                "ingest.shard_mb is not positive.",
                received=self.shard_mb,
                fix="Leave it out (100) or give a size in MB.",
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The label features as a tuple, empty without one."""
        if self.label is None:
            return ()
        return (self.label,) if isinstance(self.label, str) else self.label


def _check_source(config: IngestConfig) -> None:
    own = {".", ":"} & set(config.using)  # an import path
    if not own and config.using not in SOURCES:
        near = difflib.get_close_matches(config.using, SOURCES, n=1)
        raise ConfigError(
            "ingest.using names no source of data.",
            received=repr(config.using),
            expected=f"{', '.join(SOURCES)}, or the import path of your own step class",
            fix=f"Did you mean {near[0]!r}?" if near else "Write a generator: `using: custom`.",
        )
    if config.using == "tfrecord" and (config.location is None or "://" in config.location):
        raise ConfigError(
            "ingest.using is tfrecord, but ingest.location names no local file or folder.",
            received=f"location: {config.location}",
            expected="a file, a folder or a glob pattern such as data/train-*.tfrecord",
            fix="Set ingest.location.",
        )
    unused = {"tfrecord": "params", "custom": "features"}.get(config.using)
    if unused and getattr(config, unused):
        raise ConfigError(
            f"ingest.{unused} has no meaning with `using: {config.using}`.",
            received=getattr(config, unused),
            fix=f"Leave ingest.{unused} out.",
        )


def _check_ratios(ratios: tuple[float, ...]) -> None:
    if len(ratios) != 3 or min(ratios) < 0 or not math.isclose(sum(ratios), 1, abs_tol=1e-6):
        raise ConfigError(
            "ingest.split_ratios can't be used.",
            received=f"{list(ratios)}, with the sum {sum(ratios):g}",
            expected="three shares of train, validation and test with the sum 1",
            fix="For example `split_ratios: [0.8, 0.1, 0.1]`; a share may be 0.",
        )
