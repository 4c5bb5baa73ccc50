"""What was measured of one variant, read from where it is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.driver.largest_batch import with_estimated_batch
from mlflow_tfconv.steps.benchmark.driver.measuring import Found
from mlflow_tfconv.steps.benchmark.driver.offline_stage import rates_of_both
from mlflow_tfconv.steps.benchmark.driver.stage import Findings, Stage, together
from mlflow_tfconv.steps.benchmark.driver.timings import Timings, read_timings
from mlflow_tfconv.steps.benchmark.statistics.blocks import Blocks, Samples, all_samples
from mlflow_tfconv.steps.benchmark.statistics.doubts import unstable_note
from mlflow_tfconv.steps.benchmark.statistics.latency import latency_findings
from mlflow_tfconv.steps.benchmark.worker.job import RESULT_FILE

_MS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured of one variant.

    Attributes:
        metrics: Latency, throughput, start, footprint, under the names of DESIGN.
        intervals: The same names to (low, high), 95 %, where they are known.
        notes: What a reader should know.
        outputs: Output name to array over all examples; empty without examples.
        samples: Batch size to raw nanoseconds.
        blocks: The same, one array a turn.
        tries: Batch size to the blocks of every attempt, the unsound ones too.
        beside: The reference's, in the same turns; empty for the reference itself.
        details: All that the worker wrote down, plain values.
        folder: Where it lies.
        timing_folder: Where what belongs to its timing lies.
        files: Large files that the stages left behind.
    """

    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    outputs: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    samples: Mapping[int, Samples] = field(default_factory=dict)
    blocks: Mapping[int, Blocks] = field(default_factory=dict)
    tries: Mapping[int, list[Blocks]] = field(default_factory=dict)
    beside: Mapping[int, Blocks] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    timing_folder: Path = Path()
    files: tuple[Path, ...] = ()


def read_measurement(found: Found, stages: Iterable[Stage]) -> Measurement:
    """What is kept of a variant.

    Args:
        found: Where it lies; it was opened.
        stages: Those that can read their answers.
    """
    home = found.opened or Path()
    told = json.loads((home / RESULT_FILE).read_text(encoding="utf-8"))
    timings = Timings() if found.timing is None else read_timings(found.timing)
    timed_answers = timings.about.get("stages", {})
    read = {
        stage.name: _findings(stage, answers[stage.name], folder)
        for stage in stages
        for answers, folder in (
            (timed_answers, timings.folder) if stage.when == "timed" else (told["stages"], home),
        )
        if stage.name in answers
    }
    details = {name: one.details for name, one in read.items()}
    latency = latency_findings(timings.blocks)
    whole = with_estimated_batch(together(list(read.values())), details)
    timed = Findings(metrics=latency.metrics, intervals=latency.intervals)
    numbers = rates_of_both(timed, whole)
    return Measurement(
        metrics={**numbers.metrics, **_startup(told["open"]["startup"])},
        intervals=numbers.intervals,
        notes=(
            *told["open"]["notes"],
            *told["predict"].get("notes", ()),
            *timings.about.get("notes", ()),
            *unstable_note(timings.doubts),
            *whole.notes,
        ),
        outputs=_outputs(told, home),
        samples={size: all_samples(blocks) for size, blocks in timings.blocks.items()},
        blocks=timings.blocks,
        tries=timings.tries,
        beside=timings.beside,
        details=_details(told, timings, details),
        folder=home,
        timing_folder=timings.folder,
        files=whole.files,
    )


def _findings(stage: Stage, answer: Mapping[str, Any], folder: Path) -> Findings:
    if "error" in answer:
        return Findings(notes=(f"has no {stage.name}: {answer['error']}",))
    return stage.read(answer["ok"], folder / stage.name if stage.when == "alone" else folder)


def _startup(told: Mapping[str, Any]) -> dict[str, float]:
    """`startup/...` in milliseconds; what the runtime does not tell apart is absent."""
    return {
        f"startup/{name}_ms": told[f"{name}_ns"] / _MS
        for name in ("load", "optimization", "first_run")
        if told[f"{name}_ns"] is not None
    }


def _outputs(told: Mapping[str, Any], home: Path) -> dict[str, np.ndarray[Any, Any]]:
    outputs = [one for one in told["predict"]["outputs"] if one["file"]]
    return {one["name"]: np.load(home / one["file"], mmap_mode="r") for one in outputs}


def _details(
    told: Mapping[str, Any], timings: Timings, stages: Mapping[str, Any]
) -> dict[str, Any]:
    opened = told["open"]
    chosen = {size: len(blocks) for size, blocks in timings.blocks.items()}
    batches = [
        {
            "batch_size": size,
            "count": int(sum(len(block) for block in timings.blocks[size])),
            "turns": turns,
            "tries": timings.about["tries"][size],
            "unstable": str(doubt) if (doubt := timings.doubts.get(size)) else None,
        }
        for size, turns in chosen.items()
    ]
    return {
        "startup": opened["startup"],
        "batches": batches,
        "surroundings": opened["surroundings"],
        "stages": {name: dict(found) for name, found in stages.items() if found},
    }
