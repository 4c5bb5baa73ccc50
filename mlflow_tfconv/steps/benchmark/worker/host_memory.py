"""What the kernel says of the memory of a process. Needs Python only."""

from __future__ import annotations

import importlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

_FIELDS = {
    "VmHWM": "peak",
    "VmRSS": "resident",
    "RssAnon": "anonymous",
    "RssFile": "file_mapped",
    "VmSwap": "swapped",
}
_KEEP_NO_PEAK = "5"  # proc(5), /proc/pid/clear_refs, since Linux 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMemory:
    """The memory of a process at one moment, in bytes.

    Attributes:
        peak: The largest resident memory since the process began, or since it was set back. The
            kernel keeps it whenever memory is given back, so that no moment is missed.
        resident: What is in memory now,
        anonymous: of this, what only this process has: heap, arenas, weights that were copied,
        file_mapped: and pages of files: libraries, weights that are mapped. The kernel can drop
            these at any time and shares them between processes.
        swapped: What lies on disk and counts in none of the others.
    """

    peak: int
    resident: int
    anonymous: int
    file_mapped: int
    swapped: int


def host_memory(pid: int | str = "self") -> HostMemory | None:
    """The memory of a process; None where there is no /proc, or no such process any more."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = {name: int(kb) * 1024 for name, kb in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}
    if not {"VmHWM", "VmRSS"} <= set(found):  # a process that has ended and was not waited for
        return None
    return HostMemory(**{own: found.get(name, 0) for name, own in _FIELDS.items()})


def host_peak_bytes() -> int | None:
    """The largest resident memory of this process so far; None where there is no /proc.

    VmHWM starts anew with every exec'd process; getrusage's maximum is inherited from the parent.
    """
    memory = host_memory()
    return None if memory is None else memory.peak


def host_resident_bytes() -> int | None:
    """The resident memory of this process now; None where there is no /proc."""
    memory = host_memory()
    return None if memory is None else memory.resident


def peak_set_back() -> bool:
    """Has the kernel start a new peak of this process at what is resident now.

    Returns:
        Whether it did: some containers don't let a process do it.
    """
    try:
        Path("/proc/self/clear_refs").write_text(_KEEP_NO_PEAK, encoding="ascii")
    except OSError:
        return False
    memory = host_memory()
    # What is resident may grow between the two lines; a peak that was kept is far above it.
    return memory is not None and memory.peak - memory.resident < 1 << 20


def children_of(pid: int | str = "self") -> list[int]:
    """The processes that this one has started and that still run, with theirs."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in file.read_text(encoding="ascii").split()]
        except OSError:  # a thread that has ended meanwhile
            continue
        for child in children:
            found += [child, *children_of(child)]
    return found


def children_peak_bytes() -> int | None:
    """The peaks of all running children of this process together; None when there are none.

    Pages that a forked child shares with its parent count again here.
    """
    peaks = [memory.peak for child in children_of() if (memory := host_memory(child)) is not None]
    return sum(peaks) if peaks else None


def ended_child_peak_bytes() -> int | None:
    """The peak of the largest child that has ended and was waited for; None without one."""
    try:
        resource = importlib.import_module("resource")  # Unix only
    except ImportError:
        return None
    return int(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024 or None


def page_bytes() -> int:
    """The size of a page of memory."""
    return os.sysconf("SC_PAGE_SIZE")
