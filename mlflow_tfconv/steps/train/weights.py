"""How much each example counts in the loss."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.named_stream import named_batches
from mlflow_tfconv.data.parsing import as_written
from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.engine.events import Param
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.train.job import TrainingJob

_MOST_LOGGED = 20
_COUNTING_BATCH = 1024


def weighed(batches: tf.data.Dataset, job: TrainingJob, *, training: bool) -> tf.data.Dataset:
    """The same batches with the weights of their examples; unchanged where none were asked for.

    Args:
        batches: Of (features, label).
        job: Which weights were asked for.
        training: Whether classes are weighed too; in an evaluation they count as often as they are.
    """
    classes = job.class_weights if training else None
    if classes is None and job.config.sample_weight is None:
        return batches
    table = None if classes is None else _table(classes)
    name = job.config.sample_weight

    @as_written  # type: ignore[untyped-decorator]
    def with_weights(features: Any, label: Any) -> Any:
        if name is None:
            assert table is not None  # noqa: S101 (else there would be no weights at all)
            return features, label, table(label)
        features, weight = _taken_out(features, name)
        return features, label, weight if table is None else weight * table(label)

    return batches.map(with_weights, num_parallel_calls=tf.data.AUTOTUNE)


def with_class_weights(job: TrainingJob) -> TrainingJob:
    """The job, knowing how much examples of each class count.

    "balanced" gives a class of n_c among n examples and k classes that occur the weight
    n / (k n_c), so that all classes count alike and an example counts 1 on average (as in King and
    Zeng, Logistic Regression in Rare Events Data, 2001).

    Raises:
        ConfigError: There is not exactly one label, it has no classes, or not the named ones.
    """
    asked = job.config.class_weight
    if asked is None:
        return job
    spec = _only_label(job)
    if isinstance(asked, Mapping):
        weights = {_number(str(name), spec): float(weight) for name, weight in asked.items()}
    else:
        counts = class_counts(job.manifest)
        total, classes = sum(counts.values()), len(counts)
        weights = {number: total / (classes * count) for number, count in sorted(counts.items())}
    shown = {_name(n, spec): round(w, 4) for n, w in list(weights.items())[:_MOST_LOGGED]}
    job.emit(Param(name="class_weight", value=json.dumps(shown)))
    return replace(job, class_weights=weights)


def class_counts(manifest: Manifest) -> dict[int, int]:
    """How often each class occurs in the training split: one pass, in which labels alone are read.

    Raises:
        ConfigError: Labels are no classes.
    """
    (label,) = manifest.schema.label
    counts: dict[int, int] = {}
    for batch in named_batches(manifest, "train", [label], _COUNTING_BATCH):
        numbers, times = np.unique(classes_of(batch[label]).numpy(), return_counts=True)
        for number, count in zip(numbers.tolist(), times.tolist(), strict=True):
            counts[number] = counts.get(number, 0) + count
    return counts


def classes_of(label: tf.Tensor) -> tf.Tensor:
    """The numbers of the classes, int64: one an example, or one a position of it.

    Args:
        label: Numbers (batch, ...), with a last dimension of 1 or none; or one-hot (batch, classes).
    """
    last = label.shape[-1] if len(label.shape) > 1 else None
    if label.dtype.is_floating and last not in (None, 1):
        return tf.argmax(label, axis=-1)
    numbers = tf.cast(label, tf.int64)
    return tf.squeeze(numbers, axis=-1) if last == 1 else numbers


def _table(weights: Mapping[int, float]) -> Callable[[tf.Tensor], tf.Tensor]:
    entries = tf.lookup.KeyValueTensorInitializer(
        tf.constant(list(weights), tf.int64), tf.constant(list(weights.values()), tf.float32)
    )
    table = tf.lookup.StaticHashTable(entries, default_value=1.0)
    return lambda label: table.lookup(classes_of(label))


def _taken_out(features: Mapping[str, tf.Tensor], name: str) -> tuple[Any, tf.Tensor]:
    rest = {key: value for key, value in features.items() if key != name}
    weight = tf.cast(features[name], tf.float32)
    if weight.shape.rank == 2:  # (batch, 1)
        weight = tf.squeeze(weight, axis=-1)
    return next(iter(rest.values())) if len(rest) == 1 else rest, weight


def _only_label(job: TrainingJob) -> FeatureSpec:
    labels = job.schema.labels
    if len(labels) != 1:
        raise ConfigError(
            "train.class_weight needs data with one label.",
            received=f"labels: {', '.join(labels) or 'none'}",
            expected="one label",
            fix="Leave `class_weight` out, and weigh examples by a feature (`sample_weight`) or "
            "losses by `loss_weights` in model.compile.",
        )
    (name, spec), *_ = labels.items()
    if spec.dtype == "string" and not spec.class_names:
        raise DataError(
            f"The label {name!r} is text without class names, so classes can't be weighed.",
            received="dtype string",
            expected="class names, or numbers",
            fix="Declare the label's classes in the step ingest.",
        )
    return spec


def _number(name: str, spec: FeatureSpec) -> int:
    known = spec.class_names or ()
    if name in known:
        return known.index(name)
    try:
        return int(name)
    except ValueError as e:
        raise ConfigError(
            "train.class_weight names a class that the label does not have.",
            received=name,
            expected=" or ".join(known[:10]) or "the number of a class",
            fix="Take the names of ingest's card.",
        ) from e


def _name(number: int, spec: FeatureSpec) -> str:
    names = spec.class_names or ()
    return names[number] if 0 <= number < len(names) else str(number)
