"""Memory of the host by phases: the kernel's peak, the curve, what a model's load and runs took."""

from __future__ import annotations

import mmap
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.benchmark.memory_options import MemoryOptions
from mlflow_tfconv.steps.benchmark.worker.host_memory import (
    children_peak_bytes,
    host_memory,
    host_peak_bytes,
    host_resident_bytes,
    peak_set_back,
)
from mlflow_tfconv.steps.benchmark.worker.memory_sampler import CURVE_COLUMNS, MemorySampler
from mlflow_tfconv.steps.benchmark.worker.memory_watch import MemoryWatch

Wait = Callable[[MemorySampler], None]
_BLOCK = 64_000_000
_LUMP = 4_000_000  # other allocations of this process, and the kernel's lumps


def take_and_give_back(size: int = _BLOCK) -> None:
    """Touches every page of a block of its own, which the allocator can't keep for later."""
    with mmap.mmap(-1, size) as block:
        block[:: mmap.PAGESIZE] = b"1" * -(-size // mmap.PAGESIZE)


def test_the_peak_of_the_host_stays_when_memory_is_given_back() -> None:
    before = host_resident_bytes()
    take_and_give_back()
    peak, resident = host_peak_bytes(), host_resident_bytes()
    assert before is not None
    assert peak is not None
    assert resident is not None
    assert peak >= before + _BLOCK - _LUMP
    assert resident < peak


def test_a_peak_that_is_set_back_begins_at_what_is_resident_now() -> None:
    take_and_give_back()
    if not peak_set_back():
        pytest.skip("this container does not let a process set its peak back")
    memory = host_memory()
    assert memory is not None
    assert memory.peak - memory.resident < _LUMP


def test_resident_memory_is_anonymous_memory_and_pages_of_files() -> None:
    memory = host_memory()
    assert memory is not None
    assert memory.anonymous > 0
    assert memory.file_mapped > 0
    assert memory.anonymous + memory.file_mapped <= memory.resident + _LUMP


def test_a_process_that_is_not_there_has_no_memory() -> None:
    assert host_memory(2**22 + 1) is None


def test_each_phase_has_a_peak_of_its_own(tmp_path: Path) -> None:
    watch = MemoryWatch()
    watch.begin()
    for name, size in (("load", 2 * _BLOCK), ("b1", _BLOCK // 4), ("b8", _BLOCK)):
        with watch.phase(name):
            take_and_give_back(size)
    first, second, third = (phase.host_peak for phase in watch.phases)
    assert first is not None
    assert second is not None
    assert third is not None
    assert abs((first - third) - _BLOCK) < _LUMP
    assert abs((third - second) - 0.75 * _BLOCK) < _LUMP
    assert watch.told(tmp_path)["host"]["peak_bytes"] == first


def test_where_the_peak_cannot_be_set_back_a_lower_one_is_sampled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wait_for_a_look: Wait
) -> None:
    here = "mlflow_tfconv.steps.benchmark.worker.memory_watch.peak_set_back"
    take_and_give_back(4 * _BLOCK)  # an older peak is in the way
    monkeypatch.setattr(here, lambda: False)
    watch = MemoryWatch(interval_s=0.001)
    watch.begin()
    with watch.phase("b1"):
        block = np.ones(_BLOCK, np.uint8)
        wait_for_a_look(watch._sampler)
    del block
    peak, before = watch.phases[0].host_peak, watch.baseline
    assert peak is not None
    assert before is not None
    assert abs(peak - before.resident - _BLOCK) < _LUMP
    assert watch.told(tmp_path)["host"]["method"] == "VmHWM and sampled"


def test_the_curve_is_written_with_its_highest_point_beside_the_true_peak(
    tmp_path: Path, wait_for_a_look: Wait
) -> None:
    watch = MemoryWatch(interval_s=0.001)
    watch.begin()
    with watch.phase("load"):
        block = np.ones(_BLOCK, np.uint8)
        wait_for_a_look(watch._sampler)
    del block
    told = watch.told(tmp_path)["curve"]
    curve = np.load(tmp_path / told["file"])
    assert curve.shape == (told["points"], len(CURVE_COLUMNS))
    assert (np.diff(curve[:, 0]) > 0).all()
    assert np.isnan(curve[:, 3]).all()  # no GPU: unknown, not 0
    assert told["missed_bytes"] < _LUMP


def test_a_long_curve_is_thinned_out_and_keeps_its_highest_point(
    monkeypatch: pytest.MonkeyPatch, wait_for_a_look: Wait
) -> None:
    monkeypatch.setattr("mlflow_tfconv.steps.benchmark.worker.memory_sampler._MOST_POINTS", 20)
    with MemorySampler(interval_s=0.0005) as sampler:
        block = np.ones(_BLOCK, np.uint8)
        wait_for_a_look(sampler)
        del block
        for _ in range(30):
            wait_for_a_look(sampler)
    highest = sampler.highest_bytes()
    assert len(sampler) <= 20
    assert sampler.interval_s > 0.0005
    assert highest is not None
    assert highest > sampler.curve()[-1, 1] * 1e6 + _BLOCK - _LUMP


def test_processes_that_a_model_starts_are_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        deadline = time.monotonic() + 10
        while not (peak := children_peak_bytes() or 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        child.communicate(b"\n")
    assert peak > 0


@pytest.mark.parametrize("wrong", [{"budget_mb": 0}, {"budget_mb": -1.0}, {"interval_ms": 0}])
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"memory.{next(iter(wrong))}"):
        MemoryOptions(**wrong)  # type: ignore[arg-type]
