from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tfrecord_files import (
    example,
    jpeg,
    png,
    sequence_example,
    tensor,
    write_records,
)

from mlflow_tfconv.data.manifest import read_manifest
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import FeatureConfig
from mlflow_tfconv.steps.ingest.sources import tfrecord_sample
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.tfrecord_options import TfrecordOptions


def described(ingest: Any, folder: Path, records: list[bytes], **config: Any) -> Any:
    """The manifest of a file of the split "train", and all of it as one batch."""
    path = write_records(folder / "train.tfrecord", records)
    result = ingest(using="tfrecord", location=str(path), **config)
    manifest = read_manifest(result.output.manifest)
    return manifest, next(iter(read_dataset(manifest, "train", len(records))))


def test_images_of_the_classic_layout_are_read_as_pixels(ingest: Any, tmp_path: Path) -> None:
    records = [
        example(
            {
                "image/encoded": [jpeg(height, 5, value=9)],
                "image/format": [b"jpeg"],
                "image/height": [height],
                "image/class/label": [height % 2],
            }
        )
        for height in (4, 6)
    ]
    manifest, (features, label) = described(ingest, tmp_path, records, label="image/class/label")
    spec = manifest.schema.features["image/encoded"]
    assert (spec.dtype, spec.shape, spec.encoding) == ("uint8", (None, 5, 3), "image")
    assert features["image/encoded"].shape == (2, 6, 5, 3)
    assert features["image/encoded"].numpy()[0, :4].tolist() == np.full((4, 5, 3), 9).tolist()
    assert label.numpy().tolist() == [0, 0]


def test_gray_and_coloured_images_have_three_channels(ingest: Any, tmp_path: Path) -> None:
    records = [example({"image": [data]}) for data in (png(2, 2, 1), jpeg(2, 2, 3))]
    manifest, image = described(ingest, tmp_path, records)
    assert manifest.schema.features["image"].shape == (2, 2, 3)
    assert image.shape == (2, 2, 2, 3)


def test_serialized_tensors_are_found_with_type_and_shape(ingest: Any, tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float64).reshape(2, 2, 3)
    records = [
        example({"fixed": [tensor(row)], "tokens": [tensor(np.arange(n, dtype=np.int32))]})
        for n, row in enumerate(rows)
    ]
    manifest, batch = described(ingest, tmp_path, records)
    shapes = {n: (s.dtype, s.shape, s.encoding) for n, s in manifest.schema.features.items()}
    assert shapes == {
        "fixed": ("float64", (2, 3), "tensor"),
        "tokens": ("int32", (None,), "tensor"),
    }
    np.testing.assert_array_equal(batch["fixed"], rows)
    assert batch["tokens"].numpy().tolist() == [[0], [0]]


def test_pixels_beside_their_height_and_width_are_an_image(ingest: Any, tmp_path: Path) -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(2, 2, 4, 3) + 150
    records = [
        example({"height": [2], "width": [4], "depth": [3], "image_raw": [image.tobytes()]})
        for image in pixels
    ]
    manifest, batch = described(ingest, tmp_path, records)
    spec = manifest.schema.features["image_raw"]
    assert (spec.dtype, spec.shape, spec.encoding) == ("uint8", (2, 4, 3), "raw")
    np.testing.assert_array_equal(batch["image_raw"], pixels)


def test_lists_of_any_length_are_padded_and_may_be_missing(ingest: Any, tmp_path: Path) -> None:
    records = [
        example({"image": [png(2, 2)], "box/xmin": boxes, "box/name": [b"cat"] * len(boxes)})
        for boxes in ([0.5], [0.25, 0.75], [])
    ] + [example({"image": [png(2, 2)]})]
    manifest, batch = described(ingest, tmp_path, records)
    assert manifest.schema.features["box/xmin"].shape == (None,)
    assert batch["box/xmin"].numpy().tolist() == [[0.5, 0], [0.25, 0.75], [0, 0], [0, 0]]
    assert batch["box/name"].numpy().tolist()[1:3] == [[b"cat", b"cat"], [b"", b""]]


