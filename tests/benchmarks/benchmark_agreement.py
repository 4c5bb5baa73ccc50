"""Whether the benchmark tells the truth: `python benchmark_agreement.py [--rounds 5] [--blocks 40]`.

What it measures is compared with a plain loop over onnxruntime and with /usr/bin/time, and with models
whose cost is known. README.md says how, and what was found.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # models of known cost lie with the tests

from onnx_of_known_cost import of_activations, of_matrices, of_rounds, of_weights
from pairs import machine
from spoken_with import SpokenWith
from watched import python

from mlflow_tfconv.steps.benchmark.examples import store_batch
from mlflow_tfconv.steps.benchmark.worker.job import RESULT_FILE, Job

_WORKER = (sys.executable, "-m", "mlflow_tfconv.steps.benchmark.worker")
_TIME = "/usr/bin/time"
_ALLOWED, _ALLOWED_MB = 0.03, 1.0  # a share, or of memory this much
_ALLOWED_WATCHED = 0.1
_UNTIMED = {"warmup_time_s": 0.0, "warmup_limit_s": 0.0}
_TURN = {"min_time_s": 0.05, "min_count": 3, **_UNTIMED}
#: Both lie in a region of 512 MiB of ONNX Runtime's arena, which grows by powers of two.
_KNOWN_BYTES = (300_000_000, 500_000_000)
_KNOWN_MB = (_KNOWN_BYTES[1] - _KNOWN_BYTES[0]) / 1e6

#: Name to a maker, and the batch size it is run with.
MODELS: dict[str, tuple[Callable[[Path], Path], int]] = {
    "dense 16": (lambda path: of_matrices(path, 16), 1),
    "dense 256": (lambda path: of_matrices(path, 256, layers=3), 1),
    "dense 256, batch 32": (lambda path: of_matrices(path, 256, layers=3), 32),
    "dense 1024": (lambda path: of_matrices(path, 1024, layers=4), 1),
    "loop of 20": (lambda path: of_rounds(path, 20), 1),
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """A row of the table.

    Attributes:
        what: What was compared.
        ours: What the benchmark says.
        theirs: What the other says.
        ratios: Ours by theirs, pair by pair.
        unit: Of both.
        allowed: How far from 1 the ratio may be.
    """

    what: str
    ours: float
    theirs: float
    ratios: Sequence[float]
    unit: str = "ms"
    allowed: float = _ALLOWED

    @property
    def ratio(self) -> float:
        """The median."""
        return statistics.median(self.ratios)

    @property
    def agrees(self) -> bool:
        """Whether the two are one."""
        near = self.unit == "MB" and abs(self.ours - self.theirs) <= _ALLOWED_MB
        return near or abs(self.ratio - 1) <= self.allowed

    def row(self) -> str:
        """As a row."""
        low, high = np.percentile(self.ratios, (25, 75))
        around = f"{low:.3f} to {high:.3f}, {len(self.ratios)} pairs"
        return (
            f"| {self.what} | {self.ours:.4g} {self.unit} | {self.theirs:.4g} {self.unit} "
            f"| {self.ratio:.3f} ({around}) | {'yes' if self.agrees else 'NO'} |"
        )


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A model, its inputs and a folder to work in.

    Attributes:
        model: The ONNX file.
        batch_size: Examples a batch.
        folder: For jobs and results.
    """

    model: Path
    batch_size: int
    folder: Path

    def prepared(self) -> Path:
        """The inputs for the plain loop; the same are stored for the worker."""
        batch = {"x": np.random.default_rng(0).random((self.batch_size, 4), np.float32)}
        examples = self.folder / "examples"
        examples.mkdir(exist_ok=True)
        store_batch(examples, 0, batch)
        np.savez(self.folder / "inputs.npz", **batch)
        return self.folder / "inputs.npz"

    def job(self) -> Path:
        """What the worker is told: one thread, since two processes share few processors."""
        job = Job(
            model=str(self.model),
            format="onnx",
            folder=str(self.folder),
            examples=str(self.folder / "examples"),
            device_options={"intra_op_threads": 1},
            batch_sizes=(self.batch_size,),
        )
        job.write(self.folder / "job.json")
        return self.folder / "job.json"

    def turn(self, worker: SpokenWith, number: int) -> np.ndarray[Any, Any]:
        """The raw timings of one turn, in milliseconds."""
        said = {"command": "time", "batch_size": self.batch_size, "turn": number, **_TURN}
        return np.load(self.folder / worker.answer(json.dumps(said))["file"]) / 1e6

    def plain(self, *runs: int) -> list[str | Path]:
        """The command of the plain loop."""
        loop = python("plain_loop.py", self.model, self.folder / "inputs.npz")
        return [*loop, *map(str, runs), "--threads", "1"]

    def commands(self, runs: int) -> list[str | Path]:
        """The command of a worker that opens the model and times it for so many runs."""
        turn = {"batch_size": self.batch_size, "turn": 0, "min_time_s": 0.0, "min_count": runs}
        lines = [{"command": "open"}, {"command": "time", **turn, **_UNTIMED}]
        file = self.folder / "commands.jsonl"
        file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        return [*_WORKER, self.job(), "--commands", file]


