from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import FeatureConfig, IngestConfig
from mlflow_tfconv.steps.ingest.sources import npy_source
from mlflow_tfconv.steps.ingest.sources.npy_options import NpyOptions
from mlflow_tfconv.steps.ingest.sources.npy_source import NpySource

IMAGES = np.arange(10 * 4 * 3 * 2, dtype=np.uint8).reshape(10, 4, 3, 2)
LABELS = np.arange(10) % 3


def opened(root: Path, location: Any = "data", **config: Any) -> NpySource:
    return NpySource.open(
        IngestConfig(using="npy", location=location, **config), root, lambda event: None
    )


def rows(source: NpySource) -> list[Any]:
    sent = pickle.loads(pickle.dumps(source))
    return [one.example for piece in source.pieces() for one in sent.examples(piece)]


def column(source: NpySource, name: str) -> np.ndarray[Any, Any]:
    return np.stack([row[name] for row in rows(source)])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture(params=[40, 10**6], ids=["many pieces", "one piece"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy_source, "_PIECE_BYTES", request.param)
    monkeypatch.setattr(npy_source, "_BLOCK_BYTES", request.param // 2)
    monkeypatch.setattr(npy_source, "_FORTRAN_BLOCK_BYTES", request.param // 2)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<u2", ">f8", "i1", "?", "<U3", "S2", "<c8"])
def test_npy_files_of_a_folder_are_features(
    tmp_path: Path, data: Path, order: Any, dtype: str
) -> None:
    images = np.asarray(IMAGES.astype(dtype), order=order)
    np.save(data / "image.npy", images)
    np.save(data / "label.npy", LABELS)
    source = opened(tmp_path)
    assert np.array_equal(column(source, "image"), images)
    assert np.array_equal(column(source, "label"), LABELS)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_members_of_an_npz_are_features(tmp_path: Path, save: Any, order: Any) -> None:
    images = np.asarray(IMAGES, order=order)
    save(tmp_path / "a.npz", image=images, label=LABELS)
    source = opened(tmp_path, "a.npz")
    assert np.array_equal(column(source, "image"), images)
    assert np.array_equal(column(source, "label"), LABELS)


def test_several_npz_follow_one_another(tmp_path: Path, data: Path) -> None:
    for part in range(3):
        np.savez(data / f"part-{part}.npz", x=np.full((2, 3), part))
    assert column(opened(tmp_path), "x")[:, 0].tolist() == [0, 0, 1, 1, 2, 2]


def test_names_with_a_split_say_it(tmp_path: Path) -> None:
    train, test = IMAGES[:7], IMAGES[7:]
    np.savez(
        tmp_path / "mnist.npz", x_train=train, y_train=LABELS[:7], x_test=test, y_test=LABELS[7:]
    )
    source = opened(tmp_path, "mnist.npz", label="y")
    found = [one for piece in source.pieces() for one in source.examples(piece)]
    assert [one.split for one in found] == ["train"] * 7 + ["test"] * 3
    assert all(set(one.example) == {"x", "y"} for one in found)
    assert np.array_equal(column(source, "x"), IMAGES)


def test_folders_with_a_split_say_it(tmp_path: Path, data: Path) -> None:
    for split in ("train", "val"):
        (data / split).mkdir()
        np.save(data / split / "x.npy", IMAGES)
    source = opened(tmp_path)
    splits = {one.split for piece in source.pieces() for one in source.examples(piece)}
    assert splits == {"train", "validation"}


def test_arrays_can_be_named_by_file_or_pattern(tmp_path: Path, data: Path) -> None:
    for part in range(2):
        np.save(data / f"images-{part}.npy", IMAGES + part)
        np.save(data / f"labels-{part}.npy", LABELS)
    np.save(data / "notes.npy", np.zeros(3))
    named = {"image": "images-*.npy", "label": "labels-*"}
    source = opened(tmp_path, npy=NpyOptions(arrays=named))
    assert np.array_equal(column(source, "image"), np.concatenate([IMAGES, IMAGES + 1]))
    with pytest.raises(ConfigError, match="nothing fits 'mask'") as error:
        opened(tmp_path, npy=NpyOptions(arrays={"mask": "masks.npy"}))
    assert error.value.expected == "one of images-0, images-1, labels-0, labels-1, notes"
    with pytest.raises(DataError, match="different numbers of files"):
        opened(tmp_path, npy=NpyOptions(arrays={"x": "images-*", "y": "notes.npy"}))


def test_arrays_of_different_folders_are_features_when_their_names_differ(tmp_path: Path) -> None:
    for name, array in (("x", IMAGES), ("y", LABELS)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / f"{name}.npy", array)
    (first, *_) = rows(opened(tmp_path, ("x/x.npy", "y/y.npy")))
    assert {*first} == {"x", "y"}


def test_arrays_that_are_not_asked_for_are_not_looked_at(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=IMAGES, scale=np.array(3.0), notes=np.array([{}], object))
    source = opened(tmp_path, "a.npz", npy=NpyOptions(arrays={"image": "x"}))
    assert {*rows(source)[0]} == {"image"}


def test_fields_of_a_structured_array_are_features(tmp_path: Path) -> None:
    table = np.array([(1, [2.5, 3], "a"), (4, [5, 6], "b")], "<i4, 2<f4, <U1")
    table.dtype.names = ("id", "place", "kind")
    np.save(tmp_path / "a.npy", table)
    first, second = rows(opened(tmp_path, "a.npy"))
    assert (first["id"], first["place"].tolist(), str(second["kind"])) == (1, [2.5, 3.0], "b")


def test_given_features_choose_cast_and_name_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=IMAGES, y=LABELS, z=LABELS)
    given = {
        "x": FeatureConfig(dtype="float32", shape=(4, 3, 2)),
        "y": FeatureConfig(dtype="int64", class_names=("a", "b", "c")),
    }
    source = opened(tmp_path, "a.npz", features=given)
    assert source.class_names == {"y": ("a", "b", "c")}
    assert [*rows(source)[0]] == ["x", "y"]
    assert column(source, "x").dtype == np.float32
    with pytest.raises(ConfigError, match=r"ingest\.features\.x is not what the array holds"):
        opened(tmp_path, "a.npz", features={"x": FeatureConfig(dtype="float32", shape=(4, 3))})


class Harm:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("a pickle was loaded",))


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([Harm()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=np.array([Harm()], dtype=object))
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Harm()))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError, match="loading a pickle can run any code"):
            opened(tmp_path, name)
    with pytest.raises(DataError, match=r"b\.npy is no \.npy array"):
        opened(tmp_path, "b.npy")


