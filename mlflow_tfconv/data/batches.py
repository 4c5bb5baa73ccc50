"""Examples as numpy batches under the names of a model's inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import Dataset, TensorSpec
from mlflow_tfconv.data.damage import telling_damage
from mlflow_tfconv.data.manifest import Manifest, open_manifest
from mlflow_tfconv.data.named_stream import named_batches
from mlflow_tfconv.data.picking import Indices
from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.data.unchanged import check_unchanged
from mlflow_tfconv.errors import ConfigError

Array = np.ndarray[Any, Any]
Batch = dict[str, Array]


def feature_batches(
    dataset: Dataset | Manifest | Path | str,
    split: str,
    *,
    batch_size: int,
    inputs: Sequence[TensorSpec],
    limit: int | None = None,
    seed: int | None = None,
    input_map: Mapping[str, str] | None = None,
) -> Iterator[Batch]:
    """What a model's inputs get, batch by batch; the last one may be smaller.

    Args:
        dataset: The noun, its manifest, or the path of it or of its folder.
        split: "train", "validation" or "test".
        batch_size: Examples in a batch.
        inputs: The model's inputs.
        limit: Most examples to give; None gives all.
        seed: With a limit, draws that many examples from all of the split; without a seed the
            first ones are given.
        input_map: Model input to feature, where names differ; one input and one feature need none.

    Yields:
        {input name: array (batch, ...)} in the inputs' dtypes.

    Raises:
        ConfigError: An input has no feature, or one whose shape or type does not fit.
        DataError: The manifest, the split or a shard is missing, empty or has changed; a record is
            damaged.
    """
    for batch, _ in labelled_batches(
        dataset,
        split,
        batch_size=batch_size,
        inputs=inputs,
        limit=limit,
        seed=seed,
        input_map=input_map,
    ):
        yield batch


def labelled_batches(
    dataset: Dataset | Manifest | Path | str,
    split: str,
    *,
    batch_size: int,
    inputs: Sequence[TensorSpec],
    limit: int | None = None,
    seed: int | None = None,
    input_map: Mapping[str, str] | None = None,
) -> Iterator[tuple[Batch, Any]]:
    """As `feature_batches`, each with its labels.

    Yields:
        The inputs, and the label: one array (batch, ...), or {label: array} when there are several;
        an empty dict when the dataset has none.
    """
    manifest = open_manifest(dataset)
    check_unchanged(manifest, split)
    sources = input_features(manifest.schema, inputs, input_map)
    dtypes = {spec.name: spec.dtype for spec in inputs}
    names = {*sources.values(), *manifest.schema.label}
    picked = _picked(manifest.counts[split], limit, seed)
    batches = named_batches(manifest, split, names, batch_size, numbers=picked)
    left = manifest.counts[split] if picked is None else len(picked)
    with telling_damage(manifest, split):
        for batch in batches.as_numpy_iterator():
            fed = {name: _cast(batch[feature], dtypes[name]) for name, feature in sources.items()}
            labels = {name: batch[name] for name in manifest.schema.label}
            left -= len(next(iter(batch.values())))
            yield fed, next(iter(labels.values())) if len(labels) == 1 else labels
            if left <= 0:
                return  # what is not wanted is not read


def input_features(
    schema: Schema, inputs: Sequence[TensorSpec], input_map: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Which feature feeds which input of a model: {input: feature}.

    Raises:
        ConfigError: An input has no feature, or one whose shape or type does not fit.
    """
    wanted = dict(input_map or {})
    unknown = set(wanted) - {spec.name for spec in inputs}
    if unknown:
        raise _unfed(f"The model has no input {sorted(unknown)[0]!r}.", schema, inputs)
    if not wanted and len(inputs) == 1 and len(schema.inputs) == 1:
        wanted = {inputs[0].name: next(iter(schema.inputs))}
    for spec in inputs:
        feature = wanted.setdefault(spec.name, spec.name)
        if feature not in schema.features:
            raise _unfed(f"No feature {feature!r} for the input {spec.name!r}.", schema, inputs)
        _check_fit(spec, feature, schema.features[feature])
    return {spec.name: wanted[spec.name] for spec in inputs}


def _picked(count: int, limit: int | None, seed: int | None) -> Indices | None:
    if limit is None or limit >= count:
        return None
    if seed is None:
        return np.arange(limit, dtype=np.int64)
    drawn = np.random.default_rng(seed).choice(count, limit, replace=False, shuffle=False)
    return np.sort(drawn).astype(np.int64)


def _cast(array: Array, dtype: str) -> Array:
    return array if dtype == "string" else array.astype(dtype, copy=False)


def _check_fit(spec: TensorSpec, feature: str, found: FeatureSpec) -> None:
    text = "string" in (spec.dtype, found.dtype)
    sizes = zip(spec.shape[1:], found.shape, strict=False)
    differ = any(a is not None and b is not None and a != b for a, b in sizes)
    if len(spec.shape) != len(found.shape) + 1 or differ or (text and spec.dtype != found.dtype):
        raise ConfigError(
            f"The feature {feature!r} does not fit the model's input {spec.name!r}.",
            received=f"{found.dtype} {('batch', *found.shape)}".replace("None", "any"),
            expected=f"{spec.dtype} {spec.shape}".replace("None", "any"),
            fix="Change `convert.input_map`, or the shape that the step `ingest` gives.",
        )


def _unfed(what: str, schema: Schema, inputs: Sequence[TensorSpec]) -> ConfigError:
    return ConfigError(
        what,
        received=f"features: {', '.join(schema.features)}",
        expected=f"a feature for each of the inputs: {', '.join(spec.name for spec in inputs)}",
        fix="Set `convert.input_map: {model_input: feature}` in recipe.yaml.",
    )
