"""What the recipe costs over a script by hand, and what the plugin costs MLflow; see README.md.

python tests/benchmarks/recipe_against_script.py --rounds 5 --pairs 15 > results.md
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from pairs import TABLE_HEAD, Command, Pairs, Run, in_pairs, parts_table, row, surroundings, timed

HERE = Path(__file__).resolve().parent
RECIPE = HERE.parents[1] / "recipes" / "digits"
MLFLOW = Path(sys.executable).with_name("mlflow")
RUN: Command = [MLFLOW, "recipes", "run", "--profile", "local"]
VERSION: Command = [MLFLOW, "--version"]


def run_recipe(folder: Path) -> Run:
    """The recipe from nothing, in `folder`; its state stays there for a run with nothing to do."""
    left_over = shutil.ignore_patterns("__pycache__", "metadata", "mlruns")
    shutil.copytree(RECIPE, folder / "digits", ignore=left_over)
    began_s = time.time()
    run = timed(RUN, folder / "digits", state(folder))
    records = json.loads((folder / "state" / "profiles" / "local.json").read_text())
    here_s, logging = began_s, "log models, load them back"
    gaps = {"ingest": "start: imports, MLflow's store", "benchmark": logging, "register": logging}
    parts: dict[str, float] = {}
    for step, record in records.items():
        gap = gaps.get(step, "between steps")
        parts[gap] = parts.get(gap, 0.0) + record["started_s"] - here_s
        parts[step] = record["seconds"]
        here_s = record["started_s"] + record["seconds"]
    parts["end: log metrics, register"] = began_s + run.wall_s - here_s
    return Run(wall_s=run.wall_s, cpu_s=run.cpu_s, others=run.others, parts_s=parts)


def state(folder: Path) -> dict[str, str]:
    return {"MLFLOW_RECIPES_EXECUTION_DIRECTORY": str(folder / "state")}


def run_script(folder: Path) -> Run:
    """The script by hand, with everything that it makes in `folder`."""
    folder.mkdir()
    began_s = time.time()
    run = timed([sys.executable, HERE / "digits_by_hand.py", folder / "out"], folder)
    told = json.loads((folder / "out" / "phases.json").read_text())
    parts = {"imports": told["began_s"] - began_s, **told["phases_s"]}
    parts["end"] = run.wall_s - sum(parts.values())
    return Run(wall_s=run.wall_s, cpu_s=run.cpu_s, others=run.others, parts_s=parts)


def shadow(folder: Path, *, with_plugin: bool) -> dict[str, str]:
    """An environment in which the package is installed as it is, or without its entry points.

    Of two distributions of one name Python takes the first on its path.
    """
    installed = metadata.distribution("mlflow-tfconv")
    home = folder / ("with" if with_plugin else "without")
    copy = home / "mlflow_tfconv-0.dist-info"
    copy.mkdir(parents=True)
    (copy / "METADATA").write_text(installed.read_text("METADATA") or "")
    if with_plugin:
        (copy / "entry_points.txt").write_text(installed.read_text("entry_points.txt") or "")
    paths = [str(home), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def import_mlflow(*, with_plugin: bool) -> Command:
    """Imports MLflow, and makes sure that the plugin is there, or is not."""
    check = f"assert ('mlflow_tfconv.plugin' in sys.modules) is {with_plugin}"
    return [sys.executable, "-c", f"import mlflow, sys; {check}"]


def long_pairs(place: Path, rounds: int, most_others: float) -> Pairs:
    numbers = iter(range(10_000))
    return in_pairs(
        lambda: run_recipe(place / f"recipe {next(numbers)}"),
        lambda: run_script(place / f"script {next(numbers)}"),
        rounds,
        most_others,
    )


def short_pairs(place: Path, count: int, most_others: float) -> dict[str, Pairs]:
    """What is asked of commands that take seconds, by name."""
    done = place / "recipe 0"
    if not done.exists():
        run_recipe(done)
    plugin, none = (shadow(place, with_plugin=choice) for choice in (True, False))
    asked = {
        "`mlflow recipes run` with nothing changed against `mlflow --version`": (
            lambda: timed(RUN, done / "digits", state(done)),
            lambda: timed(VERSION, place),
        ),
        "`import mlflow` with against without the plugin": (
            lambda: timed(import_mlflow(with_plugin=True), place, plugin),
            lambda: timed(import_mlflow(with_plugin=False), place, none),
        ),
        "`mlflow --version` with against without the plugin": (
            lambda: timed(VERSION, place, plugin),
            lambda: timed(VERSION, place, none),
        ),
    }
    return {name: in_pairs(a, b, count, most_others) for name, (a, b) in asked.items()}


def report(place: Path, rounds: int, count: int, most_others: float) -> str:
    """Measures everything and gives it as Markdown."""
    rows, tables, measured = [], [], []
    if rounds:
        pairs = long_pairs(place, rounds, most_others)
        rows.append(row("the recipe against the script", pairs))
        tables = [parts_table("the recipe", pairs.a), parts_table("the script", pairs.b)]
        measured.append(pairs)
    if count:
        short = short_pairs(place, count, most_others)
        rows += [row(name, pairs, "ms") for name, pairs in short.items()]
        measured += short.values()
    return "\n\n".join(["\n".join([TABLE_HEAD, *rows]), *tables, surroundings(measured)])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="pairs of recipe and script")
    parser.add_argument("--pairs", type=int, default=15, help="pairs of everything short")
    parser.add_argument(
        "--most-others",
        type=float,
        default=0.2,
        help="processors that may be busy with something else in a pair that counts",
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recipe-against-script-") as place:
        print(report(Path(place), asked.rounds, asked.pairs, asked.most_others))


if __name__ == "__main__":
    main()
