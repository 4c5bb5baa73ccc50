"""How often the benchmark's intervals hold the truth, on timings and examples that are made up.

    python tests/benchmarks/interval_coverage.py

Timings: runs of a turn follow each other (an autoregressive process), turns have moods that all
variants share and some of their own, the machine drifts, some runs are interrupted. Examples: two
classifiers that err together, and two models of a number with heavy tails. Prints a table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.statistics.equality import compared_latency
from mlflow_tfconv.steps.benchmark.statistics.judge import Judge
from mlflow_tfconv.steps.benchmark.statistics.latency import latency_findings
from mlflow_tfconv.steps.benchmark.statistics.quality import BUILT_IN

Array = np.ndarray[Any, Any]
TURNS, RUNS, ALIKE, NOISE, OWN_MOOD, SPIKES = 5, 60, 0.8, 0.03, 0.005, 0.03
KINDS = {  # the mood that variants share in a turn, and the drift over all turns
    "a calm machine": (0.005, 0.0),
    "turns with moods of 5 %": (0.05, 0.0),
    "moods of 5 % and a drift of 20 %": (0.05, 0.2),
}


def main() -> None:
    """Prints a line a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    rounds = parser.parse_args().rounds
    print("| what | the truth is inside | width |\n|---|---|---|")
    for name, (mood, drift) in KINDS.items():
        for ratio in (1.0, 1.1):
            _line(f"ratio {ratio} of two medians, {name}", _ratios(ratio, mood, drift), rounds)
        _line(f"the same, all runs taken as independent, {name}", _naive(1.1, mood, drift), rounds)
        if not drift:
            _line(f"median of one variant, {name}", _percentiles(50, mood), rounds)
            for percent in (90, 95, 99):
                _line(f"p{percent} of one variant, {name}", _percentiles(percent, mood), rounds)
    for name, examples in (("accuracy", 100), ("accuracy", 1000), ("f1", 1000), ("rmse", 300)):
        _line(f"drop of {name}, {examples:,} examples", _drops(name, examples), rounds // 4)


def _line(what: str, cases: Iterator[tuple[float, float, float]], rounds: int) -> None:
    found = [next(cases) for _ in range(rounds)]
    inside = np.mean([low <= truth <= high for truth, low, high in found])
    width = np.median([high - low for _, low, high in found])
    print(f"| {what} | {inside:.1%} | {width:.3g} |", flush=True)


def _ratios(ratio: float, mood: float, drift: float) -> Iterator[tuple[float, float, float]]:
    for own, reference in _pairs(ratio, mood, drift):
        found = compared_latency(own, reference)
        yield ratio, found.low, found.high


def _naive(ratio: float, mood: float, drift: float) -> Iterator[tuple[float, float, float]]:
    """The bootstrap of single runs, of each variant alone: what is commonly done."""
    generator = np.random.default_rng(2)
    for blocks in _pairs(ratio, mood, drift):
        drawn = []
        for turns in blocks:
            values = np.concatenate(turns)
            places = generator.integers(0, len(values), (200, len(values)))
            drawn.append(np.median(values[places], axis=1))
        low, high = np.quantile(drawn[0] / drawn[1], (0.025, 0.975))
        yield ratio, float(low), float(high)


def _percentiles(percent: int, mood: float) -> Iterator[tuple[float, float, float]]:
    """The truth is the percentile of very many turns."""
    name = f"latency/p{percent}_ms"
    generator = np.random.default_rng(1)
    many = [_turns(generator, generator.normal(0, mood, TURNS), 0.0) for _ in range(2000)]
    values = np.concatenate([turn for turns in many for turn in turns])
    truth = float(np.percentile(values, percent)) / 1e6
    for own, _ in _pairs(1.0, mood, 0.0):
        yield (truth, *latency_findings({1: own}).intervals[name])


def _pairs(ratio: float, mood: float, drift: float) -> Iterator[tuple[list[Array], list[Array]]]:
    generator = np.random.default_rng(0)
    while True:
        shared = generator.normal(0, mood, TURNS) + drift * np.arange(TURNS) / TURNS
        yield (
            _turns(generator, shared, np.log(ratio)),
            _turns(generator, shared, 0.0),
        )


def _turns(generator: np.random.Generator, moods: Array, offset: float) -> list[Array]:
    turns = []
    for mood in moods:
        steps = generator.normal(0, NOISE, RUNS)
        level = [steps[0]]
        for step in steps[1:]:
            level.append(ALIKE * level[-1] + (1 - ALIKE**2) ** 0.5 * step)
        own = generator.normal(0, OWN_MOOD)
        values = 1e6 * np.exp(np.array(level) + mood + own + offset)
        spikes = generator.random(RUNS) < SPIKES
        values[spikes] *= 1 + generator.exponential(0.5, spikes.sum())
        turns.append(values.astype(np.int64))
    return turns


def _drops(name: str, examples: int) -> Iterator[tuple[float, float, float]]:
    """The truth is the drop on very many examples."""
    generator = np.random.default_rng(3)
    make: Callable[[int], tuple[Array, Array, Array]] = (
        (lambda count: _numbers(generator, count))
        if name == "rmse"
        else (lambda count: _classes(generator, count))
    )
    truth = _judged(name, *make(400_000))[0]
    while True:
        yield (truth, *_judged(name, *make(examples))[1])


def _judged(
    name: str, labels: Array, reference: Array, own: Array
) -> tuple[float, tuple[float, float]]:
    judge = Judge(labels=labels, metrics=(BUILT_IN[name],))
    judge.judged("reference", {"y": reference})
    found = judge.judged("own", {"y": own})
    return found.metrics[f"quality/{name}_drop"], found.intervals[f"quality/{name}_drop"]


def _classes(generator: np.random.Generator, count: int) -> tuple[Array, Array, Array]:
    labels = generator.integers(0, 5, count)
    scores = 2.5 * np.eye(5)[labels] + generator.normal(0, 1, (count, 5))
    return labels, scores, scores + generator.normal(0, 0.3, scores.shape)


def _numbers(generator: np.random.Generator, count: int) -> tuple[Array, Array, Array]:
    labels = generator.normal(0, 1, (count, 1))
    errors = 0.1 * generator.standard_t(6, (count, 1))
    return labels, labels + errors, labels + errors + generator.normal(0, 0.03, (count, 1))


if __name__ == "__main__":
    main()
