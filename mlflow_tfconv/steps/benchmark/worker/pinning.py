"""Ties this process and its threads to processors, and tells what they are tied to.

ONNX Runtime's own threads are told by `session.intra_op_thread_affinities`: one group of processors
for each thread but the caller's, counted from 1. Left alone it ties them too, one to each core, as
long as `intra_op_num_threads` is not set: what holds is read back from the kernel, not assumed.
TensorFlow's threads can't be tied one by one; they stay on the processors of the process.
"""

from __future__ import annotations

import math
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.errors import BenchmarkError

AFFINITIES = "session.intra_op_thread_affinities"
_THREADS = "intra_op_num_threads"
_CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinning:
    """Processors for the threads of one operation.

    Attributes:
        processors: One a thread, the calling thread's first.
    """

    processors: tuple[int, ...]

    def session_options(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The options of an ONNX Runtime session with its threads tied; own affinities stay."""
        if AFFINITIES in asked:
            return dict(asked)
        count = int(asked.get(_THREADS) or len(self.processors))
        tied = [self.processors[n % len(self.processors)] for n in range(1, count)]
        options = {**asked, _THREADS: count}
        return {**options, AFFINITIES: affinities(tied)} if tied else options


def pinned_process(threads: int | None) -> Pinning:
    """Ties this process, with all threads it has and will have, to as many processors as threads.

    Different cores come first, and only then the second threads of cores.

    Args:
        threads: Threads inside an operation; None takes one for each core that may be used.

    Raises:
        BenchmarkError: The system does not let threads be tied.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise _not_here(f"{sys.platform} knows no affinities of threads")
    rounds = _by_core(os.sched_getaffinity(0))
    cores = sum(1 for number, _ in rounds if number == 0)
    count = threads or min(cores, _quota())
    chosen = tuple(processor for _, processor in rounds)[:count]
    try:
        os.sched_setaffinity(0, chosen)
    except OSError as error:  # a sandbox forbids it
        raise _not_here(str(error)) from error
    for thread in _threads():
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(thread, chosen)
    return Pinning(processors=chosen)


def pin_caller(processors: Iterable[int]) -> None:
    """Ties the calling thread, and those that it starts from now on."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, processors)


def spread_out() -> None:
    """Lets the calling thread run wherever any thread of this process may."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, used_processors())


def used_processors() -> tuple[int, ...]:
    """All processors that a thread of this process may run on."""
    return tuple(sorted({processor for tied in _affinities() for processor in tied}))


def affinities(processors: Sequence[int]) -> str:
    """ONNX Runtime's text for threads on these processors, which it counts from 1."""
    return ";".join(str(processor + 1) for processor in processors)


def thread_placement(*, pinned: bool) -> dict[str, Any]:
    """How the threads of this process are tied now, as the kernel tells it.

    Returns:
        `pinned`: whether it was asked for; `processors`: all that are used; `threads`: how many
        threads there are on each set of processors, such as {"0-1": 3, "1": 1}.
    """
    found = _affinities()
    counts = Counter(_text(tied) for tied in found)
    return {
        "pinned": pinned and bool(found),
        "processors": list(used_processors()),
        "threads": dict(sorted(counts.items())),
    }


def _not_here(why: str) -> BenchmarkError:
    return BenchmarkError(
        "Threads can't be pinned here.",
        received=why,
        expected="a system that lets threads be tied to processors (Linux)",
        fix="Leave out benchmark.pin_threads.",
    )


def _affinities() -> list[tuple[int, ...]]:
    found = []
    for thread in _threads() if hasattr(os, "sched_getaffinity") else ():
        with suppress(ProcessLookupError):
            found.append(tuple(sorted(os.sched_getaffinity(thread))))
    return found


def _threads() -> Iterator[int]:
    with suppress(OSError):
        yield from (int(task.name) for task in Path("/proc/self/task").iterdir())


def _by_core(processors: Iterable[int]) -> list[tuple[int, int]]:
    """(Number on its core, processor): the first of each core, then all second ones."""
    seen: Counter[str] = Counter()
    found = []
    for processor in sorted(processors):
        core = _core(processor)
        found.append((seen[core], processor))
        seen[core] += 1
    return sorted(found)


def _core(processor: int) -> str:
    """What all threads of a core have in common."""
    path = _CPUS / f"cpu{processor}" / "topology" / "thread_siblings_list"
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return str(processor)


def _quota() -> int:
    """Processors' worth of time that a container grants."""
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, math.ceil(int(quota) / int(period)))
    return os.cpu_count() or 1


def _text(processors: Sequence[int]) -> str:
    """As the kernel writes it: "0-3,8"."""
    parts: list[list[int]] = []
    for processor in processors:
        if parts and processor == parts[-1][1] + 1:
            parts[-1][1] = processor
        else:
            parts.append([processor, processor])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
