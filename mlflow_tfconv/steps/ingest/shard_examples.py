"""The examples of the user's generator, streamed into shards."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mlflow_tfconv.data.examples import serialized_example
from mlflow_tfconv.data.inference import SchemaInference
from mlflow_tfconv.data.manifest import Manifest, record_digest
from mlflow_tfconv.data.shards import split_writers
from mlflow_tfconv.data.splits import SPLITS, identity_of, split_of
from mlflow_tfconv.data.user_code import load_user_module, user_function
from mlflow_tfconv.engine.events import Emit
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.class_names import ClassNames
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.locations import local_path
from mlflow_tfconv.steps.ingest.progress import counted
from mlflow_tfconv.steps.ingest.statistics import Statistics

FILE = "steps/ingest.py"
FUNCTION = "load_examples"


def shard_examples(
    config: IngestConfig, root: Path, workdir: Path, emit: Emit
) -> tuple[Manifest, Statistics]:
    """Writes what `load_examples` yields into shards; holds one example at a time.

    Raises:
        ConfigError: There is no such function, or it does not take the arguments.
        DataError: It yields nothing, or an example is unfit.
    """
    examples = _numbered_errors(counted(_examples(config, root), emit))
    classes = ClassNames.declared(load_user_module(root, FILE), config.labels)
    inference, statistics = SchemaInference(config.labels, config.key), Statistics(config.labels)
    with split_writers(workdir, SPLITS, round(config.shard_mb * 1e6)) as writers:
        for number, example in enumerate(examples, start=1):
            arrays = inference.check(example, f"Example {number}")
            classes.check(arrays, f"Example {number}")
            record = serialized_example(arrays)
            identity = identity_of(arrays[config.key]) if config.key else record
            split = split_of(identity, config.split_ratios)
            writers[split].write(record)
            statistics.add(split, arrays, record_digest(record))
    if not inference.features:
        raise DataError(f"{FUNCTION} in {FILE} yields no examples.", fix="Check what it reads.")
    schema = inference.schema(classes.of_labels(statistics))
    shards = {split: writer.shards for split, writer in writers.items()}
    return Manifest(schema=schema, splits=shards, folder=workdir), statistics


def _examples(config: IngestConfig, root: Path) -> Iterable[Any]:
    function = user_function(root, FILE, FUNCTION)
    assert function is not None  # noqa: S101 (it is required)
    arguments = dict(config.params)
    if config.location is not None:
        arguments["location"] = local_path(config.location, root)
    _check_arguments(function, arguments)
    examples = function(**arguments)
    if not isinstance(examples, Iterable) or isinstance(examples, dict):
        raise DataError(
            f"{FUNCTION} in {FILE} gives no stream of examples.",
            received=type(examples).__name__,
            expected="a generator of dicts {feature: value}",
            fix="Use `yield {...}` for each example.",
        )
    return examples


def _check_arguments(function: Any, arguments: dict[str, Any]) -> None:
    signature = inspect.signature(function)
    try:
        signature.bind(**arguments)
    except TypeError as e:
        raise ConfigError(
            f"{FUNCTION} in {FILE} can't be called: {e}.",
            received=f"arguments: {', '.join(arguments) or 'none'}",
            expected=f"{FUNCTION}{signature}",
            fix="Change `ingest.params` or `ingest.location`, or the function's arguments.",
        ) from e


def _numbered_errors(examples: Iterable[Any]) -> Iterator[Any]:
    """The same examples; an error of the user's code is told which example it was about."""
    number = 0
    try:
        for number, example in enumerate(examples, start=1):  # noqa: B007 (used on an error)
            yield example
    except Exception as e:
        e.add_note(f"This was raised by {FUNCTION} after it had yielded {number} examples.")
        raise
