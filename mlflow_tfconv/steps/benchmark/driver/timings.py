"""The timing of a variant as it is kept: which turns, beside which turns of the reference."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.engine.parts import Parts, fingerprint_of
from mlflow_tfconv.steps.benchmark.driver.opened_variant import OpenedVariant, kept
from mlflow_tfconv.steps.benchmark.driver.turns import attempts_of, doubts_of
from mlflow_tfconv.steps.benchmark.driver.worker_process import LOG_FILE
from mlflow_tfconv.steps.benchmark.statistics.blocks import Blocks
from mlflow_tfconv.steps.benchmark.statistics.doubts import Doubt, soundest
from mlflow_tfconv.steps.benchmark.statistics.latency import latency_findings

TIMING_FILE = "timing.json"
_BESIDE = "beside_"
_AGREES = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """The raw timings of a variant.

    Attributes:
        blocks: Batch size to nanoseconds, one array a turn, of the soundest attempt.
        beside: The same of the reference, in the same turns; empty for the reference itself.
        tries: Batch size to the blocks of every attempt, the unsound ones too.
        doubts: Batch size to why the soundest attempt may be unstable, or None.
        about: What was written down: `turns`, `tries`, `stages`, `notes`, `reference`.
        folder: Where it lies.
    """

    blocks: Mapping[int, Blocks] = field(default_factory=dict)
    beside: Mapping[int, Blocks] = field(default_factory=dict)
    tries: Mapping[int, list[Blocks]] = field(default_factory=dict)
    doubts: Mapping[int, Doubt | None] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()


def write_timings(one: OpenedVariant, first: OpenedVariant, reference: str, folder: Path) -> None:
    """Keeps the timings of a variant and those of the first of its group in the same turns.

    Args:
        one: The variant.
        first: The first of its group.
        reference: The key of the reference's timing.
        folder: Empty.
    """
    for file in one.folder.iterdir():
        if file.name not in {*one.files, LOG_FILE, "job.json"}:
            kept(file, folder / file.name)
    beside = [] if one is first else [_copied(turn, first, folder) for turn in first.turns]
    about = {
        "turns": one.turns,
        "beside": beside,
        "stages": one.timed_answers,
        "notes": one.notes,
        "reference": reference,
    }
    (folder / TIMING_FILE).write_text(json.dumps(about, indent=1), encoding="utf-8")


def read_timings(folder: Path) -> Timings:
    """What `write_timings` wrote."""
    about = json.loads((folder / TIMING_FILE).read_text(encoding="utf-8"))
    doubts, attempts = doubts_of(about["turns"], folder), attempts_of(about["turns"])
    chosen = {size: soundest(found) for size, found in doubts.items()}
    tries = {size: [_loaded(few, folder) for few in found] for size, found in attempts.items()}
    numbers = {size: attempts[size][n][0]["attempt"] for size, n in chosen.items()}
    beside = {
        size: _loaded([t for t in few if t["attempt"] == numbers[size]], folder)
        for size, few in _by_size(about["beside"]).items()
        if size in numbers
    }
    return Timings(
        blocks={size: tries[size][n] for size, n in chosen.items()},
        beside=beside,
        tries=tries,
        doubts={size: doubts[size][n] for size, n in chosen.items()},
        about={**about, "tries": {size: len(found) for size, found in doubts.items()}},
        folder=folder,
    )


def kept_timings(parts: Parts, ingredients: Mapping[str, Any]) -> tuple[Path | None, int]:
    """The newest timing that is kept, and the number that the next one gets."""
    newest, number = None, 0
    while (folder := parts.root / fingerprint_of(numbered(ingredients, number))).is_dir():
        newest, number = folder, number + 1
    return newest, number


def numbered(ingredients: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The ingredients of one timing of several under the same circumstances."""
    return {**ingredients, "number": number}


def agrees(now: Timings, before: Timings) -> bool:
    """Whether the machine times the reference as it did: the medians' intervals overlap, or they
    are within 5 %, at every batch size.
    """
    return all(
        size in before.blocks and _alike(blocks, before.blocks[size])
        for size, blocks in now.blocks.items()
    )


def _alike(now: Blocks, before: Blocks) -> bool:
    found = [latency_findings({1: blocks}) for blocks in (now, before)]
    name = "latency/p50_ms"
    mine, theirs = (one.metrics[name] for one in found)
    if abs(mine / theirs - 1) <= _AGREES:
        return True
    pairs = [one.intervals.get(name, (one.metrics[name],) * 2) for one in found]
    return pairs[0][0] <= pairs[1][1] and pairs[1][0] <= pairs[0][1]


def _copied(turn: Mapping[str, Any], first: OpenedVariant, folder: Path) -> dict[str, Any]:
    name = _BESIDE + turn["file"]
    (folder / name).write_bytes((first.folder / turn["file"]).read_bytes())
    return {**turn, "file": name}


def _by_size(turns: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for turn in turns:
        found.setdefault(turn["batch_size"], []).append(turn)
    return found


def _loaded(turns: Sequence[Mapping[str, Any]], folder: Path) -> Blocks:
    return [np.load(folder / turn["file"]) for turn in turns]
