"""The bound on a server's latency where none was asked for."""

from __future__ import annotations

#: At five medians of a single stream a server that takes one query at a time can be busy for
#: somewhat more than half of its time. At two hardly any queue is allowed, at twenty the rate says
#: no more than the throughput does.
_IN_MEDIANS = 5
#: Where single answers take much longer than their median, a bound that they break without any queue
#: says nothing of rates.
_IN_P99 = 2
#: Below this the time in which an operating system wakes a thread would be measured, not the model.
_LEAST_MS = 1.0


def default_bound_ms(median_ms: float, p99_ms: float | None) -> float:
    """The bound for a model of these latencies of a single stream."""
    return max(_IN_MEDIANS * median_ms, _IN_P99 * (p99_ms or 0.0), _LEAST_MS)
