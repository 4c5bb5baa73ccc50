"""Trials of rates: how many queries each has, what came of it, and what disturbed it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.scenario_options import ServerOptions
from mlflow_tfconv.steps.benchmark.worker.arrivals import poisson_arrivals_ns
from mlflow_tfconv.steps.benchmark.worker.early_stopping import allowed_late, fewest_answers
from mlflow_tfconv.steps.benchmark.worker.machine_state import MachineWatch
from mlflow_tfconv.steps.benchmark.worker.serving import Call, Run, Terms, served

BUSY = 0.25  # processors
#: A trial has answers enough to bear so many late ones: the most that there is time for.
_LATE_ONES = (40, 20, 10, 4, 1, 0)
_SHARE_IN_THE_SEARCH = 0.7  # of the late ones that a quantile leaves: as many as the first of those
_SHORTEST_IN_BOUNDS = 2
_PATIENCE = 1.5  # times what a trial should take
_ATTEMPTS = 2
_ANSWERS_OF_QUANTILE = {50: 1, 99: 100}


@dataclass(slots=True, kw_only=True)
class Trials:
    """The trials of one search.

    Attributes:
        calls: What answers a query, in turn.
        options: What was asked for.
        bound_ns: A query answered later than this is late.
        folder: Where the raw times go.
        started: When the time of the search began, of `time.perf_counter`.
        rows: What came of each trial, as plain values.
    """

    calls: Sequence[Call]
    options: ServerOptions
    bound_ns: float
    folder: Path
    started: float
    rows: list[dict[str, Any]] = field(default_factory=list)

    def affordable(self, rate: float, until_s: float, share: float) -> int | None:
        """How many queries a trial has: the more, the less luck is in it.

        As many as fit into a share of what is left of the time; if need be, and it is left at all,
        the fewest that prove anything. A trial is never shorter than two bounds, since no query could
        be late in it.
        """
        left_s = until_s - (time.perf_counter() - self.started)
        shortest_s = max(self.options.min_time_s, _SHORTEST_IN_BOUNDS * self.bound_ns / 1e9)
        counts = [max(self.fewest(late), math.ceil(rate * shortest_s)) for late in _LATE_ONES]
        fitting = (count for count in counts if count / rate <= share * left_s)
        return next(fitting, counts[-1] if counts[-1] / rate <= left_s else None)

    def fewest(self, late: int = 0) -> int:
        """The fewest answers that prove anything where so many are late."""
        options = self.options
        return fewest_answers(late, quantile=options.quantile, confidence=options.confidence)

    def held(self, rate: float, count: int, *, proof: bool) -> bool:
        """Whether the rate held; when it did not and others disturbed it, it is tried again."""
        for _ in range(_ATTEMPTS):
            trial = self._trial(rate, count, proof=proof)
            if trial["held"] or (trial["busy_others"] or 0.0) <= BUSY:
                break
        return bool(trial["held"])

    def last_held(self, rate: float) -> dict[str, Any]:
        """The last trial at this rate that held."""
        return next(row for row in reversed(self.rows) if row["rate_per_s"] == rate and row["held"])

    def median(self, name: str) -> float:
        """Of what all trials tell under a name; 0 when none does."""
        values = [row[name] for row in self.rows if row[name] is not None]
        return float(np.median(values)) if values else 0.0

    def _trial(self, rate: float, count: int, *, proof: bool) -> dict[str, Any]:
        """Queries at a rate: a proof, or a step of the search with the arrivals of all its steps.

        In the search as many are allowed to be late as in a long proof, only with less certainty.
        """
        options = self.options
        allowed = allowed_late(count, quantile=options.quantile, confidence=options.confidence)
        if not proof:
            allowed = max(allowed, int(_SHARE_IN_THE_SEARCH * (1 - options.quantile) * count))
        left_s = options.time_limit_s - (time.perf_counter() - self.started)
        terms = Terms(
            bound_ns=self.bound_ns,
            allowed_late=allowed,
            limit_ns=max(left_s, _PATIENCE * count / rate) * 1e9,
        )
        arrivals = poisson_arrivals_ns(count, rate, options.seed + proof)
        watch = MachineWatch()
        run = served(self.calls, arrivals, terms, threads=options.threads)
        trial = {
            "rate_per_s": rate,
            "queries": count,
            "allowed_late": allowed,
            "proof": proof,
            "held": run.ended == "complete" and run.late <= allowed and run.emptied,
            "line_grew": run.ended == "complete" and not run.emptied,
            "busy_others": watch.so_far()["busy_others"],
            **self._kept(run),
        }
        self.rows.append(trial)
        return trial

    def _kept(self, run: Run) -> dict[str, Any]:
        file = f"server_trial_{len(self.rows):02}.npy"
        np.save(self.folder / file, run.times_ns)
        latencies, wake_up = run.latencies_ns / 1e6, run.wake_up_ns
        return {
            "answered": len(latencies),
            "late": run.late,
            "ended": run.ended,
            **{f"p{q}_ms": _quantile(latencies, q) for q in (50, 99)},
            "wake_up_ms": None if wake_up is None else wake_up / 1e6,
            "file": file,
        }


def _quantile(latencies_ms: Any, percent: int) -> float | None:
    """None where the count does not support it."""
    enough = len(latencies_ms) >= _ANSWERS_OF_QUANTILE[percent]
    return float(np.percentile(latencies_ms, percent)) if enough else None
