"""Times variants in turn, A B C A B C, so that what slows the machine for a while hits all alike."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.device import Device, gpu_count, gpu_state
from mlflow_tfconv.errors import BenchmarkError, DeviceError, MissingLibraryError
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.bench import Bench
from mlflow_tfconv.steps.benchmark.driver.opened_variant import OpenedVariant, asked, revived
from mlflow_tfconv.steps.benchmark.driver.progress import TIMING_SHARE
from mlflow_tfconv.steps.benchmark.driver.surroundings import usable_processors
from mlflow_tfconv.steps.benchmark.driver.time_plan import TimePlan
from mlflow_tfconv.steps.benchmark.statistics.blocks import FEWEST_PIECES, Samples
from mlflow_tfconv.steps.benchmark.statistics.doubts import Doubt, doubt, retry_advice
from mlflow_tfconv.steps.benchmark.statistics.latency import latency_findings

Sizes = Mapping[str, Sequence[int]]


class DeviceGoneError(DeviceError):
    """Raised when a GPU has disappeared: nothing more can be timed on it."""


def time_in_turn(group: Sequence[OpenedVariant], bench: Bench, plan: TimePlan) -> None:
    """Times all of a group, tries again what is unstable, and puts them through the timed stages.

    What fails is written into the variant.

    Args:
        group: The first of them is the one that the others are compared with.
        bench: How.
        plan: How long.
    """
    plan.begin()
    try:
        if "single_stream" in bench.config.scenarios:
            _rounds(group, {one.name: one.batch_sizes for one in group}, bench, plan, attempt=0)
            for attempt in range(1, bench.config.retries + 1):
                _again(group, bench, plan, attempt)
        plan.pause()
        _stages(group, bench, plan)
    except DeviceGoneError as error:
        _ended_early(group, error)
    finally:
        plan.pause()


def doubts_of(turns: Sequence[Mapping[str, Any]], folder: Path) -> dict[int, list[Doubt | None]]:
    """Batch size to the doubts about each attempt."""
    return {
        size: [
            doubt(
                [np.load(folder / turn["file"]) for turn in few],
                few,
                processors=usable_processors() or 1,
            )
            for few in attempts
        ]
        for size, attempts in attempts_of(turns).items()
    }


def attempts_of(
    turns: Iterable[Mapping[str, Any]],
) -> dict[int, list[list[Mapping[str, Any]]]]:
    """Batch size to its attempts, each with its turns."""
    found: dict[int, dict[int, list[Mapping[str, Any]]]] = {}
    for turn in turns:
        found.setdefault(turn["batch_size"], {}).setdefault(turn["attempt"], []).append(turn)
    return {size: [few for _, few in sorted(own.items())] for size, own in found.items()}


def _rounds(
    group: Sequence[OpenedVariant], sizes: Sizes, bench: Bench, plan: TimePlan, *, attempt: int
) -> None:
    """One attempt: as many rounds as the config asks for, while there is time."""
    every = sorted({size for few in sizes.values() for size in few})
    spent_s = dict.fromkeys(every, 0.0)
    for number in range(bench.config.blocks):
        if number and plan.left_s() <= 0:
            for one in group:
                one.notes.append(f"was timed in {number} turns only: the minutes were over")
            return
        for size in every:
            if number >= FEWEST_PIECES and plan.is_over(spent_s[size], 2.0**attempt):
                continue
            took_s = [
                _turn(one, size, bench, plan, (attempt, number))
                for one in group
                if one.failure is None and size in sizes.get(one.name, ())
            ]
            spent_s[size] += max(took_s, default=0.0)


def _turn(
    one: OpenedVariant, size: int, bench: Bench, plan: TimePlan, at: tuple[int, int]
) -> float:
    """Times one turn of a variant; gives the seconds that it took."""
    _tell(bench, one, at)
    (attempt, number), began = at, time.monotonic()
    turn = attempt * bench.config.blocks + number
    limits = plan.arguments(number, 2.0**attempt)
    try:
        answer = one.worker.ask("time", batch_size=size, turn=turn, **limits)
    except (BenchmarkError, DeviceError) as error:
        bench.keep_log(one.variant, one.worker.log)
        one.worker.close()
        if is_gone(bench.device):
            raise DeviceGoneError(error.what, received=error.received) from error
        one.failure = error
    else:
        one.turns.append({**answer, "attempt": attempt, "round": number})
    return time.monotonic() - began


def _again(group: Sequence[OpenedVariant], bench: Bench, plan: TimePlan, attempt: int) -> None:
    """Times once more, and longer, what is in doubt; the first of the group beside it.

    Not what is slow: its doubts rest on few runs, of which more would take too long.
    """
    advice = {}
    for one in group:
        slow = _slow(one, bench)
        latest = {
            size: found[-1]
            for size, found in doubts_of(one.turns, one.folder).items()
            if size not in slow
        }
        told = retry_advice(latest) if one.failure is None else None
        if told is not None:
            advice[one.name] = told
    if not advice or plan.left_s() <= 0:
        return
    time.sleep(min(max(told.wait_s for told in advice.values()), max(plan.left_s(), 0)))
    sizes = {name: told.batch_sizes for name, told in advice.items()}
    every = {size for few in sizes.values() for size in few}
    beside = [size for size in group[0].batch_sizes if size in every]
    _rounds(group, {**sizes, group[0].name: beside}, bench, plan, attempt=attempt)


def _slow(one: OpenedVariant, bench: Bench) -> set[int]:
    """The batch sizes whose runs took more than half of what they may take."""
    spent_ns = {
        size: sum(np.load(one.folder / turn["file"]).sum() for turn in attempts[-1])
        for size, attempts in attempts_of(one.turns).items()
    }
    return {size for size, ns in spent_ns.items() if ns > bench.config.max_time_s * 1e9 / 2}


def _stages(group: Sequence[OpenedVariant], bench: Bench, plan: TimePlan) -> None:
    """Stage by stage, so that the variants are neighbours in time."""
    first = group[0]
    blocks: dict[int, list[Samples]] = {
        size: [np.load(first.folder / turn["file"]) for turn in attempts[-1]]
        for size, attempts in attempts_of(first.turns).items()
    }
    known = latency_findings(blocks).metrics
    variants = max(plan.items // max(len(bench.config.batch_sizes), 1), 1)
    within = _with_config(bench, plan.for_scenarios(variants))
    for stage in bench.stages:
        for one in group:
            if stage.name in one.timed_answers or one.failure is not None:
                continue
            if stage not in bench.stages_of(one.variant, "timed"):
                continue
            bench.progress.add(0, f"{one.name}, {stage.name}")
            one.timed_answers[stage.name] = asked(within, one.worker, stage, known)
            _revive(one, bench)


def _revive(one: OpenedVariant, bench: Bench) -> None:
    try:
        one.worker = revived(bench, one.variant, one.worker)
    except (BenchmarkError, DeviceError) as error:
        one.notes.append(f"could not be opened again: {error.what}")


def _with_config(bench: Bench, config: BenchmarkConfig) -> Bench:
    return dataclasses.replace(bench, config=config)


def _ended_early(group: Sequence[OpenedVariant], error: DeviceError) -> None:
    """The device is gone: what was timed by then is kept, where nothing is missing."""
    for one in group:
        timed = {turn["batch_size"] for turn in one.turns if turn["attempt"] == 0}
        if set(one.batch_sizes) <= timed:
            rounds = min(len(few[0]) for few in attempts_of(one.turns).values())
            one.notes.append(f"was timed in {rounds} turns only: the device disappeared")
        elif one.failure is None:
            one.failure = DeviceError(
                "The device disappeared before it was timed.", received=error.what
            )


def is_gone(device: Device) -> bool:
    """Whether a GPU that was there is not there any more."""
    if device.kind == "cpu":
        return False
    try:
        return gpu_count() <= max(device.indices) or gpu_state(device.indices[0]) is None
    except DeviceError:
        return True
    except MissingLibraryError:  # nobody can tell
        return False


def _tell(bench: Bench, one: OpenedVariant, at: tuple[int, int]) -> None:
    attempt, number = at
    again = f", try {attempt + 1}" if attempt else ""
    steps = bench.config.blocks * len(one.batch_sizes)
    detail = f"{one.name}, turn {number + 1} of {bench.config.blocks}{again}"
    bench.progress.add(0 if attempt else TIMING_SHARE / steps, detail)