def test_a_missing_value_gets_its_default(ingest: Any, tmp_path: Path) -> None:
    options = TfrecordOptions(defaults={"age": -1, "name": "?"})
    records = [example({"id": [1], "age": [30], "name": [b"x"]}), example({"id": [2]})]
    manifest, batch = described(ingest, tmp_path, records, tfrecord=options)
    assert manifest.schema.features["age"].shape == ()
    assert batch["age"].numpy().tolist() == [30, -1]
    assert batch["name"].numpy().tolist() == [b"x", b"?"]


def test_a_default_that_does_not_fit_is_told(ingest: Any, tmp_path: Path) -> None:
    options = TfrecordOptions(defaults={"age": "none"})
    with pytest.raises(ConfigError, match="'age' can't have the value 'none'"):
        described(ingest, tmp_path, [example({"age": [1]})], tfrecord=options)


def test_a_missing_label_is_told_with_its_record(ingest: Any, tmp_path: Path) -> None:
    records = [example({"x": [1.0], "label": [1]}), example({"x": [2.0]})]
    with pytest.raises(DataError, match=r"record 1 \(from 0\): the feature 'label'"):
        described(ingest, tmp_path, records, label="label")


def test_sequence_examples_are_told_from_examples(ingest: Any, tmp_path: Path) -> None:
    records = [
        sequence_example(
            {"label": [n]},
            {
                "frames": [[png(2, 2, value=n)]] * n,
                "audio": [[1.0, 2.0]] * 3,
                "words": [[5], [6, 7]],
            },
        )
        for n in (1, 2)
    ]
    manifest, (features, label) = described(ingest, tmp_path, records, label="label")
    shapes = {name: spec.shape for name, spec in manifest.schema.inputs.items()}
    assert manifest.schema.layout == "sequence_example"
    assert shapes == {"frames": (None, 2, 2, 3), "audio": (3, 2), "words": (2, None)}
    assert features["frames"].numpy()[:, :, 0, 0, 0].tolist() == [[1, 0], [2, 2]]
    assert features["words"].numpy().tolist() == [[[5, 0], [6, 7]]] * 2
    assert label.numpy().tolist() == [1, 2]


def test_a_list_without_steps_is_no_error(ingest: Any, tmp_path: Path) -> None:
    records = [sequence_example({"id": [n]}, {"words": [[7]] * n}) for n in (2, 0)]
    records.append(sequence_example({"id": [9]}, {}))
    _, batch = described(ingest, tmp_path, records)
    assert batch["words"].numpy().tolist() == [[7, 7], [0, 0], [0, 0]]


def test_images_that_tensorflow_does_not_decode_are_told(
    ingest: Any, tmp_path: Path, events: list[Any]
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "WEBP")
    manifest, _ = described(ingest, tmp_path, [example({"image": [file.getvalue()]})])
    assert manifest.schema.features["image"].dtype == "string"
    texts = [event.text for event in events if isinstance(event, Message)]
    assert any("WebP" in text and "does not decode" in text for text in texts)


def test_what_was_inferred_can_be_given(ingest: Any, tmp_path: Path, events: list[Any]) -> None:
    records = [example({"image": [png(2, 2)], "n/a": [1], "row": [1.0, 2.0]})]
    manifest, _ = described(ingest, tmp_path, records)
    told = next(e.text for e in events if isinstance(e, Message) and "features:" in e.text)
    assert "      image: {dtype: uint8, shape: [2, 2, 3], encoding: image}\n" in told
    assert "      row: {dtype: float32, shape: [2]}" in told
    features = {
        "image": FeatureConfig(dtype="uint8", shape=(2, 2, 3), encoding="image"),
        "row": FeatureConfig(dtype="float64", shape=(2,)),
    }
    again, _ = described(ingest, tmp_path, records, features=features)
    assert again.schema.features["image"] == manifest.schema.features["image"]
    assert list(again.schema.features) == ["image", "row"]


