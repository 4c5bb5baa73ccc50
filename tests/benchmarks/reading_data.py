"""The data that reading is measured on, written in the formats of those who read them.

python tests/benchmarks/reading_data.py FOLDER --kind images64 --form example --mb 256
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.data.examples import serialized_example
from mlflow_tfconv.data.framing import framed
from mlflow_tfconv.data.inference import SchemaInference
from mlflow_tfconv.data.manifest import Manifest, write_manifest
from mlflow_tfconv.data.rows import row_bytes, row_of, rows_per_record
from mlflow_tfconv.data.schema import Schema
from mlflow_tfconv.data.shards import ShardFile, ShardWriter

Example = dict[str, Any]

CLASSES = 10
_CHUNK = 256
_FILES = 4000  # images as files: as many as a folder of a tutorial has


@dataclass(frozen=True)
class Kind:
    """A kind of data.

    Attributes:
        name: Of the feature.
        shape: Of an example's feature; (None,) for sequences of 1 to 255 numbers.
        dtype: Of the feature.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    @property
    def is_image(self) -> bool:
        """Whether it can be a file for the eye."""
        return len(self.shape) == 3

    @property
    def example_bytes(self) -> int:
        """Of an example, on average."""
        size = np.prod([128 if size is None else size for size in self.shape])
        return int(size) * np.dtype(self.dtype).itemsize

    def examples(self, count: int) -> Iterator[Example]:
        """The first so many, always the same."""
        rng = np.random.default_rng(0)
        labels = rng.integers(0, CLASSES, count)
        for first in range(0, count, _CHUNK):
            some = self._values(rng, min(_CHUNK, count - first))
            for number, value in enumerate(some, start=first):
                yield {self.name: value, "label": labels[number]}

    def _values(self, rng: np.random.Generator, count: int) -> Any:
        if None in self.shape:
            return [
                rng.integers(1, 20_000, n).astype(self.dtype) for n in rng.integers(1, 256, count)
            ]
        if self.dtype == "uint8":
            return rng.integers(0, 256, (count, *self.shape), dtype="uint8")
        return rng.random((count, *self.shape), dtype="float32")


KINDS = {
    "images64": Kind("image", (64, 64, 3), "uint8"),
    "images224": Kind("image", (224, 224, 3), "uint8"),
    "rows200": Kind("row", (200,), "float32"),
    "tokens": Kind("tokens", (None,), "int32"),
}
FORMS = ("example", "block", "tensors", "arrays", "files")

#: Contestant to the form of the data that it reads.
CONTESTANTS = {
    "a arrays": "arrays",
    "b textbook": "tensors",
    "c generator": "files",
    "d keras folder": "files",
    "example": "example",
    "block": "block",
}


def form_for(contestant: str, kind: Kind) -> str | None:
    """The form of the data for a contestant; None where it can't read such a kind."""
    form = CONTESTANTS[contestant]
    if form == "block" and None in kind.shape:
        return None
    if form == "files" and not kind.is_image:
        return "arrays" if contestant.startswith("c") else None
    return form


def write(folder: Path, kind: Kind, form: str, count: int, shard_mb: int) -> None:
    """Writes so many examples in one of the forms.

    Args:
        folder: An empty one.
        kind: Of the data.
        form: "example" and "block": the package's own layouts; "tensors": records as tutorials
            write them, with `tf.io.serialize_tensor`; "arrays": .npy; "files": JPEG images in a
            folder a class.
        count: Examples.
        shard_mb: Size of a shard.
    """
    folder.mkdir(parents=True)
    writers = {"tensors": _write_tensors, "arrays": _write_arrays, "files": _write_files}
    if form in writers:
        writers[form](folder, kind, count, shard_mb)
        return
    inference = SchemaInference(("label",))
    arrays = (inference.check(example, "") for example in kind.examples(count))
    write_split = _blocks if form == "block" else _records
    shards, layout = write_split(folder, arrays, inference, shard_mb)
    schema = inference.schema()
    schema = Schema(features=schema.features, label=schema.label, layout=layout)
    write_manifest(Manifest(schema=schema, splits={"train": shards}, folder=folder), folder)


def _records(folder: Path, examples: Iterator[Any], _: Any, shard_mb: int) -> tuple[Any, Any]:
    with ShardWriter(folder, "train", shard_mb * 1_000_000) as writer:
        for arrays in examples:
            writer.write(serialized_example(arrays))
    return writer.shards, "example"


def _blocks(
    folder: Path, examples: Iterator[Any], inference: SchemaInference, shard_mb: int
) -> tuple[Any, Any]:
    shards = []
    rows = (row_of(arrays) for arrays in examples)
    for first in rows:
        size = row_bytes(inference.schema())
        most, rest = shard_mb * 1_000_000 // size, [first]
        with ShardFile(folder / f"train-{len(shards):05d}.tfrecord") as file:
            count = 0
            while rest:
                rest += [
                    row
                    for _, row in zip(range(rows_per_record(size) - len(rest)), rows, strict=False)
                ]
                file.write(framed(b"".join(rest)))
                count += len(rest)
                rest = [row for _, row in zip(range(count < most), rows, strict=False)]
            shards.append(file.finish(count, 0))
    return tuple(shards), "block"


def _write_tensors(folder: Path, kind: Kind, count: int, shard_mb: int) -> None:
    import tensorflow as tf

    def packed(example: Example) -> bytes:
        value = tf.io.serialize_tensor(example[kind.name]).numpy()
        features = {
            kind.name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])),
            "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(example["label"])])),
        }
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()

    with ShardWriter(folder, "train", shard_mb * 1_000_000) as writer:
        for example in kind.examples(count):
            writer.write(packed(example))


def _write_arrays(folder: Path, kind: Kind, count: int, _: int) -> None:
    examples = list(kind.examples(count))
    values = [example[kind.name] for example in examples]
    if None in kind.shape:  # in memory people pad to the longest
        longest = max(map(len, values))
        values = [np.pad(value, (0, longest - len(value))) for value in values]
    np.save(folder / "values.npy", np.stack(values))
    np.save(folder / "labels.npy", np.array([example["label"] for example in examples]))


def _write_files(folder: Path, kind: Kind, count: int, _: int) -> None:
    from PIL import Image

    for number, example in enumerate(kind.examples(min(count, _FILES))):
        home = folder / f"class{example['label']}"
        home.mkdir(exist_ok=True)
        # Noise does not compress; a picture of few colours is about as large as a photograph.
        coarse = example[kind.name][::8, ::8]
        picture = Image.fromarray(coarse).resize(kind.shape[:2], Image.Resampling.BICUBIC)
        picture.save(home / f"{number:06d}.jpg", quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--form", choices=FORMS, required=True)
    parser.add_argument("--mb", type=float, required=True)
    parser.add_argument("--shard-mb", type=int, default=100)
    asked = parser.parse_args()
    kind = KINDS[asked.kind]
    count = int(asked.mb * 1e6 / kind.example_bytes)
    write(asked.folder, kind, asked.form, count, asked.shard_mb)
    print(json.dumps({"count": count}))


if __name__ == "__main__":
    main()
