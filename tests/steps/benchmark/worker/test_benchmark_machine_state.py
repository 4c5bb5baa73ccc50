"""What the kernel's files say of the machine meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_tfconv.steps.benchmark.worker import machine_state
from mlflow_tfconv.steps.benchmark.worker.machine_state import MachineWatch


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with one processor, made of files."""
    monkeypatch.setattr(machine_state, "_processors", lambda: [0])
    cpu = tmp_path / "sys/devices/system/cpu/cpu0"
    for folder in (cpu / "cpufreq", cpu / "thermal_throttle", tmp_path / "sys/fs/cgroup"):
        folder.mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    write(tmp_path, busy=100, stolen=0, heat=1, throttled=5)
    (cpu / "cpufreq/scaling_cur_freq").write_text("2100000\n")
    (cpu / "cpufreq/cpuinfo_max_freq").write_text("3400000\n")
    return tmp_path


def write(root: Path, *, busy: int, stolen: int, heat: int, throttled: int) -> None:
    stat = f"cpu  {busy} 0 0 500 0 0 0 {stolen} 0 0\n"
    (root / "proc/stat").write_text(stat)
    cpu = root / "sys/devices/system/cpu/cpu0"
    (cpu / "thermal_throttle/core_throttle_count").write_text(str(heat))
    (root / "sys/fs/cgroup/cpu.stat").write_text(f"nr_periods 9\nthrottled_usec {throttled}\n")


def test_what_changed_since_is_told(root: Path) -> None:
    watch = MachineWatch(root)
    write(root, busy=200_000, stolen=100_000, heat=3, throttled=1_500_005)
    told = watch.so_far()
    assert told["busy_others"] > 1 < told["stolen"]
    assert (told["thermal_throttles"], told["throttled_s"]) == (2, 1.5)
    assert (told["mhz"], told["limit_mhz"]) == (2100.0, 3400.0)
    assert told["major_faults"] >= 0


def test_a_quiet_machine_shows_no_load(root: Path) -> None:
    told = MachineWatch(root).so_far()
    assert (told["busy_others"], told["stolen"], told["throttled_s"]) == (0.0, 0.0, 0.0)


def test_the_clock_of_cpuinfo_stands_in(root: Path) -> None:
    (root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq").unlink()
    (root / "proc/cpuinfo").write_text("cpu MHz\t\t: 2596.1\ncpu MHz : broken\n")
    assert MachineWatch(root).so_far()["mhz"] == 2596.1


def test_what_a_system_does_not_tell_is_none(tmp_path: Path) -> None:
    told = MachineWatch(tmp_path).so_far()
    del told["major_faults"]
    assert set(told.values()) == {None}


def test_files_that_are_nonsense_are_none(root: Path) -> None:
    (root / "proc/stat").write_text("cpu one two\n")
    (root / "sys/fs/cgroup/cpu.stat").write_text("throttled_usec many\n")
    told = MachineWatch(root).so_far()
    assert (told["busy_others"], told["throttled_s"]) == (None, None)