def test_a_feature_of_two_kinds_is_told(ingest: Any, tmp_path: Path) -> None:
    records = [example({"x": [1]}), example({"x": [1.5]})]
    with pytest.raises(DataError, match=r"record 1 .*'x' is something else than in the records"):
        described(ingest, tmp_path, records)


def test_tensors_of_different_ranks_are_told(ingest: Any, tmp_path: Path) -> None:
    records = [example({"x": [tensor(np.zeros(shape))]}) for shape in ((2,), (2, 2))]
    with pytest.raises(DataError, match=r"record 1 .*'x' is something else than in the records"):
        described(ingest, tmp_path, records)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (b"\x09" + b"\0" * 8, "TensorBoard"),
        (b"a,b,c", "text: 'a,b,c'"),
        (b"", "an empty record"),
        (b"\x1a\x05hello", "without features"),
    ],
)
def test_other_messages_are_refused(ingest: Any, tmp_path: Path, record: bytes, says: str) -> None:
    with pytest.raises(DataError, match=r"no tf\.train\.Example") as caught:
        described(ingest, tmp_path, [record])
    assert says in str(caught.value)


def test_a_record_that_is_an_image_or_a_tensor_is_told(ingest: Any, tmp_path: Path) -> None:
    for record, says in ((png(2, 2), "PNG image"), (tensor([1.0]), "serialized tensor")):
        with pytest.raises(DataError, match=says):
            described(ingest, tmp_path, [record])


def test_a_damaged_image_is_told_with_its_record(ingest: Any, tmp_path: Path) -> None:
    records = [example({"image": [jpeg(8, 8)]}), example({"image": [jpeg(8, 8)[:-40]]})]
    with pytest.raises(DataError, match=r"record 1 \(from 0\): the feature 'image'") as caught:
        described(ingest, tmp_path, records)
    assert "cut off" in str(caught.value)


def test_masks_can_be_labels(ingest: Any, tmp_path: Path) -> None:
    records = [example({"image": [jpeg(4, 4)], "mask": [png(4, 4, 1, value=n)]}) for n in (0, 1)]
    _, (_, mask) = described(ingest, tmp_path, records, label="mask")
    assert mask.numpy()[:, 0, 0, 0].tolist() == [0, 1]


def test_tensors_fit_into_the_fast_layout(ingest: Any, tmp_path: Path) -> None:
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    records = [example({"x": [tensor(row)], "y": [n]}) for n, row in enumerate(rows)]
    manifest, (x, y) = described(ingest, tmp_path, records, label="y", layout="block")
    assert manifest.schema.layout == "block"
    order = np.argsort(y)
    np.testing.assert_array_equal(x.numpy()[order], rows)


@pytest.mark.parametrize("compression", ["GZIP", "ZLIB"])
def test_packed_files_are_read_whatever_their_names_say(
    ingest: Any, tmp_path: Path, compression: str
) -> None:
    records = [example({"x": [n]}) for n in range(20)]
    write_records(tmp_path / "in" / "test.tfrecord", records, compression)
    result = ingest(using="tfrecord", location=str(tmp_path / "in"))
    assert result.output.counts == {"test": 20} | (
        {} if compression == "GZIP" else {"train": 0, "validation": 0}
    )
    x = next(iter(read_dataset(result.output, "test", 20)))
    assert sorted(x.numpy().tolist()) == list(range(20))


def test_names_of_tfds_and_of_no_suffix_are_found(ingest: Any, tmp_path: Path) -> None:
    folder = tmp_path / "mnist" / "3.0.1"
    for name in ("mnist-train.tfrecord-00000-of-00002", "mnist-train.tfrecord-00001-of-00002"):
        write_records(folder / name, [example({"x": [1]})])
    write_records(folder / "mnist-test.tfrecord-00000-of-00001", [example({"x": [1]})])
    (folder / "dataset_info.json").write_text("{}")
    result = ingest(using="tfrecord", location=str(folder))
    assert result.output.counts == {"train": 2, "test": 1}
    write_records(tmp_path / "other" / "validation-00000-of-01024", [example({"x": [1]})])
    (tmp_path / "other" / "labels.txt").write_text("cat\n")
    result = ingest(using="tfrecord", location=str(tmp_path / "other"))
    assert result.output.counts == {"validation": 1}


