"""What foreign features are to be read as: as given, or as a sample of the records shows."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mlflow_tfconv.data.schema import Encoding, FeatureSpec
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.sources.tfrecord_sample import FeatureSeen, RecordSample

if TYPE_CHECKING:
    from mlflow_tfconv.steps.ingest.config import FeatureConfig, IngestConfig

_LIST_DTYPES = {"int64_list": "int64", "float_list": "float32", "bytes_list": "string"}
_DIMENSIONS = (("height", "rows", "h"), ("width", "cols", "columns", "w"))
_CHANNELS = ("depth", "channels", "channel", "c")


def inferred_features(sample: RecordSample, config: IngestConfig) -> dict[str, FeatureSpec]:
    """Feature to what it is; those that the recipe does not name are left out if it names any.

    Raises:
        ConfigError: `ingest.tfrecord.defaults` names no feature.
        DataError: A feature that the recipe names is in no record, or is something else there; a
            feature is not the same in all records.
    """
    seen = sorted(sample.features.items())
    found = {name: _spec(name, one, sample, config) for name, one in seen}
    _check_names(found, config)
    given = config.features
    needed = (*config.labels, *((config.key,) if config.key else ()))
    _check_there(needed, sample)
    features = {name: given_spec(name, given[name], sample, found.get(name)) for name in given}
    rest = {name: found[name] for name in (needed if given else found) if name not in features}
    chosen = {**features, **rest}
    if config.on_error == "fail":
        for name in chosen:
            _check_alike(name, sample.features[name], found[name])
    return chosen


def given_spec(
    name: str, given: FeatureConfig, sample: RecordSample, found: FeatureSpec | None
) -> FeatureSpec:
    """A feature as the recipe gives it; how it is stored, the sample shows where that is not said.

    Raises:
        DataError: No record has it, or it is stored as something else.
    """
    seen = sample.features.get(name)
    if seen is None or found is None:
        raise _lacking(name, "ingest.features", sample)
    encoding = given.encoding or _encoding(given, seen, found)
    as_found = (encoding, given.dtype) == (found.encoding, found.dtype)
    return FeatureSpec(
        given.dtype,
        given.shape,
        given.class_names,
        encoding,
        sequence=seen.sequence,
        default=found.default,
        stored_dtype=found.stored_dtype if as_found else None,
    )


def _encoding(given: FeatureConfig, seen: FeatureSeen, found: FeatureSpec) -> Encoding:
    if seen.kind != "bytes_list" or (given.dtype == "string" and found.encoding != "tensor"):
        return "list"
    rank = len(given.shape) - seen.sequence
    if found.encoding == "tensor" and found.dtype == given.dtype:
        return "tensor"
    if found.encoding == "image" and given.dtype == "uint8" and rank == 3:
        return "image"
    return "list" if given.dtype == "string" else "raw"


def _spec(name: str, seen: FeatureSeen, sample: RecordSample, config: IngestConfig) -> FeatureSpec:
    default = config.tfrecord.defaults.get(name)
    steps = (seen.steps.common,) if seen.sequence else ()
    if seen.sequence and seen.records < sample.records:
        steps = (None,)  # a record without the list has no steps
    if seen.kind == "bytes_list" and seen.lengths.common == 1:
        bytes_spec = seen.bytes_seen.spec or _raw(name, seen, sample)
        if bytes_spec is not None:
            shape = (*steps, *bytes_spec.shape)
            return dataclasses.replace(bytes_spec, shape=shape, sequence=seen.sequence)
    dtype = _LIST_DTYPES[seen.kind]
    shape = (*steps, *_list_shape(name, seen, sample, config))
    return FeatureSpec(dtype, shape, sequence=seen.sequence, default=default)


def _list_shape(
    name: str, seen: FeatureSeen, sample: RecordSample, config: IngestConfig
) -> tuple[int | None, ...]:
    length = seen.lengths.common
    required = name in config.labels or name == config.key or name in config.tfrecord.defaults
    if seen.records < sample.records and not seen.sequence and not required:
        return (None,)  # a record without it has no values
    if length == 1:
        return ()
    return (length or None,)


def _raw(name: str, seen: FeatureSeen, sample: RecordSample) -> FeatureSpec | None:
    """Pixels whose height and width stand in other features, and whose number fits exactly."""
    size = seen.bytes_seen.size
    if size is None or seen.bytes_seen.text:
        return None
    for shape in _shapes_said(name, sample):
        if math.prod(shape) == size:
            return FeatureSpec("uint8", shape, encoding="raw")
    return None


def _shapes_said(name: str, sample: RecordSample) -> Iterator[tuple[int, ...]]:
    sizes = [_sibling(name, names, sample) for names in _DIMENSIONS]
    if None in sizes:
        return
    height_width = tuple(size or 0 for size in sizes)
    channels = _sibling(name, _CHANNELS, sample)
    if channels is not None:
        yield (*height_width, channels)
    else:
        yield height_width
        yield (*height_width, 3)


def _sibling(name: str, names: tuple[str, ...], sample: RecordSample) -> int | None:
    """The one value that a feature of such a name, beside another, has in all records."""
    beside = PurePosixPath(name).parent
    for other in names:
        seen = sample.features.get(str(beside / other))
        if seen is not None and seen.kind == "int64_list" and (seen.value or -1) > 0:
            return seen.value
    return None


def _check_there(needed: Iterable[str], sample: RecordSample) -> None:
    for name in needed:
        if name not in sample.features:
            raise _lacking(name, "the recipe", sample)


def _lacking(name: str, who: str, sample: RecordSample) -> DataError:
    near = difflib.get_close_matches(name, sample.features, n=1)
    return DataError(
        f"Every one of {sample.records:,} records lacks the feature {name!r} that {who} names.",
        received=f"features: {', '.join(sorted(sample.features))}",
        fix=f"Did you mean {near[0]!r}?" if near else "Name one of these, or leave it out.",
    )


def _check_alike(name: str, seen: FeatureSeen, spec: FeatureSpec) -> None:
    """Refuses a feature that is something else in some of the records."""
    differing, before = seen.differing, seen.kind
    if differing is None and spec.encoding == "tensor":
        differing = seen.bytes_seen.differing
        before = f"tensors of {spec.stored_dtype or spec.dtype} {spec.shape}".replace("None", "any")
    if differing is None:
        return
    where, what = differing
    raise DataError(
        f"{where}: the feature {name!r} is something else than in the records before.",
        received=what,
        expected=f"{before}, as {seen.where} has it",
        fix="Choose the other features under ingest.features, leave such records out "
        "(`on_error: skip`), or convert the data with `using: custom`.",
    )


def _check_names(found: Mapping[str, FeatureSpec], config: IngestConfig) -> None:
    for name, value in config.tfrecord.defaults.items():
        spec = found.get(name)
        if spec is None or not _takes(spec, value):
            shape = "" if spec is None else f"{spec.dtype} {spec.shape}".replace("None", "any")
            raise ConfigError(
                f"ingest.tfrecord.defaults: {name!r} can't have the value {value!r}.",
                received=f"a feature of {shape}" if spec else "no record has such a feature",
                expected="a number for numbers of fixed shape, or a text for text",
                fix="Correct it, or leave it out: lists of varying length are empty where a record "
                "lacks them.",
            )


def _takes(spec: FeatureSpec, value: float | str) -> bool:
    """Whether a value can stand for a feature in the records that lack it."""
    if spec.encoding != "list" or spec.varies or spec.sequence:
        return False
    if isinstance(value, str) or spec.dtype == "string":
        return isinstance(value, str) and spec.dtype == "string"
    return spec.dtype.startswith("float") or isinstance(value, int)
