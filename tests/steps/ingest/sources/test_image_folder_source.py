from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mlflow_tfconv.engine.events import Event, Message
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.sources.image_folder_source import ImageFolderSource
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.source import Found


def put(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), (number, 0, 0)).save(path)


def opened(root: Path, events: list[Event] | None = None, **config: Any) -> ImageFolderSource:
    config = {"location": "data", **config}
    said = [] if events is None else events
    return ImageFolderSource.open(IngestConfig(using="image_folder", **config), root, said.append)


def found(source: ImageFolderSource) -> dict[str, Found]:
    """What there is, by its file, read as another process would."""
    sent = pickle.loads(pickle.dumps(source))
    return {one.where: one for piece in source.pieces() for one in sent.examples(piece)}


def labels(source: ImageFolderSource) -> dict[str, str | None]:
    names = source.class_names.get("label", ())
    examples = {where: one.example for where, one in found(source).items()}
    return {
        where: names[example["label"]] if "label" in example else None
        for where, example in examples.items()
        if not isinstance(example, DataError)
    }


def test_the_folder_is_the_class_whatever_lies_between(tmp_path: Path) -> None:
    put(tmp_path / "data", "cats/1.png", "cats/more/2.png", "ants/3.PNG")
    source = opened(tmp_path)
    assert source.class_names == {"label": ("ants", "cats")}
    assert source.labels == ("label",)
    assert labels(source) == {
        "data/cats/1.png": "cats",
        "data/cats/more/2.png": "cats",
        "data/ants/3.PNG": "ants",
    }


def test_what_is_left_out_is_counted_and_said(tmp_path: Path, events: list[Event]) -> None:
    put(tmp_path / "data", "cats/1.png", "dogs/1.png", "loose.png", ".hidden/1.png")
    (tmp_path / "data" / "cats" / "notes.txt").write_text("x")
    opened(tmp_path, events)
    assert events == [
        Message(
            text="2 images in 2 classes. Left out: 1 of other kinds (.txt 1); 1 beside the folders."
        )
    ]


def test_folders_named_for_splits_decide(tmp_path: Path) -> None:
    put(tmp_path / "data", "Train/cats/1.png", "Train/dogs/1.png", "val/cats/2.png")
    source = opened(tmp_path)
    assert source.class_names == {"label": ("cats", "dogs")}
    splits = {where: one.split for where, one in found(source).items()}
    assert splits == {
        "data/Train/cats/1.png": "train",
        "data/Train/dogs/1.png": "train",
        "data/val/cats/2.png": "validation",
    }


def test_two_locations_named_for_splits_decide(tmp_path: Path) -> None:
    put(tmp_path, "train/cats/1.png", "test/cats/2.png")
    source = opened(tmp_path, location=("train", "test"))
    assert Counter(one.split for one in found(source).values()) == {"train": 1, "test": 1}


def test_one_folder_named_train_leaves_the_split_to_the_hash(tmp_path: Path) -> None:
    put(tmp_path / "data", "train/cats/1.png", "train/dogs/2.png")
    source = opened(tmp_path)
    assert {one.split for one in found(source).values()} == {None}
    assert source.class_names == {"label": ("cats", "dogs")}


def test_a_class_may_be_named_train(tmp_path: Path) -> None:
    put(tmp_path / "data", "train/1.png", "bus/2.png")
    assert opened(tmp_path).class_names == {"label": ("bus", "train")}


def test_images_in_no_folders_have_no_label(tmp_path: Path) -> None:
    put(tmp_path / "data", "1.png", "2.png")
    source = opened(tmp_path)
    assert source.labels == ()
    assert set(labels(source).values()) == {None}
    with pytest.raises(DataError, match="no folders that could be their classes"):
        opened(tmp_path, label="kind")


def test_the_order_has_nothing_to_do_with_the_classes(tmp_path: Path) -> None:
    put(tmp_path / "data", *(f"{kind}/{n}.png" for kind in "ab" for n in range(20)))
    order = list(labels(opened(tmp_path)).values())
    assert order != sorted(order, key=str)
    assert order == list(labels(opened(tmp_path)).values())


def test_pieces_are_few_and_change_with_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlflow_tfconv.steps.ingest.sources.file_groups.MOST_FILES", 3)
    put(tmp_path / "data", *(f"a/{n}.png" for n in range(7)))
    before = opened(tmp_path).pieces()
    assert [len(piece.arguments["files"]) for piece in before] == [3, 3, 1]
    put(tmp_path / "data", "a/0.png")
    after = opened(tmp_path).pieces()
    assert sum(a.identity != b.identity for a, b in zip(before, after, strict=True)) == 1


def test_a_damaged_image_is_an_error_in_its_place(tmp_path: Path) -> None:
    put(tmp_path / "data", "a/1.png", "a/2.png")
    (tmp_path / "data" / "a" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    example = found(opened(tmp_path))["data/a/2.png"].example
    assert isinstance(example, DataError)
    assert example.what == "data/a/2.png is no image."


def test_an_image_that_vanishes_is_an_error_in_its_place(tmp_path: Path) -> None:
    put(tmp_path / "data", "a/1.png")
    source = opened(tmp_path)
    (tmp_path / "data" / "a" / "1.png").unlink()
    assert isinstance(found(source)["data/a/1.png"].example, DataError)


def test_channels_are_the_same_in_all_images(tmp_path: Path) -> None:
    put(tmp_path / "data", *(f"a/{n}.png" for n in range(3)))
    Image.new("L", (6, 4)).save(tmp_path / "data" / "a" / "gray.png")
    source = opened(tmp_path, image=ImageOptions(channels=None))
    errors = [one.example for one in found(source).values() if isinstance(one.example, DataError)]
    assert 0 < len(errors) < 4
    assert errors[0].fix == "Set `ingest.image.channels: 3`: all images get that many."


def test_the_label_may_have_another_name_and_the_path_be_the_key(tmp_path: Path) -> None:
    put(tmp_path / "data", "cats/1.png")
    source = opened(tmp_path, label="kind", key="path", image=ImageOptions(store="encoded"))
    (one,) = found(source).values()
    assert not isinstance(one.example, DataError)
    assert one.example["path"] == "cats/1.png"
    assert one.example["kind"] == 0
    assert one.original_shapes == {"image": (4, 6, 3)}
    assert source.features["image"].encoding == "image"
    with pytest.raises(ConfigError, match=r"ingest\.key names no feature"):
        opened(tmp_path, key="id")


def test_no_images_at_all_is_an_error_that_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"\.heic 1"):
        opened(tmp_path)