def test_class_names_of_tfds_are_found(ingest: Any, tmp_path: Path) -> None:
    (tmp_path / "label.labels.txt").write_text("cat\ndog\n")
    manifest, _ = described(ingest, tmp_path, [example({"x": [1.0], "label": [1]})], label="label")
    assert manifest.schema.features["label"].class_names == ("cat", "dog")


def test_a_feature_in_two_places_is_told(ingest: Any, tmp_path: Path) -> None:
    records = [sequence_example({"x": [1]}, {}), sequence_example({"y": [1]}, {"x": [[1]]})]
    with pytest.raises(DataError, match="'x' is in the context and in the feature lists"):
        described(ingest, tmp_path, records)


def test_tensorflow_reads_the_new_shards(ingest: Any, tmp_path: Path) -> None:
    records = [example({"x": [n], "text": [b"a"]}) for n in range(50)]
    path = write_records(tmp_path / "all.tfrecord", records)
    result = ingest(using="tfrecord", location=str(path))
    manifest = read_manifest(result.output.manifest)
    paths = [str(path) for split in manifest.splits for path in manifest.shard_paths(split)]
    written = list(tf.data.TFRecordDataset(paths).as_numpy_iterator())
    assert sorted(written) == sorted(records)


def test_what_a_sample_does_not_show_is_told_with_its_record(
    ingest: Any, tmp_path: Path, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tfrecord_sample, "_LITTLE_BYTES", 0)
    options = TfrecordOptions(sample_files=2, sample_records=3)
    for name, lengths in (("a", (2, 2, 2)), ("b", (2, 5)), ("c", (2, 2, 2))):
        records = [example({"x": [1] * length}) for length in lengths]
        write_records(tmp_path / "in" / f"{name}.tfrecord", records)
    with pytest.raises(DataError, match=r"b\.tfrecord, record 1 \(from 0\): the feature 'x'") as e:
        ingest(using="tfrecord", location=str(tmp_path / "in"), tfrecord=options)
    assert "{x: {dtype: int64, shape: [null]}}" in str(e.value)
    assert any(getattr(event, "text", "").startswith("6 records of 2 files") for event in events)
    features = {"x": FeatureConfig(dtype="int64", shape=(None,))}
    config: dict[str, Any] = {"tfrecord": options, "features": features}
    result = ingest(using="tfrecord", location=str(tmp_path / "in"), **config)
    assert sum(result.output.counts.values()) == 8


@pytest.mark.parametrize("dtype", ["bfloat16", "uint32", "uint64"])
@pytest.mark.parametrize("config", [{}, {"layout": "block"}])
def test_tensors_of_rare_types_keep_their_values(
    ingest: Any, tmp_path: Path, dtype: str, config: Any
) -> None:
    rows = [tf.cast([number, 200 * number], dtype) for number in range(4)]
    records = [example({"x": [tf.io.serialize_tensor(row).numpy()]}) for row in rows]
    _, batch = described(ingest, tmp_path, records, **config)
    assert batch.numpy().tolist() == [row.numpy().tolist() for row in rows]


def test_tensors_of_rare_types_that_vary_are_padded_or_ragged(ingest: Any, tmp_path: Path) -> None:
    rows = [tf.range(number, dtype=tf.int32) for number in range(3)]
    data = [tf.io.serialize_tensor(tf.cast(row, tf.uint32)).numpy() for row in rows]
    manifest, batch = described(ingest, tmp_path, [example({"x": [one]}) for one in data])
    assert batch.numpy().tolist() == [[0, 0], [0, 0], [0, 1]]
    ragged = next(iter(read_dataset(manifest, "train", 3, ragged=True)))
    assert ragged.to_list() == [[], [0], [0, 1]]


