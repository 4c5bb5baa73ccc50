"""Is one variant faster than another, or are they equal as far as anyone can tell?

The variants ran in turn, A B C A B C. What slows the machine for a while hits all of them, and the
ratio of neighbours lets it cancel: turn by turn the ratio is formed, and the interval is Student's t
of the logarithms of these ratios (paired, as in Bulej et al., Duet benchmarking, ICPE 2020; effect
sizes as ratios with intervals: Kalibera and Jones, Rigorous benchmarking in reasonable time, 2013).

A difference is claimed only when each one's own interval, as it is shown, lies apart from the other's
too: what a reader sees overlap is called equal, and the ratio with its bounds stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from mlflow_tfconv.steps.benchmark.statistics.blocks import (
    FEWEST_PIECES,
    Blocks,
    Samples,
    paired_pieces,
    pieces,
)
from mlflow_tfconv.steps.benchmark.statistics.bootstrap import (
    mean_interval,
    quantile_intervals,
    quantile_ratio_interval,
)
from mlflow_tfconv.steps.benchmark.statistics.findings import Interval
from mlflow_tfconv.steps.benchmark.statistics.latency import FEWEST_RUNS
from mlflow_tfconv.steps.benchmark.statistics.student import t95

Array = np.ndarray[Any, Any]
Verdict = Literal["equal", "faster", "slower"]
#: Two processes of one and the same program differ by a few percent for good, since their memory
#: lies differently (Mytkowicz et al., Producing wrong data without doing anything obviously wrong,
#: 2009), and turns of the same two processes can't show that. Seen: 2.2 %, known to 0.5 %.
ALIKE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One variant against another.

    Attributes:
        ratio: Own time divided by the reference's; of rates the other way round, so that for
            times below 1 is faster, for rates above 1.
        low: Lower end of its 95 % interval; 0 when nothing is known,
        high: upper end; infinite then.
        verdict: "equal" when the interval touches what is as good as 1, from 1/1.03 to 1.03, or when
            the intervals of the two numbers overlap.
        basis: What it rests on, in words.
    """

    ratio: float
    low: float
    high: float
    verdict: Verdict
    basis: str


def compared_latency(own: Blocks, reference: Blocks, *, quantile: int = 50) -> Compared:
    """A percentile of the own timings against the same of the reference's, paired by turn.

    Args:
        own: Timings of a variant; turn k beside turn k of
        reference: the variant it is compared with.
        quantile: The percentile, of each turn's runs.
    """
    found = _paired_latency(own, reference, quantile)
    ends = [quantile_intervals(pieces(turns), [quantile / 100]) for turns in (own, reference)]
    return _where_apart(found, [end[0] if end else None for end in ends])


def _paired_latency(own: Blocks, reference: Blocks, quantile: int) -> Compared:
    pairs = paired_pieces(own, reference)
    if pairs and not all(_supports(piece, quantile) for pair in pairs for piece in pair):
        ratio, interval = quantile_ratio_interval(pairs, quantile / 100)
        return _judged(ratio, interval, _basis(len(pairs), own, reference))
    logs = [(_log_quantile(a, quantile), _log_quantile(b, quantile)) for a, b in pairs]
    return _compared(np.array(logs).reshape(-1, 2), own, reference)


def compared_rate(
    own: Blocks, reference: Blocks, *, own_size: int = 1, reference_size: int = 1
) -> Compared:
    """Examples per second of the own timings against the reference's, paired by turn.

    Args:
        own: Timings of a variant; turn k beside turn k of
        reference: the variant it is compared with.
        own_size: Examples in each of its runs.
        reference_size: Examples in each of the reference's.
    """
    pairs = paired_pieces(own, reference)
    logs = [
        (math.log(max(a.mean(), 1) / own_size), math.log(max(b.mean(), 1) / reference_size))
        for a, b in pairs
    ]
    ends = [_time_an_example(own, own_size), _time_an_example(reference, reference_size)]
    times = _where_apart(_compared(np.array(logs).reshape(-1, 2), own, reference), ends)
    return Compared(
        ratio=1 / times.ratio,
        low=1 / times.high,
        high=math.inf if times.low == 0 else 1 / times.low,
        verdict=times.verdict,
        basis=times.basis,
    )


def _time_an_example(turns: Blocks, size: int) -> Interval | None:
    found = mean_interval(pieces(turns))
    return None if found is None else (found[0] / size, found[1] / size)


def _where_apart(found: Compared, intervals: Sequence[Interval | None]) -> Compared:
    """The same, equal where the two numbers' own intervals overlap."""
    own, reference = intervals
    if own is None or reference is None or own[1] < reference[0] or reference[1] < own[0]:
        return found
    return replace(found, verdict="equal")


def _supports(piece: Samples, percent: int) -> bool:
    """Whether a percentile of the piece alone says something."""
    return len(piece) >= FEWEST_RUNS.get(percent, 1)


def _log_quantile(samples: Samples, percent: int) -> float:
    return math.log(max(float(np.percentile(samples, percent)), 1.0))


def _compared(logs: Array, own: Blocks, reference: Blocks) -> Compared:
    """From the logarithms (pairs, 2) of own and reference."""
    count = len(logs)
    if count < FEWEST_PIECES:
        return _judged(1.0, (0.0, math.inf), "too few runs")
    ratios = logs[:, 0] - logs[:, 1]
    middle = float(ratios.mean())
    reach = t95(count - 1) * float(ratios.std(ddof=1)) / math.sqrt(count)
    interval = math.exp(middle - reach), math.exp(middle + reach)
    return _judged(math.exp(middle), interval, _basis(count, own, reference))


def _judged(ratio: float, interval: Interval, basis: str) -> Compared:
    low, high = interval
    verdict: Verdict = "equal"
    if low > 1 + ALIKE:
        verdict = "slower"
    elif high < 1 / (1 + ALIKE):
        verdict = "faster"
    return Compared(ratio=ratio, low=low, high=high, verdict=verdict, basis=basis)


def _basis(pairs: int, own: Blocks, reference: Blocks) -> str:
    turns = sum(len(a) > 0 and len(b) > 0 for a, b in zip(own, reference, strict=False))
    said = f"{turns} turn{'s' * (turns > 1)}, paired"
    return said if pairs == turns else f"{pairs} parts of {said}"
