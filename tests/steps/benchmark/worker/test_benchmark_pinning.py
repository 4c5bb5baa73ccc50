"""Pinning: what is asked of ONNX Runtime, and what the kernel says came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.errors import BenchmarkError
from mlflow_tfconv.steps.benchmark.worker.pinning import (
    AFFINITIES,
    Pinning,
    affinities,
    pinned_process,
    thread_placement,
)

_PINNED = """
import json, os, sys, time
from pathlib import Path
import onnxruntime
from mlflow_tfconv.device import Device
from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.steps.benchmark.worker.pinning import *
pinning = pinned_process(2)
options = pinning.session_options({})
runtime = open_runtime(Path(sys.argv[1]), "onnx", device=Device(), session_options=options)
pin_caller(pinning.processors[:1])
spread, deadline = set(os.sched_getaffinity(0)), time.monotonic() + 30
names, placement = set(map(str, pinning.processors)), thread_placement(pinned=True)
while not names <= set(placement["threads"]) and time.monotonic() < deadline:
    time.sleep(0.01)  # its threads tie themselves when they begin to run
    placement = thread_placement(pinned=True)
print(json.dumps([pinning.processors, placement, sorted(spread)]))
"""


def test_onnx_runtime_counts_processors_from_1() -> None:
    assert affinities([0, 3]) == "1;4"


def test_all_threads_but_the_callers_are_named() -> None:
    options = Pinning(processors=(4, 5, 6)).session_options({"session.x": "1"})
    assert options == {"session.x": "1", "intra_op_num_threads": 3, AFFINITIES: "6;7"}


def test_more_threads_than_processors_share_them() -> None:
    options = Pinning(processors=(0, 1)).session_options({"intra_op_num_threads": 4})
    assert options[AFFINITIES] == "2;1;2"


def test_one_thread_needs_no_affinities() -> None:
    options = Pinning(processors=(3,)).session_options({})
    assert options == {"intra_op_num_threads": 1}


def test_a_variants_own_affinities_stay() -> None:
    own = {AFFINITIES: "1", "intra_op_num_threads": 2}
    assert Pinning(processors=(2, 3)).session_options(own) == own


def test_the_kernel_tells_where_threads_are() -> None:
    found = thread_placement(pinned=False)
    assert found["pinned"] is False
    assert set(os.sched_getaffinity(0)) <= set(found["processors"])
    assert sum(found["threads"].values()) >= 1


def test_where_threads_can_not_be_tied_that_is_an_error_and_no_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: Any) -> None:
        raise PermissionError("not in this sandbox")

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    with pytest.raises(BenchmarkError, match="can't be pinned") as error:
        pinned_process(1)
    assert "pin_threads" in (error.value.fix or "")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_threads_of_a_session_are_where_they_were_tied(make_model: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PINNED, str(make_model())],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[4],
    )
    processors, placement, caller = json.loads(done.stdout)
    assert len(processors) == 2
    assert caller == processors[:1]
    assert placement["pinned"]
    assert {str(processor) for processor in processors} <= set(placement["threads"])
