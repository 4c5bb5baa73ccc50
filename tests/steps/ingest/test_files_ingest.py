"""Folders of images, lists, arrays and videos through the whole step, and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image

from mlflow_tfconv.data.manifest import read_manifest
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.engine.cards import Table
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.video_options import ClipOptions, VideoOptions
from mlflow_tfconv.steps.ingest.step import IngestStep

ALL_TRAIN = (1.0, 0.0, 0.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five cats and five dogs of 6x5 whose red is their number."""
    for number in range(10):
        path = tmp_path / "root" / "data" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 6), (number, 100, 200)).save(path)
    return tmp_path / "root"


def read(result: Any, split: str = "train") -> Any:
    """All of a split as one batch."""
    ((features, label),) = read_dataset(result.output, split, 100)
    return features.numpy(), label.numpy()


@pytest.mark.parametrize(
    ("store", "layout"), [("pixels", "example"), ("pixels", "block"), ("encoded", "example")]
)
def test_a_folder_of_images_is_read_back_as_it_was(
    ingest: Any, root: Path, store: Any, layout: Any
) -> None:
    options = ImageOptions(store=store)
    result = ingest(
        root=root,
        using="image_folder",
        location="data",
        split_ratios=ALL_TRAIN,
        image=options,
        layout=layout,
    )
    images, labels = read(result)
    assert images.shape == (10, 6, 5, 3)
    assert sorted(images[:, 0, 0, 0].tolist()) == list(range(10))
    assert (images[:, 0, 0, 0] % 2 == labels).all()
    schema = read_manifest(result.output.manifest).schema
    assert schema.labels["label"].class_names == ("cat", "dog")


def test_options_do_not_move_an_image_to_another_split(ingest: Any, root: Path) -> None:
    found = []
    for size in ((6, 5), (12, 10)):
        options = ImageOptions(size=size)
        result = ingest(
            root=root,
            using="image_folder",
            location="data",
            split_ratios=(0.5, 0.5, 0.0),
            image=options,
        )
        found.append(
            {
                split: sorted(read(result, split)[0][:, 0, 0, 0].tolist())
                for split in ("train", "validation")
            }
        )
    assert found[0] == found[1]


def test_folders_that_name_splits_are_kept(ingest: Any, root: Path) -> None:
    (root / "data").rename(root / "train")
    (root / "all").mkdir()
    (root / "train").rename(root / "all" / "train")
    (root / "all" / "val" / "dog").mkdir(parents=True)
    (root / "all" / "train" / "dog" / "9.png").rename(root / "all" / "val" / "dog" / "9.png")
    result = ingest(root=root, using="image_folder", location="all")
    assert result.output.counts == {"train": 9, "validation": 1, "test": 0}


def test_a_damaged_image_fails_the_step_or_is_listed(ingest: Any, root: Path) -> None:
    (root / "data" / "dog" / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.raises(DataError, match=r"data/dog/bad\.jpg is"):
        ingest(root=root, using="image_folder", location="data")
    result = ingest(root=root, using="image_folder", location="data", on_error="skip")
    assert sum(result.output.counts.values()) == 10
    captions = [part.caption for part in result.card.parts if isinstance(part, Table)]
    assert "⚠ 1 example that could not be used" in captions


def test_a_list_of_images_is_read_back(ingest: Any, root: Path) -> None:
    rows = [f"{'cat' if n % 2 == 0 else 'dog'}/{n}.png,{n / 2},{'ab'[n % 2]}" for n in range(10)]
    (root / "data" / "list.csv").write_text("\n".join(["path,weight,label", *rows]))
    result = ingest(root=root, using="image_list", location="data/list.csv", split_ratios=ALL_TRAIN)
    ((features, label),) = read_dataset(result.output, "train", 100)
    reds = features["image"].numpy()[:, 0, 0, 0]
    assert (features["weight"].numpy() * 2 == reds).all()
    assert (label.numpy() == reds % 2).all()


def test_arrays_are_read_back(ingest: Any, root: Path) -> None:
    images = np.random.default_rng(0).random((20, 4, 3)).astype(np.float32)
    np.savez(root / "a.npz", x=images, y=np.arange(20))
    result = ingest(root=root, using="npy", location="a.npz", label="y", split_ratios=ALL_TRAIN)
    found, labels = read(result)
    assert np.array_equal(found, images[labels])


def test_clips_of_pictures_stay_in_one_split(ingest: Any, tmp_path: Path) -> None:
    for video in range(8):
        for number in range(6):
            path = tmp_path / "root" / "videos" / f"v{video}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (6, 6), (video, number, 0)).save(path)
    result = ingest(
        root=tmp_path / "root",
        using="video",
        location="videos",
        split_ratios=(0.5, 0.5, 0.0),
        video=VideoOptions(clip=ClipOptions(frames=2)),
    )
    videos = []
    for split in ("train", "validation"):
        (clips,) = read_dataset(result.output, split, 100)
        assert clips.shape[1:] == (2, 6, 6, 3)
        videos.append(set(clips.numpy()[:, 0, 0, 0, 0].tolist()))
    assert videos[0] & videos[1] == set()
    assert len(videos[0] | videos[1]) == 8


@pytest.mark.parametrize(
    ("location", "base", "expected"),
    [
        ("data/list.csv", None, ["data/list.csv", "data"]),
        ("list.csv", None, ["list.csv"]),
        (("list.csv", "more/b.tsv.gz"), "pictures", ["list.csv", "more/b.tsv.gz", "pictures"]),
        ("s3://bucket/list.csv", None, []),
    ],
)
def test_files_that_a_list_names_decide_whether_the_step_runs_again(
    location: Any, base: str | None, expected: list[str]
) -> None:
    options = ImageOptions(root=base)
    config = IngestConfig(using="image_list", location=location, image=options)
    assert [path.as_posix() for path in IngestStep(config).inputs()] == expected


def test_images_of_a_server_are_read_as_those_of_this_machine(ingest: Any, root: Path) -> None:
    storage = fsspec.filesystem("memory")
    storage.put(f"{root}/data", "/bucket/data", recursive=True)
    storage.pipe("/bucket/list.csv", b"path,label\ndata/cat/0.png,x\ndata/dog/1.png,y\n")
    here = ingest(root=root, using="image_folder", location="data")
    there = ingest(root=root, using="image_folder", location="memory://bucket/data")
    assert there.output.digest == here.output.digest
    listed = ingest(
        root=root,
        using="image_list",
        location="memory://bucket/list.csv",
        split_ratios=ALL_TRAIN,
    )
    assert sorted(read(listed)[0][:, 0, 0, 0].tolist()) == [0, 1]
    storage.rm("/bucket", recursive=True)
