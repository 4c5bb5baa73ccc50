"""What happens on the machine while something is measured: other load, throttling, clocks.

Reads a few small files of Linux's /proc and /sys before and after, never meanwhile. What a system
does not tell is None. Needs the standard library only.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

_TICKS_A_SECOND = 100  # /proc counts in USER_HZ, which is 100 everywhere
_MOST_PROCESSORS = 64  # whose clocks are looked at
_CGROUP_FILES = ("sys/fs/cgroup/cpu.stat", "sys/fs/cgroup/cpu/cpu.stat")  # version 2, version 1


class MachineWatch:
    """Watches from when it is made.

    Args:
        root: Where /proc and /sys are.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._wall, self._own = time.perf_counter(), time.process_time()
        self._busy = _busy_and_stolen_s(root)
        self._throttled = _throttled_s(root)
        self._heat = _thermal_throttles(root)
        self._faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt

    def so_far(self) -> dict[str, Any]:
        """What happened since then, under the names of `statistics/likely_reasons.py`."""
        clock = _highest(self._root, "scaling_cur_freq")  # at once: an idle processor slows down
        mhz = _clock_of_cpuinfo(self._root) if clock is None else clock
        wall, own = time.perf_counter() - self._wall, time.process_time() - self._own
        before, after = self._busy, _busy_and_stolen_s(self._root)
        known = before is not None and after is not None and wall > 0
        busy, stolen = (
            (after[0] - before[0] - own, after[1] - before[1])
            if before is not None and after is not None
            else (0.0, 0.0)
        )
        return {
            "busy_others": max(0.0, busy / wall) if known else None,
            "stolen": max(0.0, stolen / wall) if known else None,
            "throttled_s": _difference(_throttled_s(self._root), self._throttled),
            "thermal_throttles": _difference(_thermal_throttles(self._root), self._heat),
            "mhz": mhz,
            "limit_mhz": _highest(self._root, "cpuinfo_max_freq"),
            "major_faults": resource.getrusage(resource.RUSAGE_SELF).ru_majflt - self._faults,
        }


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _busy_and_stolen_s(root: Path) -> tuple[float, float] | None:
    """Seconds that the machine's processors worked, and that a hypervisor kept them from it."""
    try:
        with (root / "proc/stat").open(encoding="ascii") as file:
            ticks = [int(number) for number in file.readline().split()[1:9]]
        idle, stolen = ticks[3] + ticks[4], ticks[7]  # idle is also waiting for a disk
    except (OSError, ValueError, IndexError):
        return None
    return (sum(ticks) - idle - stolen) / _TICKS_A_SECOND, stolen / _TICKS_A_SECOND


def _throttled_s(root: Path) -> float | None:
    """Seconds for which the CPU quota of the container has stopped what runs in it."""
    for name in _CGROUP_FILES:
        for line in _lines(root / name):
            key, _, value = line.partition(" ")
            with suppress(ValueError):
                if key == "throttled_usec":
                    return int(value) / 1e6
                if key == "throttled_time":
                    return int(value) / 1e9
    return None


def _thermal_throttles(root: Path) -> float | None:
    """How often the processors that this process may use have slowed down because of heat."""
    return _sum(_numbers(root, "thermal_throttle/core_throttle_count"))


def _highest(root: Path, name: str) -> float | None:
    """The highest clock in MHz that a file of the processors tells (in kHz)."""
    return max((value / 1000 for value in _numbers(root, f"cpufreq/{name}")), default=None)


def _clock_of_cpuinfo(root: Path) -> float | None:
    lines = [line for line in _lines(root / "proc/cpuinfo") if line.startswith("cpu MHz")]
    found = []
    for line in lines:
        with suppress(ValueError):
            found.append(float(line.partition(":")[2]))
    return max(found, default=None)


def _numbers(root: Path, name: str) -> list[float]:
    found = []
    for number in _processors():
        with suppress(OSError, ValueError):
            found.append(float((root / f"sys/devices/system/cpu/cpu{number}" / name).read_text()))
    return found


def _processors() -> list[int]:
    """Those that this process may use."""
    usable: Iterable[int] = (
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    return sorted(usable)[:_MOST_PROCESSORS]


def _sum(values: list[float]) -> float | None:
    return sum(values) if values else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
