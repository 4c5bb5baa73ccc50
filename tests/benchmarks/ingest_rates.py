"""How many examples one writer takes in each second of its processor; see README.md.

python tests/benchmarks/ingest_rates.py --kinds csv_6 parquet_6 --rounds 3 [--against CHECKOUT]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve()
PACKAGE = HERE.parents[2]

#: Kind of data to how many examples are written.
KINDS = {
    "csv_6": 200_000,
    "csv_6_block": 200_000,
    "csv_200": 50_000,
    "csv_200_block": 50_000,
    "parquet_6": 200_000,
    "parquet_6_shuffle": 200_000,
    "npy_images": 50_000,
    "text_lines": 200_000,
}


def table(columns: dict[str, Any]) -> Any:
    """A table of pyarrow, which is no part of what a process that is measured needs."""
    import pyarrow as pa

    return pa.table(columns)


def six_columns(count: int) -> Any:
    """A table of numbers, a text and a label, as most tables are."""
    rng = np.random.default_rng(0)
    columns = {
        "id": np.arange(count),
        "age": rng.integers(0, 100, count),
        "weight": rng.random(count).round(4),
        "height": rng.random(count).round(4),
        "color": rng.choice(["red", "green", "blue"], count),
        "label": rng.integers(0, 5, count),
    }
    return table(columns)


def wide(count: int) -> Any:
    """200 floats and a label."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {f"x{i}": rng.random(count, np.float32) for i in range(200)}
    return table({**columns, "label": rng.integers(0, 5, count)})


def make_csv(rows: Any, folder: Path) -> dict[str, Any]:
    """The table as CSV, and the recipe's words for it."""
    from pyarrow.csv import write_csv

    write_csv(rows, folder / "data.csv")
    return {"using": "csv", "location": "data.csv", "label": "label"}


def make_csv_6(folder: Path, count: int) -> dict[str, Any]:
    return make_csv(six_columns(count), folder)


def make_csv_6_block(folder: Path, count: int) -> dict[str, Any]:
    return make_csv(six_columns(count).drop_columns(["color"]), folder) | {"layout": "block"}


def make_csv_200(folder: Path, count: int) -> dict[str, Any]:
    return make_csv(wide(count), folder) | {"csv": {"vectors": {"x": ["x*"]}}}


def make_csv_200_block(folder: Path, count: int) -> dict[str, Any]:
    return make_csv_200(folder, count) | {"layout": "block"}


def make_parquet_6(folder: Path, count: int) -> dict[str, Any]:
    from pyarrow.parquet import write_table

    write_table(six_columns(count), folder / "data.parquet")
    return {"using": "parquet", "location": "data.parquet", "label": "label"}


def make_parquet_6_shuffle(folder: Path, count: int) -> dict[str, Any]:
    return make_parquet_6(folder, count) | {"shuffle": True}


def make_npy_images(folder: Path, count: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    np.save(folder / "image.npy", rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8))
    np.save(folder / "label.npy", rng.integers(0, 10, count))
    return {"using": "npy", "location": ".", "label": "label"}


def make_text_lines(folder: Path, count: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    lines = (f"{number}: " + "word " * n for number, n in enumerate(rng.integers(1, 40, count)))
    (folder / "data.txt").write_text("\n".join(lines))
    return {"using": "text", "location": "data.txt"}


MAKERS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    name.removeprefix("make_"): made
    for name, made in list(globals().items())
    if name.startswith("make_") and name.removeprefix("make_") in KINDS
}


def options(config: dict[str, Any]) -> dict[str, Any]:
    """The recipe's words with the nested ones as their classes."""
    from mlflow_tfconv.steps.ingest.sources.csv_options import CsvOptions

    return {**config, "csv": CsvOptions(**config["csv"])} if "csv" in config else config


def quiet(event: object) -> None:
    """Takes events."""


def peak_mb() -> float:
    """The most memory this process had; getrusage counts what its parent had, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1e3


def open_data(folder: Path) -> None:
    """In a process of its own, as a recipe's step: looks at the data and tells the writer of it."""
    from mlflow_tfconv.steps.ingest.config import IngestConfig
    from mlflow_tfconv.steps.ingest.sources.table import open_source

    config = IngestConfig(**options(json.loads((folder / "config.json").read_text())), writers=1)
    source = open_source(config, folder, quiet)
    (folder / "source.pickle").write_bytes(pickle.dumps((source, config)))


def measure(folder: Path) -> None:
    """In a process of its own: one writer makes the shards; prints what it took."""
    from mlflow_tfconv.steps.ingest.shard_source import shard_source
    from mlflow_tfconv.steps.ingest.sources.table import open_source

    source, config = pickle.loads((folder / "source.pickle").read_bytes())
    if not source.pieces():  # some leave these behind when they are sent
        source = open_source(config, folder, quiet)
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        began = time.process_time()
        ingested = shard_source(source, config, folder, Path(out), quiet)
        cpu_s = time.process_time() - began
        manifest = ingested.manifest
        shards = [shard.sha256 for found in manifest.splits.values() for shard in found]
        told = {
            "examples": sum(manifest.counts.values()),
            "cpu_s": cpu_s,
            "peak_mb": peak_mb(),
            "shards": hashlib.sha256("".join(shards).encode()).hexdigest(),
        }
    print(json.dumps(told))


def measured(folder: Path, package: Path) -> dict[str, Any]:
    """What a fresh process with that checkout of the package needs."""
    environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    said = ""
    for what in ("--open", "--measure"):
        command = [sys.executable, str(HERE), what, str(folder)]
        said = subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    return dict(json.loads(said.splitlines()[-1]))


def compare(kind: str, packages: list[Path], rounds: int, home: Path) -> str:
    """A line of the table: the packages in turn on the same data, medians."""
    folder = home / kind
    folder.mkdir()
    config = MAKERS[kind](folder, KINDS[kind])
    (folder / "config.json").write_text(json.dumps(config))
    runs: list[list[dict[str, Any]]] = [[] for _ in packages]
    for _ in range(rounds):
        for found, package in zip(runs, packages, strict=True):
            found.append(measured(folder, package))
    cells = [kind, f"{runs[0][0]['examples']:,}"]
    rates = []
    for found in runs:
        rates.append(statistics.median(run["examples"] / run["cpu_s"] for run in found))
        peak = max(run["peak_mb"] for run in found)
        cells += [f"{rates[-1]:,.0f}", f"{peak:.0f}"]
    if len(packages) > 1:
        same = len({run["shards"] for found in runs for run in found}) == 1
        cells += [f"{rates[0] / rates[1]:.1f}", "the same" if same else "DIFFERENT"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout of the package")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.open:
        open_data(arguments.open)
        return
    if arguments.measure:
        measure(arguments.measure)
        return
    packages = [PACKAGE] + ([arguments.against] if arguments.against else [])
    with tempfile.TemporaryDirectory() as home:
        for kind in arguments.kinds:
            print(compare(kind, packages, arguments.rounds, Path(home)), flush=True)


if __name__ == "__main__":
    main()
