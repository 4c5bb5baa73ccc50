from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.data.manifest import read_manifest
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.data.records import find_damage
from mlflow_tfconv.errors import ConfigError, DataError


def images(count: int) -> list[dict[str, Any]]:
    values = np.random.default_rng(0).random((count, 4, 4, 1)).astype("float32")
    return [{"image": value, "label": number} for number, value in enumerate(values)]


def labels_of(dataset: tf.data.Dataset) -> list[int]:
    return [int(label) for _, batch in dataset for label in batch]


def test_what_was_written_is_read_back_whatever_the_type(write_dataset: Any) -> None:
    written = {
        "image": np.arange(12, dtype="uint8").reshape(2, 2, 3),
        "half": np.array([0.5, -1], "float16"),
        "big": np.array([[2**60]], ">i8"),
        "flags": np.array([True, False]),
        "flag": False,
        "number": -3,
        "real": 0.25,
        "text": "Grüße",
        "words": ["a", "b"],
        "label": 1,
    }
    features, label = next(iter(read_dataset(write_dataset([written]), "train", 1)))
    read = {name: value.numpy()[0] for name, value in features.items()}
    assert read.pop("text").decode() == "Grüße"
    assert read.pop("words").tolist() == [b"a", b"b"]
    for name, value in read.items():
        np.testing.assert_array_equal(value, written[name])
    assert label.numpy().tolist() == [1]
    assert read["image"].dtype == np.uint8
    assert read["half"].dtype == np.float16


def test_a_single_feature_and_label_come_without_a_dict(write_dataset: Any) -> None:
    dataset = read_dataset(write_dataset(images(5)), "train", 2)
    image, label = dataset.element_spec
    assert (image.dtype, image.shape.as_list()) == (tf.float32, [None, 4, 4, 1])
    assert label.dtype == tf.int64
    assert len(dataset) == 3


def test_without_a_label_features_come_alone(write_dataset: Any) -> None:
    manifest = write_dataset([{"x": 1}, {"x": 2}], label=())
    assert next(iter(read_dataset(manifest, "train", 2))).numpy().tolist() == [1, 2]


def test_the_noun_the_manifest_and_its_path_read_alike(write_dataset: Any) -> None:
    manifest = write_dataset(images(3))
    noun = Dataset(
        manifest=manifest.folder / "manifest.json", digest=manifest.digest, counts=manifest.counts
    )
    for source in (manifest, noun, manifest.folder, str(manifest.folder / "manifest.json")):
        assert labels_of(read_dataset(source, "train", 2)) == [0, 1, 2]


def test_shuffling_is_repeated_by_its_seed_and_differs_from_pass_to_pass(
    write_dataset: Any,
) -> None:
    manifest = write_dataset(images(40))
    assert len(manifest.splits["train"]) > 5
    dataset = read_dataset(manifest, "train", 8, shuffle=True, seed=3)
    first, second = labels_of(dataset), labels_of(dataset)
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second
    assert first == labels_of(read_dataset(manifest, "train", 8, shuffle=True, seed=3))
    assert first != labels_of(read_dataset(manifest, "train", 8, shuffle=True, seed=4))


def test_a_repeated_stream_has_no_end(write_dataset: Any) -> None:
    dataset = read_dataset(write_dataset(images(3)), "train", 2, repeat=True)
    assert labels_of(dataset.take(4)) == [0, 1, 2, 0, 1, 2]


def test_a_last_batch_that_is_not_full_can_be_left_out(write_dataset: Any) -> None:
    dataset = read_dataset(write_dataset(images(5)), "train", 2, drop_remainder=True)
    assert labels_of(dataset) == [0, 1, 2, 3]
    assert len(dataset) == 2


def test_a_split_smaller_than_a_full_batch_is_told(write_dataset: Any) -> None:
    manifest = write_dataset(images(3))
    with pytest.raises(ConfigError, match="batch size of at most 3"):
        read_dataset(manifest, "train", 4, drop_remainder=True)
    assert labels_of(read_dataset(manifest, "train", 4)) == [0, 1, 2]


def test_a_single_example_is_a_batch(write_dataset: Any) -> None:
    dataset = read_dataset(
        write_dataset(images(1)), "train", 64, shuffle=True, drop_remainder=False
    )
    assert labels_of(dataset) == [0]


def test_batches_can_wait_on_a_device(write_dataset: Any) -> None:
    dataset = read_dataset(write_dataset(images(3)), "train", 2, prefetch_to="/CPU:0")
    assert labels_of(dataset) == [0, 1, 2]


def test_the_order_within_another_pipeline_is_decided_by_its_number(write_dataset: Any) -> None:
    manifest = write_dataset(images(40))

    def passes(*numbers: int) -> list[int]:
        def one(number: tf.Tensor) -> tf.data.Dataset:
            tf.random.set_seed(1)
            return read_dataset(manifest, "train", 8, shuffle=True, seed=number)

        return labels_of(tf.data.Dataset.from_tensor_slices(list(numbers)).flat_map(one))

    assert passes(0, 1) == [*passes(0), *passes(1)]
    assert passes(0) != passes(1)