def latency(bench: Bench, name: str, rounds: int, blocks: int) -> Iterator[Found]:
    """Median and mean of a run against the plain loop's; both are fresh processes in each round.

    Turns of a twentieth of a second alternate, so that a change of the machine's speed meets both.
    """
    bench.prepared()
    pairs: list[tuple[dict[str, float], dict[str, float]]] = []
    for _ in range(rounds):
        with SpokenWith([*_WORKER, bench.job()]) as ours, SpokenWith(bench.plain()) as plain:
            ours.answer('{"command": "open"}')
            runs = len(bench.turn(ours, 0))
            plain.answer(str(runs))  # both are warm by now
            pairs += [_pair(bench, ours, plain, number + 1, runs) for number in range(blocks)]
    yield _of_pairs(f"{name}: p50", pairs, "p50_ms", "p50_ms")
    yield _of_pairs(f"{name}: mean", pairs, "mean_ms", "mean_ms")
    yield _of_pairs(f"{name}: mean, their clock around all runs", pairs, "mean_ms", "whole_mean_ms")


def _pair(
    bench: Bench, ours: SpokenWith, plain: SpokenWith, number: int, runs: int
) -> tuple[dict[str, float], dict[str, float]]:
    """A turn of each, ours first every second time."""
    theirs = None if number % 2 else plain.answer(str(runs))
    samples = bench.turn(ours, number)
    found = {"p50_ms": float(np.median(samples)), "mean_ms": float(samples.mean())}
    return found, theirs or plain.answer(str(runs))


def whole_process(bench: Bench, name: str, rounds: int) -> Iterator[Found]:
    """What a run costs a whole process, by /usr/bin/time: processes of many runs less those of few.

    Importing and loading are the same in both, and so fall out. Peaks are those of the processes with
    few runs.
    """
    bench.prepared()
    few, many = _few_and_many(bench)
    mean, cpu, peak, above = [], [], [], []
    for _ in range(rounds):
        short, told = _timed(bench.commands(few)), _told(bench)
        plain_short, plain_long = _timed(bench.plain(few)), _timed(bench.plain(many))
        long, long_told = _timed(bench.commands(many)), _told(bench)
        mean.append((_more("sum_ms", long_told, told), _more("wall_ms", plain_long, plain_short)))
        cpu.append((_more("cpu_ms", long, short), _more("cpu_ms", plain_long, plain_short)))
        peak.append((told["peak_mb"], short["peak_mb"]))
        plain = json.loads(plain_short["printed"])
        above.append((told["above_mb"], plain_short["peak_mb"] - plain["before_mb"]))
    each = many - few
    mean, cpu = ([(a / each, b / each) for a, b in both] for both in (mean, cpu))
    yield _of_both(f"{name}: mean, whole processes by the clock", mean)
    yield _of_both(f"{name}: processor's time of a run, whole processes", cpu)
    yield _of_both(f"{name}: peak of the worker", peak, "MB")
    yield _of_both(f"{name}: peak above the baseline, the plain loop's", above, "MB")


def _more(what: str, long: dict[str, Any], short: dict[str, Any]) -> float:
    return long[what] - short[what]


def _few_and_many(bench: Bench) -> tuple[int, int]:
    """Runs of about 0.2 and 1.7 seconds."""
    with SpokenWith(bench.plain()) as plain:
        each_ms = plain.answer("20")["whole_mean_ms"]
        each_ms = plain.answer(str(max(10, int(100 / each_ms))))["whole_mean_ms"]
    return max(5, int(200 / each_ms)), max(50, int(1700 / each_ms))


def _timed(command: Sequence[str | Path]) -> dict[str, Any]:
    """What /usr/bin/time says of a command; of its wall time, which it rounds, what our clock says.

    Raises:
        RuntimeError: It failed, or the two differ.
    """
    with tempfile.NamedTemporaryFile("r") as file:
        asked = [_TIME, "--format", "%e %U %S %M", "--output", file.name, *map(str, command)]
        started = time.perf_counter()
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        wall_s = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        elapsed, user, system, kilobytes = map(float, file.read().split())
    if abs(elapsed - wall_s) > 0.1:
        raise RuntimeError(f"{_TIME} says {elapsed} s, the clock {wall_s:.2f} s")
    return {
        "wall_ms": wall_s * 1000,
        "cpu_ms": (user + system) * 1000,
        "peak_mb": kilobytes * 1024 / 1e6,
        "printed": done.stdout,
    }


