"""What a conversion costs against tf2onnx's own command; see README.md.

python tests/benchmarks/conversion_against_cli.py --rounds 3 > results.md
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conversion_names import LARGEST, NAMES
from pairs import machine
from watched import Watched, python, watched

#: Goals: of the whole, of the conversion alone, in MB of memory.
MOST_OF_WALL = 1.0
MOST_OF_ALONE = {"resnet50": 1 / 3}
MOST_OF_ALONE_ELSE = 0.6
MOST_TREE_MB = {"resnet50": 1500.0}
MOST_ALONE_MB = {LARGEST: 1600.0}
RUNTIME_MB = 1200.0


@dataclass
class Measured:
    """All runs of one model.

    Attributes:
        name: The model's.
        weights_mb: Size of its ONNX file; Keras puts its variables into a SavedModel twice.
        runs: "ours", "cli", "ours_alone" and "cli_alone" to their runs.
        files: What the two ONNX files are like.
    """

    name: str
    weights_mb: float = 0.0
    runs: dict[str, list[Watched]] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)

    def failure(self, way: str) -> str | None:
        """Why there is nothing to show of it."""
        return next((run.failure for run in self.runs.get(way, ()) if run.failure), None)

    def median(self, way: str, what: str) -> float | None:
        """Median of an attribute of `Watched`, or of a number that the command told."""
        runs = self.runs.get(way, ())
        if not runs or self.failure(way):
            return None
        told = [getattr(run, what, None) or _told(run).get(what) for run in runs]
        return statistics.median(told)

    def ratio(self, one: str, other: str, what: str) -> float | None:
        """Median of what was found pair by pair."""
        if self.median(one, what) is None or self.median(other, what) is None:
            return None
        pairs = zip(self.runs[one], self.runs[other], strict=True)
        get = lambda run: getattr(run, what, None) or _told(run)[what]  # noqa: E731
        return statistics.median(get(a) / get(b) for a, b in pairs)


def _told(run: Watched) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run.output.strip().splitlines()[-1])
    return told


class Bench:
    """Measures in a folder of its own."""

    def __init__(self, place: Path, rounds: int, most_mb: float) -> None:
        self._place, self._rounds, self._most_mb = place, rounds, most_mb

    def measured(self, name: str) -> Measured:
        """Everything about one model."""
        source = self._place / name
        self._must(python("conversion_models.py", name, source))
        found = Measured(name)
        for number in range(self._rounds):
            ways = ("ours", "cli", "ours_alone", "cli_alone")
            for way in ways if number % 2 == 0 else reversed(ways):
                self._run(found, way, source)
        found.files = self._files(found)
        shutil.rmtree(self._place)
        self._place.mkdir()
        return found

    def _run(self, found: Measured, way: str, source: Path) -> None:
        if found.failure(way) or (way == "cli_alone" and found.failure("cli")):
            return
        output = self._place / way
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        if way == "cli":
            command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", source]
            command += ["--output", output / "model.onnx", "--opset", "17"]
        else:
            target = output if way == "ours" else output / "model.onnx"
            command = python("conversion_alone.py", way, source, target)
        run = watched(command, folder=self._place, most_mb=self._most_mb)
        found.runs.setdefault(way, []).append(run)
        print(
            f"{found.name} {way}: {run.wall_s:.1f} s, {run.tree_mb:.0f} MB, "
            f"{run.failure or 'done'}",
            file=sys.stderr,
        )

    def _files(self, found: Measured) -> dict[str, Any]:
        files = [
            self._place / way / "model.onnx" for way in ("ours", "cli") if not found.failure(way)
        ]
        if found.failure("ours"):
            return {}
        written = files[0].parent.glob("model.onnx*")
        found.weights_mb = sum(file.stat().st_size for file in written) / 1e6
        return _told(self._must(python("onnx_side_by_side.py", *files)))

    def _must(self, command: Sequence[str | Path]) -> Watched:
        run = watched(command, folder=self._place, most_mb=self._most_mb)
        if run.failure:
            raise RuntimeError(f"{command}: {run.failure}\n{run.output[-3000:]}")
        return run


def cost_row(found: Measured) -> str:
    """Time and memory."""
    cells = [
        f"{found.name} ({found.weights_mb:.0f} MB)",
        _pair(found, "ours", "cli", "wall_s", 1),
        _number(found.ratio("ours", "cli", "wall_s"), 2),
        _pair(found, "ours_alone", "cli_alone", "alone_s", 1),
        _number(found.ratio("ours_alone", "cli_alone", "alone_s"), 2),
        _pair(found, "ours", "cli", "tree_mb", 0),
        _pair(found, "ours", "cli", "largest_mb", 0),
        _pair(found, "ours_alone", "cli_alone", "tree_mb", 0),
    ]
    return f"| {' | '.join(cells)} |"


COST_HEAD = (
    "| model (weights) | convert / CLI (s) | ratio | alone / CLI alone (s) | ratio "
    "| peak, all processes (MB) | peak, largest process (MB) | peak, alone (MB) |\n"
    "|---|---|---|---|---|---|---|---|"
)
RESULT_HEAD = (
    "| model | nodes, ours / CLI's | outputs differ by | time in ONNX Runtime, ours / CLI's "
    "| parity with the source, SavedModel / ONNX |\n|---|---|---|---|---|"
)


def result_row(found: Measured) -> str:
    """What the files are like."""
    nodes = " / ".join(str(count) for count in found.files.get("nodes", ())) or "-"
    errors = {} if found.failure("ours") else _told(found.runs["ours"][0])["max_abs_error"]
    parity = " / ".join(f"{errors[key]:.2g}" for key in ("saved_model", "onnx") if key in errors)
    difference = found.files.get("difference")
    cells = [
        found.name,
        nodes,
        "-" if difference is None else f"{difference:.2g}",
        _number(found.files.get("latency_ratio"), 3),
        parity or f"{found.failure('ours')}",
    ]
    return f"| {' | '.join(cells)} |"


def parts_row(found: Measured) -> str:
    """Where the time of `convert` goes."""
    if found.failure("ours"):
        return f"- {found.name}: {found.failure('ours')}"
    told = [_told(run)["parts_s"] for run in found.runs["ours"]]
    parts = (f"{name} {statistics.median(t.get(name, 0.0) for t in told):.1f}" for name in told[0])
    return f"- {found.name}: {', '.join(parts)}"


def goals(found: Measured) -> list[str]:
    """Each goal, and whether it is met."""
    asked = [
        ("wall time of convert / CLI", found.ratio("ours", "cli", "wall_s"), MOST_OF_WALL),
        (
            "conversion alone / CLI alone",
            found.ratio("ours_alone", "cli_alone", "alone_s"),
            MOST_OF_ALONE.get(found.name, MOST_OF_ALONE_ELSE),
        ),
        ("peak with parity (MB)", found.median("ours", "tree_mb"), MOST_TREE_MB.get(found.name)),
        ("peak alone (MB)", found.median("ours_alone", "tree_mb"), MOST_ALONE_MB.get(found.name)),
    ]
    if found.name == LARGEST:
        limit = found.weights_mb + RUNTIME_MB
        asked.append(("peak with parity (MB)", found.median("ours", "tree_mb"), limit))
    return [
        f"- {found.name}, {what}: {value:.4g}, at most {most:.4g}: "
        + ("met" if value <= most else "**missed**")
        for what, value, most in asked
        if value is not None and most is not None
    ]


def _pair(found: Measured, one: str, other: str, what: str, digits: int) -> str:
    shown = [_number(found.median(way, what), digits) for way in (one, other)]
    why = found.failure(other) if shown[1] == "-" else None
    return f"{shown[0]} / {why or shown[1]}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--rounds", type=int, default=3, help="pairs of each")
    parser.add_argument(
        "--most-gb", type=float, default=16.0, help="memory at which a command is given up"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="conversion-against-cli-") as place:
        bench = Bench(Path(place) / "work", asked.rounds, asked.most_gb * 1000)
        (Path(place) / "work").mkdir()
        all_found = [bench.measured(name) for name in asked.models]
    print("\n".join([COST_HEAD, *map(cost_row, all_found)]))
    print("\n" + "\n".join([RESULT_HEAD, *map(result_row, all_found)]))
    print("\nSeconds of `convert` by part:\n\n" + "\n".join(map(parts_row, all_found)))
    print("\nGoals:\n\n" + "\n".join(line for found in all_found for line in goals(found)))
    print("\n" + machine())


if __name__ == "__main__":
    main()
