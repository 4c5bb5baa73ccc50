"""How many examples a second each pipeline gives, in turn; see README.md.

python tests/benchmarks/reading_speed.py --kinds images64 rows200 --rounds 5
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pairs import QUIET, machine
from reading_data import CONTESTANTS, KINDS, form_for

HERE = Path(__file__).resolve().parent
WARM_UP_S = 1.5


@dataclass(frozen=True)
class Reading:
    """What one process has read in its turn.

    Attributes:
        rate: Examples a second.
        cpu_us: Processors' time an example, all its threads together.
    """

    rate: float
    cpu_us: float


Readings = dict[str, list[Reading]]


def python(script: str, *arguments: object) -> list[str]:
    """The command that runs a script beside this one."""
    return [sys.executable, str(HERE / script), *map(str, arguments)]


def made(folder: Path, kind: str, form: str, mb: float, shard_mb: int | None = None) -> Path:
    """The data in one form; written when they are not there yet, by default in eight shards."""
    home = folder / form
    if not home.exists():
        command = python("reading_data.py", home, "--kind", kind, "--form", form, "--mb", mb)
        command += ["--shard-mb", str(shard_mb or max(int(mb / 8), 1))]
        subprocess.run(command, env={**os.environ, **QUIET}, check=True, stdout=subprocess.DEVNULL)
    return home


@contextmanager
def worker(contestant: str, kind: str, data: Path, batch: int) -> Iterator[subprocess.Popen[str]]:
    """A process that reads when it is told to."""
    process = subprocess.Popen(
        python("reading_worker.py", contestant, kind, data, "--batch", batch),
        env={**os.environ, **QUIET},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def reading(process: subprocess.Popen[str], seconds: float) -> Reading:
    """Lets that process read for so long.

    Raises:
        RuntimeError: It has failed.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    print(seconds, file=process.stdin, flush=True)
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args} failed")
    told = json.loads(line)
    return Reading(told["examples"] / told["s"], 1e6 * told["cpu_s"] / told["examples"])


def readings(folder: Path, kind: str, names: Sequence[str], asked: argparse.Namespace) -> Readings:
    """What each contestant has read, once a round; all read in turn, each for the same time."""
    with ExitStack() as stack:
        processes = {}
        for name in names:
            form = form_for(name, KINDS[kind])
            if form is not None:
                data = made(folder, kind, form, asked.mb)
                processes[name] = stack.enter_context(worker(name, kind, data, asked.batch))
        for process in processes.values():
            reading(process, WARM_UP_S)
        found: Readings = {name: [] for name in processes}
        for number in range(asked.rounds):
            order = list(processes) if number % 2 == 0 else list(reversed(processes))
            for name in order:
                found[name].append(reading(processes[name], asked.seconds))
        return found


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of what was found round by round."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def row(kind: str, found: Readings) -> str:
    """A line of the table."""
    rates = {name: [one.rate for one in some] for name, some in found.items()}
    cells = [
        f"{statistics.median(rates[n]) / 1000:.2f}k" if n in rates else "-" for n in CONTESTANTS
    ]
    pairs = (("example", "b textbook"), ("block", "b textbook"), ("a arrays", "block"))
    for over, under in pairs:
        known = over in rates and under in rates
        cells.append(f"{ratio(rates[over], rates[under]):.2f}" if known else "-")
    return f"| {kind} | {' | '.join(cells)} |"


def cpu_row(kind: str, found: Readings) -> str:
    """A line of the table of processors' time."""
    times = {name: statistics.median(one.cpu_us for one in some) for name, some in found.items()}
    return (
        f"| {kind} | {' | '.join(f'{times[n]:.1f}' if n in times else '-' for n in CONTESTANTS)} |"
    )


def head() -> str:
    """The head of the table."""
    names = [*CONTESTANTS, "example / b", "block / b", "a / block"]
    return f"| | {' | '.join(names)} |\n|---|{'---|' * len(names)}"


def cpu_head() -> str:
    """The head of the table of processors' time."""
    return f"| us | {' | '.join(CONTESTANTS)} |\n|---|{'---|' * len(CONTESTANTS)}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked of a measurement of speed."""
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--mb", type=float, default=256.0, help="size of the data, 1x")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--place", type=Path, help="where the data go; a temporary folder")


def speed_tables(place: Path | None, asked: argparse.Namespace) -> str:
    """Examples a second, and processors' time an example."""
    rates, times = [head()], [cpu_head()]
    for kind in asked.kinds:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            found = readings(Path(folder), kind, asked.contestants, asked)
        rates.append(row(kind, found))
        times.append(cpu_row(kind, found))
        raw = {name: [round(one.rate) for one in some] for name, some in found.items()}
        print(rates[-1], times[-1], raw, sep="\n", file=sys.stderr)
    return "\n".join([*rates, "", *times])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    asked = parser.parse_args()
    print(speed_tables(asked.place, asked), machine(), sep="\n\n")


if __name__ == "__main__":
    main()
