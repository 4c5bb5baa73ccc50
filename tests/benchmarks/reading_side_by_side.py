"""Reading against the textbook's pipelines: speed, waiting and memory; see README.md.

python tests/benchmarks/reading_side_by_side.py > results.md
python tests/benchmarks/reading_side_by_side.py --quick
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pairs import QUIET, machine
from reading_data import CONTESTANTS, KINDS, form_for
from reading_speed import add_arguments, made, python, speed_tables

OURS = ("example", "block")


def trained(contestant: str, kind: str, data: Path, *more: object) -> dict[str, Any]:
    """What a training in a fresh process says of itself.

    Raises:
        RuntimeError: It has failed.
    """
    done = subprocess.run(
        python("reading_training.py", contestant, kind, data, *more),
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{contestant} on {kind} failed:\n{done.stderr[-3000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def waiting_table(place: Path, kinds: Sequence[str], mb: float, steps: int) -> str:
    """What share of a step is spent until its batch is there."""
    lines = [
        "| | examples/s | waits for input | the same, one batch in memory | time of a step against "
        "one without a stream |",
        "|---|---|---|---|---|",
    ]
    for kind in kinds:
        for name in ("b textbook", *OURS):
            form = form_for(name, KINDS[kind])
            if form is None:
                continue
            with tempfile.TemporaryDirectory(dir=place) as folder:
                data = made(Path(folder), kind, form, mb)
                told = trained(name, kind, data, "--steps", steps)
            cells = [f"{told['examples_per_s']:.0f}", f"{told['waiting']:.1%}"]
            cells += [f"{told['least_waiting']:.1%}", f"{told['slower']:.2f}"]
            lines.append(f"| {kind}, {name} | {' | '.join(cells)} |")
            print(lines[-1], file=sys.stderr)
    return "\n".join(lines)


def memory_table(
    place: Path, kinds: Sequence[str], mb: float, sizes: Sequence[int], repeats: int
) -> str:
    """Peaks of training processes on data of growing size: one epoch of each."""
    names = [f"{size}x ({size * mb / 1000:.2g} GB)" for size in sizes]
    head = [*names, f"{sizes[-1]}x / {sizes[0]}x", f"{sizes[-1]}x / {sizes[-2]}x"]
    lines = [f"| MB | {' | '.join(head)} |", f"|---|{'---|' * len(head)}"]
    for kind in kinds:
        for name in ("a arrays", "b textbook", *OURS):
            form = form_for(name, KINDS[kind])
            if form is None:
                continue
            peaks = [
                None
                if name == "a arrays" and size > 4  # they would not fit
                else _peak(place, kind, name, size * mb, repeats)
                for size in sizes
            ]
            cells = ["-" if peak is None else f"{peak:.0f}" for peak in peaks]
            last = peaks[-1]
            for earlier in (peaks[0], peaks[-2]):
                known = last is not None and earlier is not None
                cells.append(f"{last / earlier:.3f}" if known else "-")  # type: ignore[operator]
            lines.append(f"| {kind}, {name} | {' | '.join(cells)} |")
            print(lines[-1], file=sys.stderr)
    return "\n".join(lines)


def _peak(place: Path, kind: str, name: str, mb: float, repeats: int) -> float:
    """The median of some processes; one when the data are large."""
    folder = Path(tempfile.mkdtemp(dir=place))
    try:
        form = form_for(name, KINDS[kind])
        assert form is not None
        data = made(folder, kind, form, mb, shard_mb=100)
        count = repeats if mb < 2000 else 1
        return statistics.median(trained(name, kind, data)["peak_mb"] for _ in range(count))
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--parts", nargs="+", default=["speed", "waiting", "memory"])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--memory-kinds", nargs="+", choices=KINDS, default=["images64"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small data, one kind, few rounds")
    asked = parser.parse_args()
    if asked.quick:
        asked.kinds, asked.mb, asked.rounds, asked.seconds = ["images64"], 64.0, 3, 1.0
        asked.sizes, asked.repeats, asked.steps = [1, 4], 1, 100
        asked.contestants = [name for name in CONTESTANTS if name[0] not in "cd"]
    began = time.time()
    with tempfile.TemporaryDirectory(dir=asked.place) as folder:
        place = Path(folder)
        if "speed" in asked.parts:
            print(speed_tables(place, asked), end="\n\n", flush=True)
        if "waiting" in asked.parts:
            print(waiting_table(place, asked.kinds, asked.mb, asked.steps), end="\n\n", flush=True)
        if "memory" in asked.parts:
            table = memory_table(place, asked.memory_kinds, asked.mb, asked.sizes, asked.repeats)
            print(table, end="\n\n", flush=True)
    print(f"{machine()} {(time.time() - began) / 60:.0f} minutes.")


if __name__ == "__main__":
    main()
