"""The pipelines that are compared, each as people write it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from reading_data import Kind

from mlflow_tfconv.data.reading import read_dataset

_SHUFFLED = 5000
_SHUFFLED_BYTES = 256_000_000


def shuffled(kind: Kind) -> int:
    """How many examples tutorials draw from: thousands, as far as memory goes."""
    return min(_SHUFFLED, _SHUFFLED_BYTES // kind.example_bytes)


def arrays_in_memory(folder: Path, kind: Kind, batch: int) -> tf.data.Dataset:
    """(a) All of it in memory."""
    values, labels = np.load(folder / "values.npy"), np.load(folder / "labels.npy")
    dataset = tf.data.Dataset.from_tensor_slices((values, labels))
    return dataset.shuffle(shuffled(kind)).batch(batch).prefetch(tf.data.AUTOTUNE)


def textbook(folder: Path, kind: Kind, batch: int) -> tf.data.Dataset:
    """(b) Record by record: parse_single_example, parse_tensor, eight calls at a time."""
    features = {
        kind.name: tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }

    def parse(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = tf.io.parse_single_example(record, features)
        value = tf.io.parse_tensor(example[kind.name], kind.dtype)
        return tf.ensure_shape(value, kind.shape), example["label"]

    records = tf.data.TFRecordDataset(sorted(map(str, folder.glob("*.tfrecord"))))
    examples = records.shuffle(shuffled(kind)).map(parse, num_parallel_calls=8)
    batches = examples.padded_batch(batch) if None in kind.shape else examples.batch(batch)
    return batches.prefetch(tf.data.AUTOTUNE)


def generator(folder: Path, kind: Kind, batch: int) -> tf.data.Dataset:
    """(c) A Python generator, one example at a time: images with PIL, others from .npy."""

    def images() -> Iterator[tuple[Any, int]]:
        from PIL import Image

        names = sorted(path.name for path in folder.iterdir())
        paths = sorted(folder.glob("*/*.jpg"))
        np.random.default_rng(0).shuffle(paths)  # type: ignore[arg-type]
        for path in paths:
            with Image.open(path) as image:
                yield np.asarray(image), names.index(path.parent.name)

    def others() -> Iterator[tuple[Any, int]]:
        values, labels = (
            np.load(folder / "values.npy", mmap_mode="r"),
            np.load(folder / "labels.npy"),
        )
        for number in np.random.default_rng(0).permutation(len(labels)):
            yield values[number], labels[number]

    signature = (tf.TensorSpec(kind.shape, kind.dtype), tf.TensorSpec((), tf.int64))
    function = images if kind.is_image else others
    dataset = tf.data.Dataset.from_generator(function, output_signature=signature)
    return dataset.batch(batch).prefetch(tf.data.AUTOTUNE)


def keras_folder(folder: Path, kind: Kind, batch: int) -> tf.data.Dataset:
    """(d) Keras' reader of a folder of images."""
    import keras

    size = kind.shape[:2]
    dataset = keras.utils.image_dataset_from_directory(
        folder, batch_size=batch, image_size=size, seed=0, verbose=False
    )
    return dataset.prefetch(tf.data.AUTOTUNE)


def ours(folder: Path, kind: Kind, batch: int) -> tf.data.Dataset:
    """The package's reader, of either layout."""
    return read_dataset(folder, "train", batch, shuffle=True, seed=1)


#: Contestant to the function that reads.
PIPELINES: dict[str, Callable[[Path, Kind, int], tf.data.Dataset]] = {
    "a arrays": arrays_in_memory,
    "b textbook": textbook,
    "c generator": generator,
    "d keras folder": keras_folder,
    "example": ours,
    "block": ours,
}
