"""Nodes read off the bytes of ONNX files, against the library that defines them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from profiled_graphs import loop_model, saved, two_branches

from mlflow_tfconv.steps.benchmark.worker.onnx_nodes import NodeGraph, onnx_nodes


def test_nodes_and_constants_are_those_that_onnx_reads(tmp_path: Path) -> None:
    path = two_branches(tmp_path / "m.onnx")
    graph, found = onnx.load(path).graph, onnx_nodes(path)
    assert [(n.name, n.operator, n.inputs, n.outputs) for n in found.nodes] == [
        (n.name, n.op_type, tuple(n.input), tuple(n.output)) for n in graph.node
    ]
    assert found.constants == {tensor.name for tensor in graph.initializer}
    assert found.outputs == ("y",)


def test_a_loop_takes_what_its_body_takes_from_around_it(tmp_path: Path) -> None:
    loop = onnx_nodes(loop_model(tmp_path / "m.onnx")).nodes[0]
    assert loop.inputs == ("rounds", "", "x", "w")


def test_weights_in_a_file_beside_it_are_not_needed(tmp_path: Path) -> None:
    path = two_branches(tmp_path / "m.onnx")
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w", size_threshold=0)
    (tmp_path / "w").unlink()
    assert onnx_nodes(path).constants == {"w", "v"}


def test_plain_values_and_back(tmp_path: Path) -> None:
    graph = onnx_nodes(loop_model(tmp_path / "m.onnx"))
    assert NodeGraph.from_plain(graph.to_plain()) == graph


def test_unnamed_nodes_and_names_of_any_letters(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["é"]), helper.make_node("Relu", ["é"], ["y"])]
    found = onnx_nodes(saved(nodes, tmp_path / "m.onnx", weights={}))
    assert [(node.name, node.outputs) for node in found.nodes] == [("", ("é",)), ("", ("y",))]


@pytest.mark.parametrize("left", [0, 1, 7, 150])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, left: int) -> None:
    whole = two_branches(tmp_path / "m.onnx").read_bytes()
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(whole[:left])
    with pytest.raises(ValueError, match=r"cut\.onnx|message"):
        onnx_nodes(cut)


def test_what_is_no_protobuf_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.onnx"
    file.write_bytes(np.random.default_rng(0).bytes(500))
    with pytest.raises(ValueError, match=r"byte|graph"):
        onnx_nodes(file)
