"""What TensorFlow says of damaged data, told with file, record and place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import tensorflow as tf

from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.parsing import as_written, batch_parser
from mlflow_tfconv.data.records import find_damage, read_records
from mlflow_tfconv.errors import DataError

_AT_ONCE = 256

#: How the operations that read a record complain about what is in it.
_OF_A_RECORD = re.compile(
    r"(?i)could not parse example|can't parse serialized|required but could not be found"
    r"|data types? don't match|unknown image|(invalid|corrupt|uncompress).{0,40}(jpeg|png|gif|bmp)"
    r"|(jpeg|png|gif|bmp).{0,40}(invalid|corrupt|fail)|decode_?image|decode_?raw|parse_?tensor"
    r"|parse_?example|parse_?sequence_?example|ensure_?shape"
)


def data_error_of(
    error: BaseException, manifest: Manifest, split: str | None = None
) -> DataError | None:
    """What is wrong with the data where reading them ended with an error of TensorFlow's.

    Takes a while: the files are read again.

    Args:
        error: What was raised.
        manifest: The dataset that was read.
        split: Its split; None looks through all.

    Returns:
        The error that names file, record and what is wrong there; None when the data are whole, or
        the error is about something else.
    """
    damaged = isinstance(error, tf.errors.DataLossError)
    unreadable = isinstance(error, tf.errors.InvalidArgumentError)
    if not damaged and not (unreadable and _OF_A_RECORD.search(str(error))):
        return None
    splits = [split] if split else [name for name, count in manifest.counts.items() if count]
    for name in splits:
        found = find_damage(manifest, name) or find_unreadable(manifest, name)
        if found is not None:
            return found
    return None


@contextmanager
def telling_damage(manifest: Manifest, split: str | None = None) -> Iterator[None]:
    """A context in which errors of TensorFlow about the data become a DataError.

    Raises:
        DataError: See `data_error_of`.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as e:
        found = data_error_of(e, manifest, split)
        if found is None:
            raise
        raise found from e


def find_unreadable(manifest: Manifest, split: str) -> DataError | None:
    """The first record of a split that is whole but does not hold what the schema says, or None."""
    if manifest.schema.layout == "block":
        return None
    parse = tf.function(as_written(batch_parser(manifest.schema)), autograph=False)
    for path in manifest.shard_paths(split):
        for start, records in _portions(path):
            if _problem(parse, records) is None:
                continue
            for number, record in enumerate(records, start):
                problem = _problem(parse, (record,))
                if problem is not None:
                    return _unreadable(path, number, problem)
    return None


def _portions(path: Path) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    start = 0
    stream = read_records(path)
    while records := tuple(islice(stream, _AT_ONCE)):
        yield start, records
        start += len(records)


def _problem(parse: tf.types.experimental.Callable, records: tuple[bytes, ...]) -> str | None:
    try:
        parse(tf.constant(records))
    except tf.errors.OpError as e:
        return str(e.message).splitlines()[0]
    return None


def _unreadable(path: Path, number: int, problem: str) -> DataError:
    reason = re.sub(r"\{\{.*?\}\}", "", problem).strip()
    return DataError(
        f"{path}, record {number} (from 0) can't be read as the manifest says.",
        received=reason[:300],
        fix="Mend or remove this record, then run the step `ingest` again.",
    )