def _told(bench: Bench) -> dict[str, float]:
    """What the worker has written down of itself."""
    answers = json.loads((bench.folder / RESULT_FILE).read_text())["answers"]
    opened, turn = (answer["ok"] for answer in answers)
    samples, memory = np.load(bench.folder / turn["file"]), opened["memory"]
    return {
        "sum_ms": float(samples.sum()) / 1e6,
        "peak_mb": memory["host_peak_bytes"] / 1e6,
        "above_mb": (memory["host_peak_bytes"] - memory["host_baseline_bytes"]) / 1e6,
    }


def _of_pairs(what: str, pairs: Sequence[Any], key: str, other: str) -> Found:
    return _of_both(what, [(ours[key], theirs[other]) for ours, theirs in pairs])


def _of_both(what: str, both: Sequence[tuple[float, float]], unit: str = "ms") -> Found:
    ours, theirs = zip(*both, strict=True)
    return Found(
        what=what,
        ours=statistics.median(ours),
        theirs=statistics.median(theirs),
        ratios=[a / b for a, b in both],
        unit=unit,
    )


def sampler(bench: Bench, name: str) -> Iterator[Found]:
    """What watching memory costs what is watched: loading and rehearsing, never what is timed."""
    command = python("sampled_runs.py", bench.model, bench.folder / "inputs.npz")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    yield Found(
        what=f"{name}: mean with and without the memory's sampler",
        ours=told["sampled_ms"],
        theirs=told["plain_ms"],
        ratios=told["ratios"],
        allowed=_ALLOWED_WATCHED,
    )


def known_truths(folder: Path, rounds: int) -> Iterator[Found]:
    """Models whose cost is known: what they hold meanwhile or for good, and twice the work.

    Of two models that differ in nothing but their size the difference is known exactly.
    """
    for what, make, where in (
        ("peak above the baseline", of_activations, "host_peak_bytes"),
        ("resident after load above the baseline", of_weights, "host_resident_bytes"),
    ):
        benches = [_bench(folder / f"{what} {size}", make, size) for size in _KNOWN_BYTES]
        both = []
        for _ in range(rounds):
            small, large = (_opened_mb(bench, where) for bench in benches)
            both.append((large - small, _KNOWN_MB))
        yield _of_both(f"{_KNOWN_MB:.0f} MB more of {make.__name__[3:]}: {what}", both, "MB")
    benches = [_bench(folder / f"rounds {count}", of_rounds, count) for count in (40, 20)]
    yield _of_both(
        "p50 of a loop of 40 rounds, against twice that of 20", _in_turn(benches, rounds)
    )


def _bench(folder: Path, make: Callable[[Path, int], Path], size: int) -> Bench:
    folder.mkdir()
    bench = Bench(model=make(folder / "model.onnx", size), batch_size=1, folder=folder)
    bench.prepared()
    return bench


def _opened_mb(bench: Bench, where: str) -> float:
    """What a fresh worker takes above its baseline once it has opened the model."""
    with SpokenWith([*_WORKER, bench.job()]) as worker:
        memory = worker.answer('{"command": "open"}')["memory"]
    return (memory[where] - memory["host_baseline_bytes"]) / 1e6


def _in_turn(benches: Sequence[Bench], rounds: int) -> list[tuple[float, float]]:
    """The medians of two models in workers that are alive together, and the second's twice."""
    both = []
    first, second = benches
    with (
        SpokenWith([*_WORKER, first.job()]) as long,
        SpokenWith([*_WORKER, second.job()]) as short,
    ):
        long.answer('{"command": "open"}')
        short.answer('{"command": "open"}')
        for number in range(6 * rounds):
            own = float(np.median(first.turn(long, number)))
            both.append((own, 2 * float(np.median(second.turn(short, number)))))
    return both[1:]


def main() -> int:
    """Prints the table; 1 when something does not agree."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--blocks", type=int, default=40)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    given = parser.parse_args()
    print("| what | the benchmark | the other | ratio (middle half) | agrees |")
    print("|---|---|---|---|---|")
    rows: list[Found] = []
    with tempfile.TemporaryDirectory() as scratch:
        for row in _all(Path(scratch), given):
            print(row.row(), flush=True)
            rows.append(row)
    print(f"\n{machine()}")
    return int(not all(row.agrees for row in rows))


def _all(scratch: Path, given: argparse.Namespace) -> Iterator[Found]:
    for number, name in enumerate(given.models):
        make, batch_size = MODELS[name]
        folder = scratch / str(number)
        folder.mkdir()
        bench = Bench(model=make(folder / "model.onnx"), batch_size=batch_size, folder=folder)
        yield from latency(bench, name, given.rounds, given.blocks)
        yield from whole_process(bench, name, given.rounds)
        yield from sampler(bench, name)
    yield from known_truths(scratch, given.rounds)


if __name__ == "__main__":
    sys.exit(main())
