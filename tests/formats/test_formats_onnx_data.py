"""Which files an ONNX file keeps its weights in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.formats.onnx_data import MESSAGES, onnx_data


def outside(location: str, name: str = "w") -> onnx.TensorProto:
    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[2])
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="offset", value="0")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    return tensor


def written(folder: Path, *tensors: onnx.TensorProto, nodes: Any = (), **more: Any) -> Path:
    path = folder / "model.onnx"
    graph = helper.make_graph(list(nodes), "g", [], [], list(tensors))
    path.write_bytes(helper.make_model(graph, **more).SerializeToString())
    return path


def names(path: Path) -> list[str]:
    return [file.relative_to(path.parent).as_posix() for file in onnx_data(path)]


def test_every_way_to_a_tensor_is_known() -> None:
    known = {*MESSAGES, "TensorProto"}
    for message, fields in MESSAGES.items():
        descriptor = getattr(onnx, message).DESCRIPTOR
        found = {
            field.number: field.message_type.name
            for field in descriptor.fields
            if field.message_type is not None and field.message_type.name in known
        }
        assert fields == found, message


def test_the_format_s_numbers_of_a_tensor_s_place_are_as_they_were() -> None:
    numbers = {name: f.number for name, f in onnx.TensorProto.DESCRIPTOR.fields_by_name.items()}
    assert (numbers["external_data"], numbers["data_location"]) == (13, 14)
    assert onnx.TensorProto.EXTERNAL == 1


def test_several_files_and_folders_are_told_once_each(tmp_path: Path) -> None:
    tensors = [outside("b.bin", "w"), outside("sub/a.bin", "v"), outside("b.bin", "u")]
    assert names(written(tmp_path, *tensors)) == ["b.bin", "sub/a.bin"]


def test_so_are_those_of_constants_branches_functions_and_sparse_tensors(tmp_path: Path) -> None:
    constant = helper.make_node("Constant", [], ["c"], value=outside("constant"))
    body = helper.make_graph([constant], "body", [], [], [outside("body")])
    branch = helper.make_node("If", ["q"], ["y"], then_branch=body, else_branch=body)
    function = helper.make_function(
        "d",
        "f",
        [],
        ["c"],
        [helper.make_node("Constant", [], ["c"], value=outside("function"))],
        [],
    )
    path = written(tmp_path, nodes=[branch], functions=[function])
    model = onnx.load(path, load_external_data=False)
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(outside("sparse"))
    path.write_bytes(model.SerializeToString())
    assert names(path) == ["body", "constant", "function", "sparse"]


def test_a_tensor_that_is_in_the_file_is_nowhere_else(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.ones(3, np.float32), "w")
    tensor.external_data.add(key="location", value="forgotten.bin")
    assert names(written(tmp_path, tensor)) == []


@pytest.mark.parametrize("place", ["../w", "a/../../w", "/etc/passwd", "a/../w", ".", ""])
def test_what_leaves_the_folder_is_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"outside of its folder.*refused") as caught:
        onnx_data(written(tmp_path, outside(place)))
    assert repr(place) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"\x08", b"a" * 1000, bytes(1000), b"\x08\x07\x3a\xff\xff\x01", b"\xff" * 99]
)
def test_what_is_no_onnx_file_has_no_data(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert onnx_data(tmp_path / "file") == ()


def test_a_file_that_is_cut_off_anywhere_has_none_or_some_but_no_failure(tmp_path: Path) -> None:
    whole = written(tmp_path, outside("a.bin")).read_bytes()
    for size in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:size])
        assert names(tmp_path / "cut") in ([], ["a.bin"])