def test_a_feature_that_differs_is_no_matter_when_others_are_chosen(
    ingest: Any, tmp_path: Path
) -> None:
    records = [
        example({"x": [n], "odd": [n] if n else [b"text"], "t": [tensor(np.zeros(2, dtype))]})
        for n, dtype in enumerate(("int32", "float32"))
    ]
    features = {"x": FeatureConfig(dtype="int64")}
    _, batch = described(ingest, tmp_path, records, features=features)
    assert batch.numpy().tolist() == [0, 1]
    for name in ("odd", "t"):
        with pytest.raises(DataError, match=f"'{name}' is something else than in the records"):
            described(ingest, tmp_path, records, features=features, label=name)


def test_a_label_that_no_record_has_is_told_with_one_like_it(ingest: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'labl' that the recipe names") as caught:
        described(ingest, tmp_path, [example({"label": [1], "x": [1.0]})], label="labl")
    assert "Did you mean 'label'?" in str(caught.value)


@pytest.mark.parametrize("layout", ["example", "block"])
def test_images_of_any_size_become_pixels_of_one(ingest: Any, tmp_path: Path, layout: str) -> None:
    records = [
        example({"image": [png(side, side + 1, value=side)], "label": [side]}) for side in (3, 5)
    ]
    options = ImageOptions(size=(4, 4))
    manifest, (image, label) = described(
        ingest, tmp_path, records, label="label", image=options, layout=layout
    )
    assert manifest.schema.features["image"].shape == (4, 4, 3)
    assert image.numpy()[:, 2, 2, 0].tolist() == label.numpy().tolist() == [3, 5]
    assert image.shape == (2, 4, 4, 3)


def test_frames_become_pixels_of_one_size(ingest: Any, tmp_path: Path) -> None:
    records = [
        sequence_example({"id": [n]}, {"frames": [[png(2, 2, value=n)]] * n, "a": [[1, 2]] * n})
        for n in (2, 0, 1)
    ]
    _, batch = described(ingest, tmp_path, records, image=ImageOptions(size=(1, 3)))
    assert batch["frames"].shape == (3, 2, 1, 3, 3)
    assert batch["frames"].numpy()[:, :, 0, 0, 0].tolist() == [[2, 2], [0, 0], [1, 0]]
    assert batch["a"].numpy().tolist() == [[[1, 2]] * 2, [[0, 0]] * 2, [[1, 2], [0, 0]]]


def test_images_that_differ_do_not_fit_into_blocks(ingest: Any, tmp_path: Path) -> None:
    records = [example({"image": [png(2, size)]}) for size in (2, 3)]
    with pytest.raises(DataError, match=r"'image' differ in size, which `layout: block`"):
        described(ingest, tmp_path, records, layout="block")
    manifest, image = described(ingest, tmp_path, records[:1], layout="block")
    assert manifest.schema.layout == "block"
    assert image.shape == (1, 2, 2, 3)


def test_single_doubles_keep_all_digits_when_written_anew(ingest: Any, tmp_path: Path) -> None:
    records = [example({"x": [np.float64(1 / 3).tobytes()], "z": [tensor(np.complex64(2 + 1j))]})]
    features = {"x": FeatureConfig(dtype="float64"), "z": FeatureConfig(dtype="complex64")}
    for layout in ("example", "block"):
        _, batch = described(ingest, tmp_path, records, features=features, layout=layout)
        assert batch["x"].numpy().tolist() == [1 / 3]
        assert batch["z"].numpy().tolist() == [2 + 1j]


def test_arrays_without_elements_keep_their_shape(ingest: Any, tmp_path: Path) -> None:
    records = [example({"none": [b""], "x": [n]}) for n in range(6)]
    empty = FeatureConfig(dtype="float32", shape=(0, 3), encoding="raw")
    features = {"none": empty, "x": FeatureConfig(dtype="int64")}
    for layout in ("example", "block"):
        _, batch = described(ingest, tmp_path, records, features=features, layout=layout)
        assert batch["none"].shape == (6, 0, 3)
        assert batch["x"].numpy().tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(DataError, match="nothing to write"):
        described(ingest, tmp_path, records, features={"none": empty}, layout="block")