def test_arrays_of_varying_shape_are_padded_with_zeros(write_dataset: Any) -> None:
    sizes = [(2, 3), (4, 1)]
    manifest = write_dataset(
        {"image": np.ones((*size, 1), "uint8"), "rows": np.ones((size[0], 2)), "label": 0}
        for size in sizes
    )
    features, _ = next(iter(read_dataset(manifest, "train", 2)))
    assert features["image"].shape == (2, 4, 3, 1)
    assert features["rows"].shape == (2, 4, 2)
    for index, (height, width) in enumerate(sizes):
        image, rows = features["image"][index].numpy(), features["rows"][index].numpy()
        assert image[:height, :width].all()
        assert image.sum() == height * width
        assert rows[:height].all()
        assert not rows[height:].any()


def test_text_labels_are_read_as_the_index_of_their_class(write_dataset: Any) -> None:
    manifest = write_dataset(
        [{"x": 1, "label": name} for name in ("dog", "cat", "dog")],
        class_names={"label": ("cat", "dog")},
    )
    assert labels_of(read_dataset(manifest, "train", 3)) == [1, 0, 1]


def test_an_unknown_split_is_told_with_those_there_are(write_dataset: Any) -> None:
    with pytest.raises(DataError) as caught:
        read_dataset(write_dataset(images(1)), "trian", 1)
    assert "'train' or 'validation'" in str(caught.value)


def test_an_empty_split_is_told(write_dataset: Any) -> None:
    with pytest.raises(DataError, match=r"'validation' .* has no examples"):
        read_dataset(write_dataset(images(1)), "validation", 1)


def test_a_missing_shard_is_told(write_dataset: Any) -> None:
    manifest = write_dataset(images(30))
    manifest.shard_paths("train")[1].unlink()
    with pytest.raises(DataError, match="is missing") as caught:
        read_dataset(manifest, "train", 1)
    assert "train-00001.tfrecord" in str(caught.value)


def test_a_shard_of_another_size_is_told(write_dataset: Any) -> None:
    manifest = write_dataset(images(3))
    path = manifest.shard_paths("train")[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="has changed"):
        read_dataset(manifest, "train", 1)


def test_damage_that_tensorflow_met_is_found(write_dataset: Any) -> None:
    manifest = write_dataset(images(3))
    assert find_damage(manifest, "train") is None
    dataset = read_dataset(manifest, "train", 1)
    path = manifest.shard_paths("train")[0]
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    with pytest.raises(tf.errors.DataLossError):
        labels_of(dataset)
    assert "record 2 (from 0)" in str(find_damage(manifest, "train"))


def test_a_missing_manifest_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no manifest"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        {"split": ["train"]},
        {"batch_size": True},
        {"batch_size": 2.0},
        {"shuffle": -1},
        {"shuffle": 2.5},
        {"shuffle": "yes"},
        {"shuffle": None},
        {"seed": "a"},
        {"seed": None},
        {"seed": 2**64},
        {"seed": tf.constant(1.5)},
        {"repeat": "no"},
        {"drop_remainder": 1},
        {"ragged": None},
        {"skip": -1},
        {"skip": 4},
        {"bucket_by": ["x"]},
        {"bucket_boundaries": [4]},
        {"bucket_by": "x", "bucket_boundaries": 4},
        {"bucket_by": "x", "bucket_boundaries": ["a"]},
        {"bucket_by": "x", "bucket_boundaries": [2.5]},
        {"bucket_by": "x", "bucket_boundaries": [2**40]},
        {"prefetch_to": 5},
        {"prefetch_to": "/GPU:77"},
    ],
)
def test_an_argument_that_can_not_be_used_is_told_before_anything_is_read(
    write_dataset: Any, arguments: dict[str, Any]
) -> None:
    manifest = write_dataset([{"x": np.zeros(n), "label": n} for n in (1, 2, 3)])
    with pytest.raises((ConfigError, DataError), match=next(reversed(arguments))):
        read_dataset(manifest, **{"split": "train", "batch_size": 1, **arguments})


def test_numbers_beyond_all_data_take_no_memory(write_dataset: Any) -> None:
    manifest = write_dataset(images(5))
    dataset = read_dataset(manifest, "train", 2**70, shuffle=2**70, seed=-(2**63))
    assert sorted(labels_of(dataset)) == [0, 1, 2, 3, 4]
    assert len(dataset) == 1


def test_a_split_that_is_nearly_called_so_is_asked_for(write_dataset: Any) -> None:
    with pytest.raises(DataError, match="Did you mean 'train'"):
        read_dataset(write_dataset(images(1)), "trian", 1)


def test_all_batches_may_be_left_out(write_dataset: Any) -> None:
    assert labels_of(read_dataset(write_dataset(images(3)), "train", 2, skip=2)) == []
