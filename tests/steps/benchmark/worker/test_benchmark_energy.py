"""Energy by NVML's counter, else by its power; and never a number that nobody measured."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import fake_nvml
import pytest
from fake_nvml import FakeNvml

from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import DeviceError
from mlflow_tfconv.steps.benchmark.driver.gpu_stage import energy_findings, state_findings
from mlflow_tfconv.steps.benchmark.worker import power
from mlflow_tfconv.steps.benchmark.worker.energy import energy
from mlflow_tfconv.steps.benchmark.worker.gpu_state import gpu_of_turn
from mlflow_tfconv.steps.benchmark.worker.power import COUNTER, SAMPLES, power_meter

Call = Callable[[], None]
NO_COUNTER = "nvmlDeviceGetTotalEnergyConsumption"


@pytest.fixture
def clock(clock_of: Callable[..., Any]) -> Any:
    """Only calls take time; the counter goes by it."""
    return clock_of(power, fake_nvml, sys.modules[energy.__module__])


@pytest.fixture
def a_call(clock: Any) -> Callable[[], None]:
    """Takes 2 ms."""
    return lambda: clock.sleep(0.002)


def test_the_counter_of_energy_is_read_while_the_calls_go_on(a_call: Call) -> None:
    nvml = FakeNvml()
    spent = power_meter(0, nvml).spent(a_call, 0.05)
    assert spent.method == COUNTER
    assert spent.watts == pytest.approx(100, rel=0.01)
    assert spent.calls > 1
    assert spent.seconds >= 0.05


def test_without_a_counter_the_power_is_added_up(
    a_call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power, "_AVERAGED_S", 0.01)
    spent = power_meter(0, FakeNvml(missing=(NO_COUNTER,))).spent(a_call, 0.05)
    assert spent.method == SAMPLES
    assert spent.joules == pytest.approx(100 * spent.seconds)


def test_a_counter_that_stands_still_is_none(a_call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "_AVERAGED_S", 0.01)
    monkeypatch.setattr(power, "_TICK_LIMIT_S", 0.02)
    nvml = FakeNvml()
    monkeypatch.setattr(nvml, NO_COUNTER, lambda handle: 7)
    assert power_meter(0, nvml).spent(a_call, 0.02).method == SAMPLES


def test_power_that_rises_is_integrated(
    a_call: Call, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power, "_AVERAGED_S", 0.0)
    nvml = FakeNvml(missing=(NO_COUNTER,))
    nvml.watts = lambda: clock.now * 1000
    spent = power_meter(0, nvml).spent(a_call, 0.05)
    assert spent.watts == pytest.approx((2 + clock.now * 1000) / 2)  # after a call to begin with


def test_a_gpu_that_is_lost_in_the_middle_is_an_error() -> None:
    nvml, calls = FakeNvml(), itertools.count()

    def last_words() -> None:
        nvml.lost = next(calls) > 2

    with pytest.raises(DeviceError, match="can't be measured") as error:
        power_meter(0, nvml).spent(last_words, 0.5)
    assert "GPU is lost" in str(error.value)


def test_neither_counter_nor_power_is_an_error(a_call: Call) -> None:
    nvml = FakeNvml(missing=(NO_COUNTER, "nvmlDeviceGetPowerUsage"))
    with pytest.raises(DeviceError, match="can't be measured") as error:
        power_meter(0, nvml).spent(a_call, 0.01)
    assert "Not Supported" in str(error.value)


def test_a_part_of_a_gpu_has_no_energy_of_its_own() -> None:
    with pytest.raises(DeviceError, match="MIG"):
        power_meter(0, FakeNvml(mig=True))


def test_a_gpu_that_knows_nothing_of_mig_is_whole() -> None:
    assert power_meter(0, FakeNvml(missing=("nvmlDeviceGetMigMode",)))


def test_without_a_driver_there_is_no_meter() -> None:
    with pytest.raises(DeviceError, match="can't be measured"):
        power_meter(0, FakeNvml(None))


def test_joules_of_1000_examples_are_metrics_and_company_is_a_note(tmp_path: object) -> None:
    sizes = [{"batch_size": 1, "j_per_1000": 2.5}, {"batch_size": 32, "j_per_1000": 0.5}]
    found = energy_findings({"sizes": sizes, "others": 1}, tmp_path)  # type: ignore[arg-type]
    assert found.metrics == {"energy/j_per_1000": 2.5, "energy/j_per_1000_b32": 0.5}
    assert found.notes == ("shared the GPU with 1 other process, whose energy is counted too",)


def test_a_gpu_that_tells_nothing_is_a_note(tmp_path: object) -> None:
    found = state_findings({"problem": "GPU is lost"}, tmp_path)  # type: ignore[arg-type]
    assert found.notes == ("ran on a GPU whose state NVML does not tell: GPU is lost",)


def test_each_batch_size_is_measured_beside_the_power_at_rest(
    a_call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(pids=(7,)))
    runtime = SimpleNamespace(call_for=lambda batch: a_call)
    opened: Any = SimpleNamespace(
        device=Device.parse("cuda:0"),
        runtime=runtime,
        batch_sizes=[1, 4],
        examples=lambda size: [{}],
    )
    told = energy(opened, seconds=0.02, rest_s=0.01)
    assert (told["method"], told["others"]) == (COUNTER, 1)
    assert told["idle_w"] == pytest.approx(100, rel=0.01)
    one, four = told["sizes"]
    assert one["j_per_1000"] > four["j_per_1000"]
    assert one["j_per_1000_above_idle"] == pytest.approx(0, abs=0.1 * one["j_per_1000"])
    assert gpu_of_turn(opened)["gpu"]["throttle_reasons"] == ["idle"]


@pytest.mark.gpu
def test_a_real_gpu_tells_its_energy() -> None:
    pytest.importorskip("pynvml")
    spent = power_meter(0).spent(lambda: time.sleep(0.002), 0.5)
    assert 10 < spent.watts < 2000
