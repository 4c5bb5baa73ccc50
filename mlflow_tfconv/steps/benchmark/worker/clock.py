"""The clock that queries arrive by."""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Protocol

_PR_SET_TIMERSLACK = 29
_OVERSLEPT_NS = 150_000  # Linux wakes a sleeper up to about 0.1 ms late


class Clock(Protocol):
    """Tells and awaits the time."""

    def now_ns(self) -> int:
        """Nanoseconds since some moment."""

    def wait_until_ns(self, moment_ns: int) -> None:
        """Returns when that moment has come, at once when it has passed."""


class RealClock:
    """`time.perf_counter_ns`, awaited to a few microseconds."""

    def now_ns(self) -> int:
        """Nanoseconds since some moment."""
        return time.perf_counter_ns()

    def wait_until_ns(self, moment_ns: int) -> None:
        """Sleeps, and looks at the clock again and again for the last 0.15 ms."""
        while (left := moment_ns - time.perf_counter_ns()) > 0:
            # A sleep of 0 lets other threads of Python have their turn.
            time.sleep(max(0, left - _OVERSLEPT_NS) / 1e9)


def wake_sharply() -> None:
    """Has Linux wake this thread as soon as its time has come, not up to 0.05 ms later."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)