@pytest.mark.parametrize("keep", [0, 5, 9, 60, 200, -1])
def test_a_cut_npy_is_named(tmp_path: Path, keep: int) -> None:
    np.save(tmp_path / "a.npy", IMAGES)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:keep])
    with pytest.raises(DataError, match=r"a\.npy is (no \.npy array|cut off)"):
        opened(tmp_path, "a.npy")


def test_an_array_that_shrinks_after_it_was_opened_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES)
    source = opened(tmp_path, "a.npy")
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-10])
    with pytest.raises(DataError, match=r"a\.npy is cut off"):
        rows(source)


def test_a_damaged_npz_is_named(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.random.default_rng(0).random(1000))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[:-30])
    with pytest.raises(DataError, match=r"a\.npz is no \.npz file, or it is damaged"):
        opened(tmp_path, "a.npz")
    (tmp_path / "a.npz").write_bytes(whole[:3000] + bytes(100) + whole[3100:])
    with pytest.raises(DataError, match=r"a\.npz, array 'x' is damaged"):
        rows(opened(tmp_path, "a.npz"))


def test_an_npz_member_that_claims_more_than_it_has_is_named(tmp_path: Path) -> None:
    target = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        target, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", target.getvalue())
    with pytest.raises(DataError, match=r"array 'x' is cut off"):
        opened(tmp_path, "a.npz")


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.array(3.0), "no rows: it is a single value"),
        (np.array(["2020-01-01"], "M8[D]"), "a type that can't be stored"),
        (np.zeros((0, 4)), "hold no rows"),
    ],
)
def test_what_can_not_be_examples_is_refused(tmp_path: Path, array: Any, what: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=what):
        opened(tmp_path, "a.npy")


def test_arrays_of_different_lengths_are_refused(tmp_path: Path, data: Path) -> None:
    np.save(data / "x.npy", IMAGES)
    np.save(data / "y.npy", LABELS[:9])
    with pytest.raises(DataError, match="different numbers of rows") as error:
        opened(tmp_path)
    assert error.value.received == "x: 10, y: 9"


def test_files_of_other_features_are_refused(tmp_path: Path, data: Path) -> None:
    np.savez(data / "a.npz", x=IMAGES)
    np.savez(data / "b.npz", z=IMAGES)
    with pytest.raises(DataError, match=r"b\.npz.* has other features"):
        opened(tmp_path)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_all_versions_of_the_format_are_read(tmp_path: Path, version: Any) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, LABELS, version=version)
    assert column(opened(tmp_path, "a.npy"), "a").tolist() == LABELS.tolist()


def test_a_place_is_told_by_its_row(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES)
    source = opened(tmp_path, "a.npy")
    (piece,) = source.pieces()
    assert [one.where for one in source.examples(piece)][7] == "a.npy, row 7 (from 0)"
