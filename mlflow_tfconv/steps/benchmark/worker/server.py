"""Server: queries arrive at random; which rate of them can be borne within a latency bound?

After MLPerf's server scenario, taken from LoadGen: Poisson arrivals of a fixed seed; latency counted
from the scheduled arrival; a share of the queries (the quantile, by default the 99th percentile) must
keep the bound; the number of late ones that proves it ("early stopping"); the search outwards and
then by halves. Not taken: its minimum of 600 s a run; instead a rate also breaks when the line of
those that wait is never empty in the second half of a run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mlflow_tfconv.steps.benchmark.scenario_options import ServerOptions
from mlflow_tfconv.steps.benchmark.worker.arrivals import Nanoseconds, predicted_rate
from mlflow_tfconv.steps.benchmark.worker.early_stopping import fewest_answers
from mlflow_tfconv.steps.benchmark.worker.latency_bound import default_bound_ms
from mlflow_tfconv.steps.benchmark.worker.pinning import thread_placement
from mlflow_tfconv.steps.benchmark.worker.rate_search import Bracket, searched
from mlflow_tfconv.steps.benchmark.worker.scenario_batches import (
    batches_of_size,
    calls_of,
    size_for,
)
from mlflow_tfconv.steps.benchmark.worker.server_trials import BUSY, Trials
from mlflow_tfconv.steps.benchmark.worker.streams import streamed

if TYPE_CHECKING:  # the opened model knows all commands
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

_SINGLE_S = 0.3
_FEWEST_SINGLE = 100
_LEAST_LOAD = 0.001  # of what the threads can do; a rate below is no server's
_FOR_LOOKING = 0.1  # of the time limit
_FOR_CONFIRMATION = 0.35  # of the time limit
_OF_THE_SEARCH = 1 / 8  # of its time that is left, for one trial
_OF_THE_REST = 1 / 2  # of all time that is left, for the confirmation
_STEPS_BACK = (1.0, 0.95, 0.85, 0.7)  # from the rate that the search found
_STEP_BACK = 0.9  # from a rate that was only predicted
_LATE_WAKING = 0.1  # of the bound
_FAR_BELOW = 0.75
_LESS = 0.9  # the quantile that is advised where there is too little time


def server(opened: OpenedModel, **arguments: Any) -> dict[str, Any]:
    """Looks for the highest rate of queries that keeps the bound, and confirms it.

    Args:
        opened: The model.
        **arguments: Fields of ServerOptions.

    Returns:
        `max_rate_per_s` (None: `why` says why), `confirmed` by a run of its own with other arrivals,
        `bound_ms`, `own_bound` (it was not given), `p50_ms` and `p99_ms` at that rate,
        `broke_at_per_s` (the lowest rate that did not hold), `trials` with their files ((answered,
        3) int64 nanoseconds: due, taken, answered), `doubts`, and what was measured beforehand:
        `single_p50_ms`, `predicted_rate_per_s`, `ceiling_per_s`.
    """
    options = ServerOptions(**arguments)
    return _Server(opened, options).result()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Alone:
    """What was seen before the first query.

    Attributes:
        single_ns: Latencies of a single stream.
        busy_ns: Latencies while all threads were at work without a pause.
        ceiling_per_s: Queries a second at their median: no rate above it lasts, whatever the bound.
    """

    single_ns: Nanoseconds
    busy_ns: Nanoseconds
    ceiling_per_s: float


class _Server:
    """A search for one model."""

    def __init__(self, opened: OpenedModel, options: ServerOptions) -> None:
        self._opened, self._options = opened, options
        self._size = size_for(opened, options.batch_size)
        self._calls = calls_of(opened.runtime, batches_of_size(opened, self._size))
        started = time.perf_counter()
        self._alone = self._seen_alone()
        median_ms, p99_ms = (np.percentile(self._alone.single_ns, (50, 99)) / 1e6).tolist()
        asked = options.latency_bound_ms
        self._bound_ns = (asked or default_bound_ms(median_ms, p99_ms)) * 1e6
        self._trials = Trials(
            calls=self._calls,
            options=options,
            bound_ns=self._bound_ns,
            folder=opened.folder,
            started=started,
        )

    def result(self) -> dict[str, Any]:
        """The rate, or why there is none."""
        first = predicted_rate(
            self._alone.busy_ns,
            bound_ns=self._bound_ns,
            quantile=self._options.quantile,
            threads=self._options.threads,
        )
        known = self._searched(first) if first else Bracket()
        none = not first or (known.held is None and known.broke is not None)
        found = self._none(self._why_none(known)) if none else self._confirmed(known, first)
        return {
            **found,
            "bound_ms": self._bound_ns / 1e6,
            "own_bound": self._options.latency_bound_ms is None,
            "broke_at_per_s": known.broke,
            "predicted_rate_per_s": first,
            "ceiling_per_s": self._alone.ceiling_per_s,
            "single_p50_ms": float(np.median(self._alone.single_ns)) / 1e6,
            "quantile": self._options.quantile,
            "confidence": self._options.confidence,
            "batch_size": self._size,
            "threads": self._options.threads,
            "placement": thread_placement(pinned=self._opened.job.pin_threads),
            "trials": self._trials.rows,
            "doubts": self._doubts(known, found["max_rate_per_s"]),
        }

    def _seen_alone(self) -> _Alone:
        limit_s = self._options.time_limit_s * _FOR_LOOKING
        look = partial(streamed, min_time_s=_SINGLE_S, min_count=_FEWEST_SINGLE, limit_s=limit_s)
        threads, single = self._options.threads, look([self._calls])
        busy = look([self._calls] * threads) if threads > 1 else single
        return _Alone(
            single_ns=single.latencies_ns,
            busy_ns=busy.latencies_ns,
            ceiling_per_s=threads * 1e9 / float(np.median(busy.latencies_ns)),
        )

    def _searched(self, first: float) -> Bracket:
        least = _LEAST_LOAD * self._alone.ceiling_per_s
        search_s = self._options.time_limit_s * (1 - _FOR_CONFIRMATION)

        def holds(rate: float) -> bool | None:
            if rate > self._alone.ceiling_per_s:
                return False
            count = self._trials.affordable(rate, search_s, _OF_THE_SEARCH)
            return None if count is None else self._trials.held(rate, count, proof=False)

        return searched(holds, first, least=least, precision=self._options.precision)

    def _confirmed(self, known: Bracket, first: float) -> dict[str, Any]:
        """A run of its own, with other arrivals, at the highest rate that held."""
        start = known.held or first * _STEP_BACK
        for step in _STEPS_BACK:
            rate = start * step
            count = self._trials.affordable(rate, self._options.time_limit_s, _OF_THE_REST)
            if count is None and step == 1 and known.held:
                return self._at(rate, confirmed=False)
            if count is None:
                return self._none(self._why_no_time(rate))
            if self._trials.held(rate, count, proof=True):
                return self._at(rate, confirmed=True)
        return self._none(f"rates up to {start:,.4g} a second held once, but not a second time")

    def _doubts(self, known: Bracket, confirmed: float | None) -> list[str]:
        """Why the rate may be lower than what the model could bear."""
        doubts = []
        if confirmed and known.held and confirmed < _FAR_BELOW * known.held:
            doubts.append(f"up to {known.held:,.4g} a second held once, but not a second time")
        delay = self._trials.median("wake_up_ms")
        if delay > _LATE_WAKING * self._bound_ns / 1e6:
            doubts.append(f"waiting threads were woken {delay:.3g} ms late")
        busy = self._trials.median("busy_others")
        if busy > BUSY:
            doubts.append(f"other processes used {busy:.1f} processors")
        return doubts

    def _at(self, rate: float, *, confirmed: bool) -> dict[str, Any]:
        """What the last trial at this rate that held says."""
        trial = self._trials.last_held(rate)
        return {
            "max_rate_per_s": rate,
            "confirmed": confirmed,
            "why": None if confirmed else "there was no time for a second run that confirms it",
            "p50_ms": trial["p50_ms"],
            "p99_ms": trial["p99_ms"],
        }

    def _none(self, why: str) -> dict[str, Any]:
        return {"max_rate_per_s": None, "confirmed": False, "why": why}

    def _why_none(self, known: Bracket) -> str:
        share = float(np.mean(self._alone.busy_ns > self._bound_ns))
        reason = (
            f"even {known.broke:,.4g} queries a second broke it"
            if known.broke
            else f"{share:.2%} of the answers take longer even where none waits in a queue"
        )
        bound = f"{self._bound_ns / 1e6:.4g} ms for {self._options.quantile:.4g} of the queries"
        return f"no rate keeps {bound}: {reason}"

    def _why_no_time(self, rate: float) -> str:
        fewest = self._trials.fewest()
        less = fewest_answers(0, quantile=_LESS, confidence=self._options.confidence)
        instead = (
            f"; server.quantile {_LESS} takes {less}" if self._options.quantile > _LESS else ""
        )
        return (
            f"{fewest} queries at about {rate:,.0f} a second take {fewest / rate:.2g} s, longer than "
            f"is left of server.time_limit_s ({self._options.time_limit_s:.3g} s), which `minutes` "
            f"may shorten{instead}"
        )
