"""What was inferred of foreign records, for a person: in words, and as a block of recipe.yaml."""

from __future__ import annotations

from collections.abc import Mapping

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.steps.ingest.sources.tfrecord_sample import FeatureSeen, RecordSample


def tell_features(
    features: Mapping[str, FeatureSpec], sample: RecordSample, *, given: bool, emit: Emit
) -> None:
    """Tells what the features are taken for, and what is remarkable about them."""
    if not given:
        emit(Message(text=f"{_how_much(sample)} show these features; they can be given as they "
                     f"are, or corrected, in recipe.yaml:\n{yaml_block(features)}"))  # fmt: skip
    for name, spec in features.items():
        seen = sample.features.get(name)
        if seen is not None:
            for remark, level in _remarks(name, spec, seen, sample):
                emit(Message(text=remark, level=level))
    left_out = sorted(sample.features.keys() - features.keys())
    if left_out:
        emit(Message(text=f"Features that ingest.features does not name: {', '.join(left_out)}."))


def yaml_block(features: Mapping[str, FeatureSpec]) -> str:
    """The features as they stand in recipe.yaml below `ingest:`."""
    return "\n".join(["    features:", *(f"      {_line(n, s)}" for n, s in features.items())])


def _line(name: str, spec: FeatureSpec) -> str:
    shape = ", ".join("null" if size is None else str(size) for size in spec.shape)
    parts = [f"dtype: {spec.dtype}", f"shape: [{shape}]"]
    if spec.encoding != "list":
        parts.append(f"encoding: {spec.encoding}")
    if spec.sequence:
        parts.append("sequence: true")
    return f"{_key(name)}: {{{', '.join(parts)}}}"


def _key(name: str) -> str:
    plain = name.replace("/", "").replace("_", "").replace("-", "").isalnum()
    quoted = name.replace("'", "''")
    return name if plain and not name[:1].isdigit() else f"'{quoted}'"


def _how_much(sample: RecordSample) -> str:
    if sample.whole:
        return f"All {sample.records:,} records"
    return f"{sample.records:,} records of {sample.files:,} files"


def _remarks(
    name: str, spec: FeatureSpec, seen: FeatureSeen, sample: RecordSample
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    missing = sample.records - seen.records
    if missing and spec.default is None:
        what = (
            "it is empty there; `ingest.tfrecord.defaults` can give it a value instead"
            if spec.varies and spec.encoding == "list"
            else "these can't be used; `ingest.tfrecord.defaults` can give a number or a text"
        )
        found.append((f"{missing:,} of {sample.records:,} records lack {name!r}: {what}.", "info"))
    if spec.dtype == "string" and seen.bytes_seen.other_images:
        formats = ", ".join(seen.bytes_seen.other_images)
        text = (
            f"{name!r} holds images in a format that TensorFlow does not decode ({formats}): they "
            "are read as bytes. Decode them in a generator (`using: custom`) to train on them."
        )
        found.append((text, "warning"))
    elif spec.dtype == "string" and seen.bytes_seen.values and not seen.bytes_seen.text:
        sizes = seen.bytes_seen.size
        length = f"{sizes:,} bytes each" if sizes is not None else "of different lengths"
        text = (
            f"{name!r} holds bytes of no known format, {length}: they are read as they are. Give "
            "dtype and shape in ingest.features to read them as an array."
        )
        found.append((text, "warning"))
    return found
