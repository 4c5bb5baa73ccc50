"""When queries arrive, and which rate of them a model could bear by its service times alone."""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np
from numpy.random import default_rng

Nanoseconds = np.ndarray[Any, np.dtype[np.int64]]
_SIMULATED_QUERIES = 4000
_HALVINGS = 12


def poisson_arrivals_ns(count: int, rate_per_s: float, seed: int) -> Nanoseconds:
    """The times of a Poisson process: exponential gaps, as LoadGen's server scenario has them.

    Of one seed all rates have the same pattern, only denser or wider: trials of two rates differ by
    the rate and not by their luck.

    Returns:
        (count,) int64 nanoseconds, ascending.
    """
    gaps = default_rng(seed).exponential(1e9 / rate_per_s, count)
    return np.cumsum(gaps).astype(np.int64)


def predicted_rate(
    service_ns: Nanoseconds, *, bound_ns: float, quantile: float, threads: int
) -> float:
    """The highest rate that such a queue would bear: where the search for the real one begins.

    Queries wait in one line for the first of `threads` that is free; the time of service is drawn
    from what was measured.

    Returns:
        Queries a second; 0 where the service alone breaks the bound too often.
    """
    generator = default_rng(0)
    service = generator.choice(service_ns, _SIMULATED_QUERIES)
    if float(np.mean(service > bound_ns)) > 1 - quantile:
        return 0.0
    low, high = 0.0, threads * 1e9 / float(service_ns.mean())
    for _ in range(_HALVINGS):
        rate = (low + high) / 2
        arrivals = poisson_arrivals_ns(_SIMULATED_QUERIES, rate, seed=1)
        late = simulated_latencies_ns(arrivals, service, threads) > bound_ns
        low, high = (rate, high) if float(np.mean(late)) <= 1 - quantile else (low, rate)
    return low


def simulated_latencies_ns(
    arrivals_ns: Nanoseconds, service_ns: Nanoseconds, threads: int
) -> Nanoseconds:
    """From arrival to answer, where the first in line goes to the first thread that is free."""
    free = [-math.inf] * threads
    latencies = np.empty(len(arrivals_ns), np.int64)
    pairs = zip(arrivals_ns.tolist(), service_ns.tolist(), strict=True)
    for number, (arrival, service) in enumerate(pairs):
        end = max(heapq.heappop(free), arrival) + service
        heapq.heappush(free, end)
        latencies[number] = end - arrival
    return latencies
