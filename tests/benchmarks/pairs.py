"""Measures two things in pairs, A B B A A B ..., since the speed of a machine changes meanwhile."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

#: For all alike: nobody reads what they print, and nothing is sent anywhere.
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "PYTHONWARNINGS": "ignore",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
LIBRARIES = ("mlflow", "tensorflow", "keras", "tf2onnx", "onnxruntime", "onnxruntime-gpu", "numpy")
TABLE_HEAD = (
    "| A against B | A | B | A / B | A − B (lowest to highest) | A − B, processors' time | pairs |\n"
    "|---|---|---|---|---|---|---|"
)
_TRIES = 4  # times as many pairs as are wanted, before the disturbed ones have to do

Command = Sequence[str | Path]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One command from start to end.

    Attributes:
        wall_s: Time on the clock.
        cpu_s: Time of the processors, all processes of the command together.
        others: Processors that were busy with something else meanwhile.
        parts_s: What of the wall time went where.
    """

    wall_s: float
    cpu_s: float
    others: float
    parts_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Pairs:
    """Runs of A and B; equal positions make a pair.

    Attributes:
        a: Runs of the first.
        b: Runs of the second.
        left_out: How many pairs were disturbed by other processes.
    """

    a: list[Run]
    b: list[Run]
    left_out: int


def timed(command: Command, folder: Path, env: Mapping[str, str] | None = None) -> Run:
    """Runs a command to its end.

    Raises:
        RuntimeError: It failed.
    """
    busy, used, started = _busy_s(), _used_s(), time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **QUIET, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    wall_s, cpu_s = time.perf_counter() - started, _used_s() - used
    if done.returncode != 0:
        raise RuntimeError(f"{command} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    others = max(0.0, (_busy_s() - busy - cpu_s) / wall_s)
    return Run(wall_s=wall_s, cpu_s=cpu_s, others=others)


def _used_s() -> float:
    """Processors' time of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _busy_s() -> float:
    """Seconds that the machine's processors have been busy since it started."""
    ticks = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = ticks[3] + ticks[4]  # idle and waiting for a disk
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")


def in_pairs(
    first: Callable[[], Run], second: Callable[[], Run], wanted: int, most_others: float
) -> Pairs:
    """Takes the two in turn until there are enough pairs which nothing else has disturbed.

    Args:
        first: A.
        second: B.
        wanted: Number of pairs.
        most_others: A pair in which more processors than this were busy with something else is left
            out, unless there are too few others.
    """
    both: list[tuple[Run, Run]] = []
    quiet: list[tuple[Run, Run]] = []
    while len(quiet) < wanted and len(both) < _TRIES * wanted:
        a, b = (first(), second()) if len(both) % 2 == 0 else reversed((second(), first()))
        both.append((a, b))
        if max(a.others, b.others) <= most_others:
            quiet.append((a, b))
        print(
            f"{a.wall_s:.2f} s, {b.wall_s:.2f} s; others {a.others:.2f}, {b.others:.2f}",
            file=sys.stderr,
        )
    kept = quiet if len(quiet) == wanted else sorted(both, key=_disturbance)[:wanted]
    return Pairs([a for a, _ in kept], [b for _, b in kept], len(both) - len(kept))


def _disturbance(pair: tuple[Run, Run]) -> float:
    return max(run.others for run in pair)


def row(name: str, pairs: Pairs, unit: str = "s") -> str:
    """A row of the table: medians, and medians of what was found pair by pair."""
    scale, digits = (1000, 0) if unit == "ms" else (1, 1)
    a, b = ([run.wall_s * scale for run in runs] for runs in (pairs.a, pairs.b))
    apart = [x - y for x, y in zip(a, b, strict=True)]
    cpu_apart = [(x.cpu_s - y.cpu_s) * scale for x, y in zip(pairs.a, pairs.b, strict=True)]
    ratio = statistics.median([x / y for x, y in zip(a, b, strict=True)])
    shown = (
        f"{statistics.median(a):.{digits}f}",
        f"{statistics.median(b):.{digits}f}",
        f"{ratio:.2f}",
        f"{statistics.median(apart):+.{digits}f} ({min(apart):+.{digits}f} to {max(apart):+.{digits}f})",
        f"{statistics.median(cpu_apart):+.{digits}f}",
        f"{len(a)} of {len(a) + pairs.left_out}",
    )
    return f"| {name} ({unit}) | {' | '.join(shown)} |"


def parts_table(name: str, runs: Sequence[Run]) -> str:
    """Where the wall time went: medians of the parts."""
    lines = [f"| {name} | s |", "|---|---|"]
    for part in runs[0].parts_s:
        seconds = statistics.median(run.parts_s.get(part, 0.0) for run in runs)
        lines.append(f"| {part} | {seconds:.1f} |")
    return "\n".join(lines)


def surroundings(pairs: Sequence[Pairs]) -> str:
    """The machine, the versions, and how much the machine had to do besides."""
    others = statistics.median(run.others for some in pairs for run in (*some.a, *some.b))
    return f"{machine()} Other processes used {others:.2f} processors (median)."


def machine() -> str:
    """The machine and the versions."""
    return (
        f"{_processor()}, {os.cpu_count()} processors; Python {platform.python_version()}, "
        f"{', '.join(_versions())}."
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _versions() -> Sequence[str]:
    installed = {
        distribution.name: distribution.version for distribution in metadata.distributions()
    }
    return [f"{name} {installed[name]}" for name in LIBRARIES if name in installed]
