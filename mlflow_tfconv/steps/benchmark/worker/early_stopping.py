"""How many late answers still show that a quantile keeps its bound: MLPerf LoadGen's rule.

Of n answers h were late. Were a query late with probability 1 - q, as few as h would be seen with
the probability P[Binomial(n, 1 - q) <= h]. When that is at most 1 - c, then the quantile q keeps
the bound with confidence c. Without a late one it takes 459 answers to show a 99th percentile with
confidence 0.99, with one 662.
Source: MLPerf Inference rules, "Early stopping"; mlcommons/inference, loadgen/early_stopping.cc
(there with the incomplete beta function, which is the same number).
"""

from __future__ import annotations

import itertools
import math

import numpy as np

_ROOM = 1 + 1e-12  # 1 - 0.99 is not quite 0.01


def allowed_late(answers: int, *, quantile: float, confidence: float) -> int:
    """The most late answers with which the quantile is still shown to keep its bound; -1: too few.

    Since it is known before a run how many there may be, the run can end as soon as there are more.
    """
    late = 1 - quantile
    most = math.ceil(answers * late)  # at the mean the probability is about a half: never enough
    k = np.arange(1, most + 1)
    steps = np.log((answers - k + 1) / k) + math.log(late) - math.log1p(-late)
    logs = answers * math.log1p(-late) + np.concatenate([[0.0], np.cumsum(steps)])
    within = np.cumsum(np.exp(logs)) <= (1 - confidence) * _ROOM
    return int(within.sum()) - 1


def fewest_answers(late: int, *, quantile: float, confidence: float) -> int:
    """The fewest answers with which so many may be late."""

    def enough(answers: int) -> bool:
        return allowed_late(answers, quantile=quantile, confidence=confidence) >= late

    high = next(answers for n in itertools.count(1) if enough(answers := 1 << n))
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
