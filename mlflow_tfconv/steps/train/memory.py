"""How much memory this process takes while it trains, on the host and on the GPUs."""

from __future__ import annotations

import re
import threading
import weakref
from pathlib import Path

import tensorflow as tf

_SECONDS_BETWEEN_LOOKS = 0.05
_MB = 1e6


class HostMemory:
    """The resident memory of this process, looked at by a thread some times a second.

    Linux could reset its own record of the peak, but that record is what whoever started this
    process reads at its end. Where it has grown since the last look, it is exact; else the looks
    tell.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._peak = self._record = 0

    def start(self) -> None:
        """Begins to look."""
        self._peak, self._record = resident_bytes() or 0, _status_bytes("VmHWM") or 0
        self._stop.clear()
        # A training that fails does not stop it: it ends when nobody else knows of this any more.
        self._thread = threading.Thread(
            target=_look, args=(weakref.ref(self), self._stop), name="tfconv-memory", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def take_peak_mb(self) -> float | None:
        """The most since the last call, in MB; None where there is no /proc."""
        now, record = resident_bytes(), _status_bytes("VmHWM")
        if now is None or record is None:
            return None
        with self._lock:
            peak = record if record > self._record else max(self._peak, now)
            self._peak, self._record = now, record
        return peak / _MB

    def look(self) -> None:
        """Takes a reading."""
        now = resident_bytes() or 0
        with self._lock:
            self._peak = max(self._peak, now)


def _look(memory: weakref.ref[HostMemory], stop: threading.Event) -> None:
    while not stop.wait(_SECONDS_BETWEEN_LOOKS):
        there = memory()
        if there is None:
            return
        there.look()
        del there


def resident_bytes() -> int | None:
    """The resident memory of this process now; None where there is no /proc."""
    return _status_bytes("VmRSS")


def _status_bytes(name: str) -> int | None:
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def take_device_mb() -> tuple[float, float] | None:
    """Peak since the last call, and memory in use now, of the fullest GPU, in MB; None without one.

    It is what TensorFlow's allocator has given out, not what it has taken from the GPU.
    """
    infos = []
    for number in range(len(tf.config.list_logical_devices("GPU"))):
        try:
            info = tf.config.experimental.get_memory_info(f"GPU:{number}")
            tf.config.experimental.reset_memory_stats(f"GPU:{number}")
        except (ValueError, tf.errors.OpError):  # an allocator that does not count
            continue
        infos.append((info["peak"] / _MB, info["current"] / _MB))
    return max(infos) if infos else None
