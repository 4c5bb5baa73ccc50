"""Shares of nodes and of time on each device, from what a profiler saw at work."""

from __future__ import annotations

from typing import Any

import pytest

from mlflow_tfconv.device import Device
from mlflow_tfconv.steps.benchmark.driver.placement_findings import placement_findings
from mlflow_tfconv.steps.benchmark.worker.placement import Assignment, bare_name, placement

CPU, CUDA, TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))
GPU = Device.parse("cuda:0")


def row(operator: str, place: str, ms: float, shapes: str = "float[1,64]") -> dict[str, Any]:
    named = {"node": f"{operator}_{place[:3]}", "operator": operator, "place": place}
    return {**named, "shapes": shapes, "calls": 1.0, "ms": ms}


PARTLY = [
    row("Conv", CUDA, 3.0),
    row("Relu", CUDA, 1.0),
    row("MemcpyToHost", CUDA, 0.5),
    row("NonMaxSuppression", CPU, 5.0),
    row("MemcpyFromHost", CUDA, 0.5),
]


def test_a_model_that_is_wholly_on_the_gpu_has_all_shares_and_no_note() -> None:
    told = placement(PARTLY[:2], Assignment(device=GPU))
    assert (told["node_share"], told["time_share"], told["copies"]["nodes"]) == (1, 1, 0)
    assert placement_findings(told).notes == ()


def test_copies_are_no_nodes_of_the_model_but_take_time() -> None:
    told = placement(PARTLY, Assignment(device=GPU))
    assert told["node_share"] == pytest.approx(2 / 3)
    assert told["time_share"] == pytest.approx(4 / 10)
    assert told["copies"] == {
        "nodes": 2,
        "calls": 2.0,
        "ms": 1.0,
        "operators": {"MemcpyToHost": 1, "MemcpyFromHost": 1},
    }


def test_a_partly_placed_model_is_reported_with_what_fell_to_the_cpu() -> None:
    found = placement_findings(placement(PARTLY, Assignment(device=GPU)))
    assert found.notes == (
        "is only partly on cuda:0: 67% of its nodes and 40% of its time are there, "
        "not 1 NonMaxSuppression",
        "copies values between devices 2 times in a run",
    )
    assert found.metrics["placement/copies"] == 2


def test_computing_shapes_on_the_cpu_is_no_fall_back() -> None:
    shapes = [row("Concat", CPU, 0.1, "int64[2] int64[1]"), row("Gather", CPU, 0.1, "int64[3]")]
    told = placement([*PARTLY[:2], *shapes], Assignment(device=GPU))
    assert (told["shape_nodes"], told["node_share"], told["elsewhere"]) == (2, 1, {})


@pytest.mark.parametrize("shapes", ["int64[101]", "float[1,10]", "int64[2] float16[1]", ""])
def test_a_node_that_computes_more_than_shapes_is_one(shapes: str) -> None:
    told = placement([*PARTLY[:2], row("TopK", CPU, 0.1, shapes)], Assignment(device=GPU))
    assert told["elsewhere"] == {"TopK": 1}


def test_what_onnxruntime_names_itself_is_left_on_the_cpu_on_purpose() -> None:
    nodes = [*PARTLY[:2], row("Floor", CPU, 0.1, "float[2]")]
    told = placement(nodes, Assignment(device=GPU, left_on_cpu=frozenset({"Floor_CPU"})))
    assert (told["shape_nodes"], told["elsewhere"]) == (1, {})


def test_nodes_that_were_compiled_into_one_count_as_many() -> None:
    nodes = [row("TRTKernel_graph_0", TENSORRT, 8.0), row("Einsum", CUDA, 2.0)]
    assignment = Assignment(device=Device.parse("tensorrt:0"), counts={TENSORRT: 9})
    told = placement(nodes, assignment)
    assert (told["node_share"], told["time_share"]) == (0.9, 0.8)
    assert told["elsewhere"] == {"Einsum": 1}


def test_a_launch_by_the_host_counts_for_the_gpu_that_tensorflow_names() -> None:
    nodes = [row("Reshape", "/device:CPU:0", 1.0), row("MatMul", "/device:GPU:0", 3.0)]
    nodes[0]["node"] = "StatefulPartitionedCall/model/Reshape"
    places = {"model/Reshape": "/device:GPU:0"}
    told = placement(nodes, Assignment(device=GPU, places=places, copies=1))
    assert (told["node_share"], told["time_share"], told["copies"]["nodes"]) == (1, 1, 1)


def test_a_name_is_bare_without_the_calls_around_it() -> None:
    calls = "StatefulPartitionedCall/StatefulPartitionedCall_1/PartitionedCall/dense/MatMul"
    assert bare_name(calls) == "dense/MatMul"


def test_on_the_cpu_there_is_nowhere_else() -> None:
    told = placement([row("Gather", CPU, 1.0, "int64[3]")], Assignment(device=Device()))
    assert (told["node_share"], told["shape_nodes"]) == (1, 0)


def test_without_a_profile_nothing_is_told() -> None:
    assert placement_findings({}).metrics == {}
