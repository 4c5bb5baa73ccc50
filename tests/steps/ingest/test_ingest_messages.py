"""What the step says of data that are there, and lack something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.errors import DataError


def _said(events: list[Any]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Message))


def _images(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.full((4, 4, 3), number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def test_an_empty_split_is_told_with_its_reason(ingest: Any, events: Any, tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("k,x\n" + "".join(f"one,{n}\n" for n in range(50)))
    ingest(using="csv", location=str(table), key="k")
    assert "got no examples: there are few different values of 'k'." in _said(events)


def test_a_split_that_nobody_asked_for_is_not_missed(
    ingest: Any, events: Any, tmp_path: Path
) -> None:
    table = tmp_path / "a.csv"
    table.write_text("x\n" + "".join(f"{n}\n" for n in range(50)))
    ingest(using="csv", location=str(table), split_ratios=(0.5, 0.5, 0.0))
    assert "got no examples" not in _said(events)


def test_folders_that_name_two_splits_lack_the_third(
    ingest: Any, events: Any, tmp_path: Path
) -> None:
    for split in ("train", "test"):
        _images(tmp_path / "photos" / split / "cat", 3)
    ingest(using="image_folder", location=str(tmp_path / "photos"))
    said = _said(events)
    assert "6 images in 1 class, split by folders into train, test." in said
    assert "'validation' got no examples: the data name train and test only." in said


def test_arrays_whose_names_say_two_splits_lack_the_third(
    ingest: Any, events: Any, tmp_path: Path
) -> None:
    np.savez(tmp_path / "d.npz", x_train=np.arange(4), x_test=np.arange(3))
    ingest(using="npy", location=str(tmp_path / "d.npz"))
    assert "'validation' got no examples: the data name train and test only." in _said(events)


@pytest.mark.parametrize(("data", "said"), [(b"", "an empty file"), (b"<html>", r"b'<html>'")])
def test_a_file_that_is_no_image_says_what_it_is(
    ingest: Any, tmp_path: Path, data: bytes, said: str
) -> None:
    _images(tmp_path / "photos" / "cat", 1)
    (tmp_path / "photos" / "cat" / "bad.jpg").write_bytes(data)
    with pytest.raises(DataError, match=f"bad.jpg is no image.\n.*{said}"):
        ingest(using="image_folder", location=str(tmp_path / "photos"))


def test_a_listed_file_that_is_not_there_is_told_with_its_whole_path(
    ingest: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("path,y\nnone.png,1\n")
    with pytest.raises(DataError, match=rf"none.png can't be read.\n.*{tmp_path}/none.png"):
        ingest(using="image_list", location=str(tmp_path / "a.csv"))


def test_a_folder_without_such_files_says_which_would_be_read(ingest: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(
        DataError, match=r"a folder without such(.|\n)*with \.csv, \.tsv, \.tab files"
    ):
        ingest(using="csv", location=str(tmp_path / "data"))


def test_folders_of_classes_without_an_image_are_told(
    ingest: Any, events: Any, tmp_path: Path
) -> None:
    _images(tmp_path / "photos" / "cat" / "deep", 3)
    _images(tmp_path / "photos" / "dog", 3)
    (tmp_path / "photos" / "bird").mkdir()
    ingest(using="image_folder", location=str(tmp_path / "photos"))
    assert "6 images in 2 classes. Left out: 1 empty folder (bird)." in _said(events)
