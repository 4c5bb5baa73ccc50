"""Models of several files are counted, copied and replaced as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.formats.model_files import (
    copy_data,
    link_files,
    model_bytes,
    model_files,
    place_onnx,
)


def model(path: Path, value: float = 1, data: str | None = None) -> Path:
    """One weight of 8 KB, in a file of its own when that has a name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weight = numpy_helper.from_array(np.full((2, 1024), value, np.float32), "w")
    proto = helper.make_model(helper.make_graph([], "g", [], [], [weight]))
    if data is None:
        onnx.save(proto, path)
    else:
        (path.parent / data).parent.mkdir(exist_ok=True)
        onnx.save(proto, path, save_as_external_data=True, location=data, size_threshold=0)
    return path


def value(path: Path) -> float:
    return float(numpy_helper.to_array(onnx.load(path).graph.initializer[0])[0, 0])


def files(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_an_onnx_file_is_one_with_its_data(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", data="w.data")
    assert [file.name for file in model_files(path)] == ["m.onnx", "w.data"]
    assert model_bytes(path) == path.stat().st_size + 8192


def test_a_folder_is_all_its_files_and_a_prefix_all_that_begin_with_it(tmp_path: Path) -> None:
    (tmp_path / "m" / "variables").mkdir(parents=True)
    (tmp_path / "m" / "saved_model.pb").write_bytes(b"123")
    (tmp_path / "m" / "variables" / "v[1].index").write_bytes(b"4567")
    assert model_bytes(tmp_path / "m") == 7
    assert model_bytes(tmp_path / "m" / "variables" / "v[1]") == 4
    assert model_files(tmp_path / "none") == ()


def test_in_a_linked_folder_onnx_still_reads_the_data(tmp_path: Path) -> None:
    path = model(tmp_path / "a" / "m.onnx", 5, data="m.onnx.data")
    (tmp_path / "a" / "facts.json").write_text("{}")
    link_files(tmp_path / "a", tmp_path / "b")
    assert value(tmp_path / "b" / "m.onnx") == value(path) == 5
    assert (tmp_path / "b" / "facts.json").samefile(tmp_path / "a" / "facts.json")


def test_data_are_copied_to_where_the_copy_looks_for_them(tmp_path: Path) -> None:
    path = model(tmp_path / "a" / "m.onnx", data="sub/w")
    (tmp_path / "b").mkdir()
    assert copy_data(path, tmp_path / "b") == (tmp_path / "b" / "sub" / "w",)


def test_data_that_are_gone_are_named(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", data="w.data")
    (tmp_path / "w.data").unlink()
    with pytest.raises(ConversionError, match=r"lost its external data[\s\S]*w\.data"):
        copy_data(path, tmp_path)


@pytest.mark.parametrize("before", [None, "m.onnx.data"])
@pytest.mark.parametrize("after", [None, "m.onnx.data"])
def test_a_model_is_replaced_as_a_whole(
    before: str | None, after: str | None, tmp_path: Path
) -> None:
    target = model(tmp_path / "out" / "m.onnx", 1, data=before)
    place_onnx(model(tmp_path / "new" / "m.onnx", 2, data=after), target)
    assert files(tmp_path / "out") == {"m.onnx", *([after] if after else [])}
    assert value(target) == 2
    assert files(tmp_path / "new") == set()


def test_data_under_other_names_are_left_to_their_owner(tmp_path: Path) -> None:
    target = model(tmp_path / "out" / "m.onnx", data="shared.bin")
    place_onnx(model(tmp_path / "new" / "m.onnx"), target)
    assert files(tmp_path / "out") == {"m.onnx", "shared.bin"}


def test_a_failure_in_between_leaves_no_mixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = model(tmp_path / "out" / "m.onnx", 1, data="m.onnx.data")
    new = model(tmp_path / "new" / "m.onnx", 2, data="m.onnx.data")
    replace = Path.replace

    def fails(source: Path, other: Path) -> Path:
        if source == new:
            raise OSError("killed")
        return replace(source, other)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="killed"):
        place_onnx(new, target)
    assert not target.exists()


def test_a_former_file_that_is_damaged_is_replaced_too(tmp_path: Path) -> None:
    target = tmp_path / "m.onnx"
    target.write_bytes(b"\x08no model")
    place_onnx(model(tmp_path / "new" / "m.onnx", 2), target)
    assert value(target) == 2
