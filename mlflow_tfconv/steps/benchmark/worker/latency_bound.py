"""The bound on a server's latency where none was asked for."""

from __future__ import annotations

#: At five medians of a single stream a server that takes one query at a time can be busy for
#: somewhat more than half of its time. At two hardly any queue is allowed, at twenty the rate says
#: no more than the throughput does.
_IN_MEDIANS = 5
#: Where single answers take much longer than their median, a bound that they break without any queue
#: says nothing of rates.
_IN_P99 = 2


def default_bound(median: float, p99: float | None) -> float:
    """The bound for a model of these latencies of a single stream, in their unit."""
    return max(_IN_MEDIANS * median, _IN_P99 * (p99 or 0.0))
