from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.sources.csv_options import CsvOptions
from mlflow_tfconv.steps.ingest.sources.image_list_source import ImageListSource
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.source import Found


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three images, 0.png to 2.png, whose red is their number."""
    for number in range(3):
        path = tmp_path / "data" / "pictures" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), (number, 0, 0)).save(path)
    return path.parent


def opened(root: Path, text: str, **config: Any) -> ImageListSource:
    (root / "data" / "list.csv").write_text(text)
    given = IngestConfig(using="image_list", location="data/list.csv", **config)
    return ImageListSource.open(given, root, lambda event: None)


def found(source: ImageListSource) -> list[Found]:
    sent = pickle.loads(pickle.dumps(source))
    return [one for piece in source.pieces() for one in sent.examples(piece)]


def examples(source: ImageListSource) -> list[Any]:
    return [one.example for one in found(source)]


LIST = "path,label,age\npictures/2.png,cat,3\npictures/0.png,dog,4.5\n"


@pytest.mark.usefixtures("pictures")
def test_paths_start_at_the_list_and_other_columns_are_features(tmp_path: Path) -> None:
    source = opened(tmp_path, LIST)
    first, second = examples(source)
    assert first["image"][0, 0].tolist() == [2, 0, 0]
    assert (first["label"], first["age"], second["age"]) == (b"cat", 3.0, 4.5)
    assert source.labels == ("label",)
    assert {*first} == {"image", "label", "age"}
    assert found(source)[0].original_shapes == {"image": (4, 6, 3)}


def test_paths_may_start_elsewhere_be_absolute_or_urls(tmp_path: Path, pictures: Path) -> None:
    text = f"path\n1.png\n{pictures}/2.png\nfile://{pictures}/0.png\n"
    source = opened(tmp_path, text, image=ImageOptions(root="data/pictures"))
    assert [row["image"][0, 0, 0] for row in examples(source)] == [1, 2, 0]
    assert source.labels == ()


@pytest.mark.usefixtures("pictures")
def test_columns_can_be_named_and_one_may_say_the_split(tmp_path: Path) -> None:
    text = (
        "file;kind;part\npictures/2.png;cat;val\npictures/0.png;dog;train\npictures/1.png;dog;?\n"
    )
    options = ImageOptions(column="file", split="part")
    first, second, third = found(opened(tmp_path, text, label="kind", image=options))
    assert (first.split, second.split) == ("validation", "train")
    assert isinstance(third.example, DataError)
    assert third.example.what == "data/list.csv, line 4 (row 3): the column 'part' says no split."
    assert isinstance(first.example, dict)
    assert {*first.example} == {"image", "kind"}


@pytest.mark.usefixtures("pictures")
def test_the_path_may_be_the_key(tmp_path: Path) -> None:
    source = opened(tmp_path, LIST, key="path")
    assert examples(source)[0]["path"] == b"pictures/2.png"
    assert source.features["path"].dtype == "string"


@pytest.mark.usefixtures("pictures")
def test_missing_and_damaged_files_are_named_with_their_row(tmp_path: Path) -> None:
    (tmp_path / "data" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    text = "path,label\nnone.png,a\nbad.png,a\n,a\npictures/0.png,b\n"
    none, bad, empty, good = examples(opened(tmp_path, text))
    assert none.what == "data/list.csv, line 2 (row 1): none.png can't be read."
    assert bad.what.startswith("data/list.csv, line 3 (row 2): bad.png is ")
    assert empty.what.startswith("data/list.csv, line 4 (row 3): the column 'path'")
    assert good["label"] == b"b"


@pytest.mark.usefixtures("pictures")
def test_rows_are_read_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlflow_tfconv.steps.ingest.sources.listed_files.MOST_FILES", 2)
    text = "path\n" + "".join(f"pictures/{n % 3}.png\n" for n in range(7))
    source = opened(tmp_path, text)
    assert len(source.pieces()) == 4
    assert [row["image"][0, 0, 0] for row in examples(source)] == [n % 3 for n in range(7)]


@pytest.mark.usefixtures("pictures")
def test_a_changed_image_changes_its_piece(tmp_path: Path) -> None:
    source = opened(tmp_path, LIST)
    (before,) = source.pieces()
    Image.new("RGB", (60, 40), (9, 9, 9)).save(tmp_path / "data" / "pictures" / "0.png")
    (after,) = source.pieces()
    assert before.identity != after.identity


@pytest.mark.usefixtures("pictures")
def test_a_column_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="The list has no column 'path'") as error:
        opened(tmp_path, "file,label\npictures/0.png,a\n")
    assert error.value.fix == "Set `ingest.image.column` to the column's name."
    with pytest.raises(ConfigError, match=r"image.column: image|column 'image' beside"):
        opened(tmp_path, "path,image\npictures/0.png,a\n")


@pytest.mark.usefixtures("pictures")
def test_options_of_csv_hold_for_lists(tmp_path: Path) -> None:
    csv = CsvOptions(columns=("label",), types={"label": "string"})
    source = opened(tmp_path, "path,label,age\npictures/0.png,7,1\n", csv=csv)
    assert examples(source)[0]["label"] == b"7"
    assert {*source.features} == {"label"}


def test_the_channels_of_the_first_image_hold_for_all(tmp_path: Path, pictures: Path) -> None:
    Image.new("L", (6, 4)).save(pictures / "gray.png")
    text = "path\npictures/gray.png\npictures/0.png\n"
    gray, colour = examples(opened(tmp_path, text, image=ImageOptions(channels=None)))
    assert gray["image"].shape == (4, 6, 1)
    assert "has other channels than the images before" in colour.what
