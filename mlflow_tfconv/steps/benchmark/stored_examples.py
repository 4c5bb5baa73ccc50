"""Writes the examples that every variant is measured with, once for all of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import TensorSpec, Variant
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import BenchmarkError, ConfigError
from mlflow_tfconv.runtimes.batches_of import Samples, batches_of
from mlflow_tfconv.steps.benchmark.candidates import inputs_of
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.examples import Batch, as_stored, split_to, store_batch

Labels = np.ndarray[Any, Any] | dict[str, np.ndarray[Any, Any]] | None
_ABOUT_FILE = "examples.json"
_LABELS_FILE = "labels.npy"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExamples:
    """Examples in a folder, in batches of the largest size that is timed.

    Attributes:
        folder: Holds `inputs_*.npz`.
        digest: Of what decides their content.
        count: Number of examples.
        labels: One array, {name: array} where there are several labels, or None without labels.
    """

    folder: Path
    digest: str
    count: int
    labels: Labels


def from_dataset(
    inputs: Sequence[TensorSpec], config: BenchmarkConfig, parts: Parts, context: StepContext
) -> StoredExamples | None:
    """The examples of the split that the config names; None without a dataset.

    Raises:
        BenchmarkError: The split has no examples.
    """
    dataset = context.dataset
    if dataset is None:
        return None
    if not dataset.counts.get(config.split):
        raise BenchmarkError(
            f"The split {config.split!r} has no examples to judge the variants by.",
            received=", ".join(f"{name}: {count}" for name, count in dataset.counts.items()),
            expected="a split with examples",
            fix="Set steps.benchmark.split, or give it a share in steps.ingest.split_ratios.",
        )
    asked: dict[str, Any] = {
        "batch_size": max(config.batch_sizes),
        "inputs": tuple(inputs),
        "limit": config.examples,
        "seed": 0,
        "input_map": context.settings.get("input_map"),
    }
    ingredients = {"dataset": dataset.digest, "split": config.split, **asked}

    def make(work: Path) -> None:
        from mlflow_tfconv.data.batches import labelled_batches  # the seam to TensorFlow

        store_pairs(work, labelled_batches(dataset, config.split, **asked))

    folder = parts.build({"part": "benchmark examples/1", **ingredients}, make)
    return opened_examples(folder)


def from_samples(
    variants: Sequence[Variant],
    samples: Samples | None,
    labels: Any,
    config: BenchmarkConfig,
    workdir: Path,
) -> StoredExamples | None:
    """The examples that a user hands over; None without any.

    Raises:
        ConfigError: The samples don't fit the variants, or the labels are not as many.
        ConversionError: None of the variants can be opened.
    """
    if samples is None:
        return None
    folder = workdir / "examples"
    folder.mkdir()
    whole = _joined(list(batches_of(samples, inputs_of(variants))))
    pieces = [piece for batch in whole for piece in split_to(batch, max(config.batch_sizes))]
    store_pairs(folder, ((piece, None) for piece in pieces))
    stored = opened_examples(folder)
    if isinstance(labels, Mapping):
        several = {str(name): _label(array, stored.count) for name, array in labels.items()}
        return dataclasses.replace(stored, labels=several)
    return dataclasses.replace(
        stored, labels=None if labels is None else _label(labels, stored.count)
    )


def _label(labels: Any, count: int) -> np.ndarray[Any, Any]:
    try:
        array = np.asarray(labels)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            "The labels are not one array.", received=str(error), expected=f"{count} labels"
        ) from error
    if not array.ndim or len(array) != count:
        raise ConfigError(
            "Labels and samples do not belong together.",
            received=f"{len(array) if array.ndim else 'no'} labels, {count} samples",
            expected="one label a sample",
            fix="Give the labels of these very samples, in their order.",
        )
    return array


def _joined(batches: list[Batch]) -> list[Batch]:
    """One batch of all, when all examples have the same shape."""
    shapes = {tuple(value.shape[1:] for value in batch.values()) for batch in batches}
    if len(shapes) != 1:
        return batches
    return [{name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}]


def store_pairs(folder: Path, pairs: Iterable[tuple[Batch, Any]]) -> None:
    """Writes (inputs, labels) batch by batch; the labels are kept in memory until the end."""
    labels: list[Any] = []
    count = 0
    for number, (batch, label) in enumerate(pairs):
        store_batch(folder, number, batch)
        labels.append(label)
        count += len(next(iter(batch.values())))
    several = labels[0] if labels and isinstance(labels[0], dict) else None
    names = None if several is None else list(several)
    if several is None and labels and labels[0] is not None:
        np.save(folder / _LABELS_FILE, as_stored(np.concatenate(labels)))
    for position, name in enumerate(names or ()):
        whole = np.concatenate([label[name] for label in labels])
        np.save(_labels_file(folder, position), as_stored(whole))
    (folder / _ABOUT_FILE).write_text(json.dumps({"count": count, "labels": names}))


def opened_examples(folder: Path) -> StoredExamples:
    """What `store_pairs` has written there."""
    about = json.loads((folder / _ABOUT_FILE).read_text())
    single, names = folder / _LABELS_FILE, about["labels"]
    labels: Labels = np.load(single) if single.is_file() else None
    if names:
        labels = {name: np.load(_labels_file(folder, n)) for n, name in enumerate(names)}
    return StoredExamples(folder=folder, digest=folder.name, count=about["count"], labels=labels)


def _labels_file(folder: Path, position: int) -> Path:
    return folder / f"labels_{position}.npy"
