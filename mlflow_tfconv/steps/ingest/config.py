"""What may be asked of the step `ingest`."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from mlflow_tfconv.data.schema import ARRAY_DTYPES, Encoding
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.ingest.sources.csv_options import CsvOptions
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.npy_options import NpyOptions
from mlflow_tfconv.steps.ingest.sources.parquet_options import ParquetOptions
from mlflow_tfconv.steps.ingest.sources.table import TABLE
from mlflow_tfconv.steps.ingest.sources.text_options import TextOptions
from mlflow_tfconv.steps.ingest.sources.tfrecord_options import TfrecordOptions
from mlflow_tfconv.steps.ingest.sources.video_options import VideoOptions

SOURCES = tuple(sorted(TABLE))

#: Key to the kinds of sources that it says something to.
_ONLY_FOR = {
    "params": ("custom",),
    "features": ("csv", "npy", "parquet", "tfrecord"),
    "csv": ("csv", "image_list", "video"),
    "parquet": ("parquet",),
    "text": ("text",),
    "image": ("image_folder", "image_list", "parquet", "tfrecord", "video"),
    "npy": ("npy",),
    "video": ("video",),
    "tfrecord": ("tfrecord",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureConfig:
    """What a feature is, where its type is not to be inferred.

    Attributes:
        dtype: A numpy dtype such as "uint8", or "string". A bytes value of another dtype than
            "string" is read as the little-endian elements of an array.
        shape: Of one example; a dimension is null when it varies; [] is one value.
        class_names: What the integers of a label mean.
        encoding: How existing TFRecords hold it, where the shape and the records leave it open:
            "list" of values, "raw" elements, a serialized "tensor", or an "image" file.
        sequence: Whether it is a feature list of a tf.train.SequenceExample.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    dtype: str
    shape: tuple[int | None, ...] = ()
    class_names: tuple[str, ...] | None = None
    encoding: Encoding | None = None
    sequence: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in (*ARRAY_DTYPES, "string"):
            raise ConfigError(
                "The dtype of a feature is not known.",
                received=repr(self.dtype),
                expected=f"{', '.join(ARRAY_DTYPES)} or string",
                fix="Correct it under ingest.features.",
            )
        if any(size is not None and size < 0 for size in self.shape):
            raise ConfigError(
                "The shape of a feature has a negative size.",
                received=f"shape: {list(self.shape)}",
                expected="sizes of 0 and more; null for one that varies",
                fix="Write null instead of -1.",
            )
        if None in self.shape[1:] and self.encoding not in ("tensor", "image"):
            raise ConfigError(
                "Only the first dimension of a feature may vary.",
                received=f"shape: {list(self.shape)}",
                fix="Give the other dimensions, say `encoding: tensor` or `encoding: image` if that "
                "is what it is, or convert the data with `using: custom`.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """Where the examples come from, how they are split and how they are written.

    Attributes:
        using: "custom" calls the generator `load_examples` in steps/ingest.py; "csv", "parquet",
            "text", "image_folder", "image_list", "npy", "video" and "tfrecord" read files of that
            kind; the import path of a class of your own replaces the step.
        location: A file, folder, glob pattern or URL (`s3://`, `gs://`, ...), or a list of them;
            relative paths start at the recipe's folder. A generator gets it as the argument
            `location`. TFRecord files whose names or folders say train, validation or test stay
            where they are; others are split into new shards.
        label: The feature, or features, to learn.
        key: The feature whose hash decides the split, such as an id; examples of the same key stay
            together. Without it the whole example is hashed.
        split_ratios: Shares of train, validation and test.
        shard_mb: Size of the shards, in MB (10^6 bytes), before compression.
        params: Arguments for `load_examples`.
        features: The features to read and what they are; without it all are read, with the types
            that the data show.
        compression: Whether the shards are gzip files: smaller, and slower to read.
        layout: What a record of a shard is: "example" is one tf.train.Example, which everything
            reads; "block" holds the bytes of many examples, which reads faster and needs numeric
            features of fixed shape.
        shuffle: Whether the examples of a split are put into a random order, over all its shards.
        seed: Of that order.
        writers: Processes that read and write side by side; "auto" is one a processor core, fewer
            for little data. The shards are the same, whatever their number.
        on_error: What happens to an example that can't be read or does not fit: "fail" ends the
            step; "skip" leaves it out, counts it and lists it on the card.
        max_errors: With `on_error: skip`, the most examples to leave out before the step fails.
        storage_options: Arguments for the file system of a URL, as fsspec takes them.
        csv: For "csv", and for the lists of "image_list" and "video".
        parquet: For "parquet".
        text: For "text".
        image: For "image_folder", "image_list" and "video", and for images in "parquet" and
            "tfrecord": existing TFRecords are then written anew, with pixels.
        npy: For "npy".
        video: For "video".
        tfrecord: For "tfrecord".
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    using: str = "custom"
    location: str | tuple[str, ...] | None = None
    label: str | tuple[str, ...] | None = None
    key: str | None = None
    split_ratios: tuple[float, ...] = (0.8, 0.1, 0.1)
    shard_mb: float = 100
    params: dict[str, Any] = field(default_factory=dict)
    features: dict[str, FeatureConfig] = field(default_factory=dict)
    compression: Literal["none", "gzip"] = "none"
    layout: Literal["example", "block"] = "example"
    shuffle: bool = False
    seed: int = 0
    writers: int | Literal["auto"] = "auto"
    on_error: Literal["fail", "skip"] = "fail"
    max_errors: int = 100
    storage_options: dict[str, Any] = field(default_factory=dict)
    csv: CsvOptions = field(default_factory=CsvOptions)
    parquet: ParquetOptions = field(default_factory=ParquetOptions)
    text: TextOptions = field(default_factory=TextOptions)
    image: ImageOptions = field(default_factory=ImageOptions)
    npy: NpyOptions = field(default_factory=NpyOptions)
    video: VideoOptions = field(default_factory=VideoOptions)
    tfrecord: TfrecordOptions = field(default_factory=TfrecordOptions)

    def __post_init__(self) -> None:
        _check_source(self)
        _check_options(self)
        _check_ratios(self.split_ratios)
        _check_numbers(self)

    @property
    def labels(self) -> tuple[str, ...]:
        """The label features as a tuple, empty without one."""
        if self.label is None:
            return ()
        return (self.label,) if isinstance(self.label, str) else self.label

    @property
    def locations(self) -> tuple[str, ...]:
        """The locations as a tuple, empty without one."""
        if self.location is None:
            return ()
        return (self.location,) if isinstance(self.location, str) else self.location


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
    if not own and config.using != "custom" and not all(config.locations or ("",)):
        raise ConfigError(
            f"ingest.using is {config.using}, but ingest.location names nothing.",
            received=f"location: {config.location}",
            expected="a file, a folder, a glob pattern such as data/*.csv, a URL, or a list of them",
            fix="Set ingest.location.",
        )


def _check_options(config: IngestConfig) -> None:
    """Refuses what would be read by nobody."""
    if config.using not in SOURCES:
        return
    for name, kinds in _ONLY_FOR.items():
        value = getattr(config, name)
        unset = not value if isinstance(value, dict) else value == type(value)()
        if config.using not in kinds and not unset:
            raise ConfigError(
                f"ingest.{name} has no meaning with `using: {config.using}`.",
                received=value,
                expected=f"`using: {' | '.join(kinds)}`",
                fix=f"Leave ingest.{name} out.",
            )


def _check_ratios(ratios: tuple[float, ...]) -> None:
    if len(ratios) != 3 or min(ratios) < 0 or not math.isclose(sum(ratios), 1, abs_tol=1e-6):
        raise ConfigError(
            "ingest.split_ratios can't be used.",
            received=f"{list(ratios)}, with the sum {sum(ratios):g}",
            expected="three shares of train, validation and test with the sum 1",
            fix="For example `split_ratios: [0.8, 0.1, 0.1]`; a share may be 0.",
        )


def _check_numbers(config: IngestConfig) -> None:
    if not config.shard_mb > 0:
        raise ConfigError(
            "ingest.shard_mb is not positive.",
            received=config.shard_mb,
            fix="Leave it out (100) or give a size in MB.",
        )
    if config.writers != "auto" and config.writers < 1:
        raise ConfigError(
            "ingest.writers is no number of processes.",
            received=config.writers,
            expected="auto, or 1 and more",
            fix="Leave it out: the number suits the machine.",
        )
    if config.max_errors < 0:
        raise ConfigError(
            "ingest.max_errors is negative.",
            received=config.max_errors,
            expected="0 or more",
            fix="Leave it out (100), or say how many examples may be left out.",
        )
