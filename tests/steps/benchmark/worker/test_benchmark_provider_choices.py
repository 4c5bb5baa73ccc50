"""ONNX Runtime's own words on where it puts nodes."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from mlflow_tfconv.steps.benchmark.worker.provider_choices import (
    compiled_nodes,
    names_left_on_cpu,
)

SAID = (
    "2026-01-01 [I:onnxruntime:, fallback_cpu_capability.cc:140 GetCpuPreferredNodes] ORT "
    "optimization- Force fallback to CPU execution for node: shape/Concat because the CPU "
    "execution path is deemed faster\n"
    "2026-01-01 [I:onnxruntime:, x.cc:1 Y] something else\n"
    "2026-01-01 [E:onnxruntime:, x.cc:1 Y] a real problem\n"
)


def test_nodes_that_are_left_on_the_cpu_are_read_from_the_log_and_errors_stay(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with names_left_on_cpu() as names:
        os.write(2, SAID.encode())
    assert names == {"shape/Concat"}
    error = capfd.readouterr().err
    assert "a real problem" in error
    assert "something else" not in error


def test_an_error_within_leaves_standard_error_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), names_left_on_cpu():
        raise RuntimeError
    os.write(2, b"still there")
    assert "still there" in capfd.readouterr().err


def test_a_provider_that_compiles_many_nodes_into_one_is_counted_by_them() -> None:
    def part(name: str, count: int) -> SimpleNamespace:
        return SimpleNamespace(ep_name=name, get_nodes=lambda: [None] * count)

    parts = [part("Trt", 5), part("Trt", 1), part("Cuda", 1), part("Cuda", 1)]
    session = SimpleNamespace(get_provider_graph_assignment_info=lambda: parts)
    assert compiled_nodes(session) == {"Trt": 6}
    assert compiled_nodes(SimpleNamespace()) == {}  # an older ONNX Runtime
