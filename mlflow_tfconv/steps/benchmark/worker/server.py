"""Server: queries arrive at random; which rate of them can be borne within a latency bound?

After MLPerf's server scenario, taken from LoadGen: Poisson arrivals of a fixed seed; latency counted
from the scheduled arrival; a share of the queries (the quantile, by default the 99th percentile) must
keep the bound; the number of late ones that proves it ("early stopping"); the search outwards and
then by halves. Not taken: its minimum of 600 s a run; instead a rate also breaks when the line of
those that wait is never empty in the second half of a run.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mlflow_tfconv.steps.benchmark.scenario_options import ServerOptions
from mlflow_tfconv.steps.benchmark.worker.arrivals import (
    Nanoseconds,
    poisson_arrivals_ns,
    predicted_rate,
)
from mlflow_tfconv.steps.benchmark.worker.early_stopping import allowed_late, fewest_answers
from mlflow_tfconv.steps.benchmark.worker.latency_bound import default_bound_ms
from mlflow_tfconv.steps.benchmark.worker.machine_state import MachineWatch
from mlflow_tfconv.steps.benchmark.worker.pinning import thread_placement
from mlflow_tfconv.steps.benchmark.worker.rate_search import Bracket, searched
from mlflow_tfconv.steps.benchmark.worker.scenario_batches import (
    batches_of_size,
    calls_of,
    size_for,
)
from mlflow_tfconv.steps.benchmark.worker.serving import Run, Terms, served
from mlflow_tfconv.steps.benchmark.worker.streams import streamed

if TYPE_CHECKING:  # the opened model knows all commands
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

_SINGLE_S = 0.3
_FEWEST_SINGLE = 100
#: A trial has answers enough to bear so many late ones: the most that there is time for.
_LATE_ONES = (40, 20, 10, 4, 1, 0)
_SHARE_IN_THE_SEARCH = 0.7  # of the late ones that a quantile leaves: as many as the first of those
_LEAST_LOAD = 0.001  # of what the threads can do; a rate below is no server's
_FOR_LOOKING = 0.1  # of the time limit
_FOR_CONFIRMATION = 0.35  # of the time limit
_OF_THE_SEARCH = 1 / 8  # of its time that is left, for one trial
_OF_THE_REST = 1 / 2  # of all time that is left, for the confirmation
_STEPS_BACK = (1.0, 0.95, 0.85, 0.7)  # from the rate that the search found
_STEP_BACK = 0.9  # from a rate that was only predicted
_SHORTEST_IN_BOUNDS = 2
_PATIENCE = 1.5  # times what a trial should take
_LATE_WAKING = 0.1  # of the bound
_ATTEMPTS = 2
_BUSY = 0.25  # processors
_FAR_BELOW = 0.75
_ANSWERS_OF_QUANTILE = {50: 1, 99: 100}


def server(opened: OpenedModel, **arguments: Any) -> dict[str, Any]:
    """Looks for the highest rate of queries that keeps the bound, and confirms it.

    Args:
        opened: The model.
        **arguments: Fields of ServerOptions.

    Returns:
        `max_rate_per_s` (None: `why` says why), `confirmed` by a run of its own with other arrivals,
        `bound_ms`, `own_bound` (it was not given), `p50_ms` and `p99_ms` at that rate, `broke_at_per_s` (the lowest rate that did not
        hold), `trials` with their files ((answered, 3) int64 nanoseconds: due, taken, answered), and
        what was measured beforehand: `single_p50_ms`, `predicted_rate_per_s`.
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
        self._started = time.perf_counter()
        self._trials: list[dict[str, Any]] = []
        self._alone = self._seen_alone()
        median_ms, p99_ms = (np.percentile(self._alone.single_ns, (50, 99)) / 1e6).tolist()
        asked = options.latency_bound_ms
        self._bound_ns = (asked or default_bound_ms(median_ms, p99_ms)) * 1e6

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
            "trials": self._trials,
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
            count = self._affordable(rate, search_s, _OF_THE_SEARCH)
            return None if count is None else self._held(rate, count, proof=False)

        return searched(holds, first, least=least, precision=self._options.precision)

    def _confirmed(self, known: Bracket, first: float) -> dict[str, Any]:
        """A run of its own, with other arrivals, at the highest rate that held."""
        start = known.held or first * _STEP_BACK
        count: int | None = 0
        for step in _STEPS_BACK:
            rate = start * step
            count = self._affordable(rate, self._options.time_limit_s, _OF_THE_REST)
            if count is None:
                break
            if self._held(rate, count, proof=True):
                return self._at(rate, confirmed=True)
        if known.held is not None:
            return self._at(known.held, confirmed=False)
        return self._none(self._why_no_time(rate) if count is None else self._why_none(known))

    def _affordable(self, rate: float, until_s: float, share: float) -> int | None:
        """How many queries a trial has: the more, the less luck is in it.

        As many as fit into a share of what is left of the time; if need be, and it is left at all,
        the fewest that prove anything. A trial is never shorter than two bounds, since no query could
        be late in it.
        """
        left_s = until_s - (time.perf_counter() - self._started)
        shortest_s = max(self._options.min_time_s, _SHORTEST_IN_BOUNDS * self._bound_ns / 1e9)
        counts = [max(self._fewest(late), math.ceil(rate * shortest_s)) for late in _LATE_ONES]
        fitting = (count for count in counts if count / rate <= share * left_s)
        return next(fitting, counts[-1] if counts[-1] / rate <= left_s else None)

    def _fewest(self, late: int) -> int:
        options = self._options
        return fewest_answers(late, quantile=options.quantile, confidence=options.confidence)

    def _held(self, rate: float, count: int, *, proof: bool) -> bool:
        """Whether the rate held; when it did not and others disturbed it, it is tried again."""
        for _ in range(_ATTEMPTS):
            trial = self._trial(rate, count, proof=proof)
            if trial["held"] or (trial["busy_others"] or 0.0) <= _BUSY:
                break
        return bool(trial["held"])

    def _trial(self, rate: float, count: int, *, proof: bool) -> dict[str, Any]:
        """Queries at a rate: a proof, or a step of the search with the arrivals of all its steps.

        In the search as many are allowed to be late as in a long proof, only with less certainty.
        """
        options = self._options
        allowed = allowed_late(count, quantile=options.quantile, confidence=options.confidence)
        if not proof:
            allowed = max(allowed, int(_SHARE_IN_THE_SEARCH * (1 - options.quantile) * count))
        left_s = options.time_limit_s - (time.perf_counter() - self._started)
        terms = Terms(
            bound_ns=self._bound_ns,
            allowed_late=allowed,
            limit_ns=max(left_s, _PATIENCE * count / rate) * 1e9,
        )
        arrivals = poisson_arrivals_ns(count, rate, options.seed + proof)
        watch = MachineWatch()
        run = served(self._calls, arrivals, terms, threads=options.threads)
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
        self._trials.append(trial)
        return trial

    def _kept(self, run: Run) -> dict[str, Any]:
        file = f"server_trial_{len(self._trials):02}.npy"
        np.save(self._opened.folder / file, run.times_ns)
        latencies, wake_up = run.latencies_ns / 1e6, run.wake_up_ns
        return {
            "answered": len(latencies),
            "late": run.late,
            "ended": run.ended,
            **{f"p{q}_ms": _quantile(latencies, q) for q in (50, 99)},
            "wake_up_ms": None if wake_up is None else wake_up / 1e6,
            "file": file,
        }

    def _doubts(self, known: Bracket, confirmed: float | None) -> list[str]:
        """Why the rate may be lower than what the model could bear."""
        doubts = []
        if confirmed and known.held and confirmed < _FAR_BELOW * known.held:
            doubts.append(f"up to {known.held:,.4g} a second held once, but not a second time")
        delay = self._median("wake_up_ms")
        if delay > _LATE_WAKING * self._bound_ns / 1e6:
            doubts.append(f"waiting threads were woken {delay:.3g} ms late")
        busy = self._median("busy_others")
        if busy > _BUSY:
            doubts.append(f"other processes used {busy:.1f} processors")
        return doubts

    def _median(self, name: str) -> float:
        """Of all trials."""
        values = [trial[name] for trial in self._trials if trial[name] is not None]
        return float(np.median(values)) if values else 0.0

    def _at(self, rate: float, *, confirmed: bool) -> dict[str, Any]:
        """What the last trial at this rate that held says."""
        trial = next(t for t in reversed(self._trials) if t["rate_per_s"] == rate and t["held"])
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
        fewest = self._fewest(0)
        return (
            f"{fewest} queries at about {rate:.3g} a second take {fewest / rate:.0f} s, longer than "
            f"is left of server.time_limit_s ({self._options.time_limit_s:g} s)"
        )


def _quantile(latencies_ms: Any, percent: int) -> float | None:
    """None where the count does not support it."""
    enough = len(latencies_ms) >= _ANSWERS_OF_QUANTILE[percent]
    return float(np.percentile(latencies_ms, percent)) if enough else None
