"""Live sets at any batch size, from those at two."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from mlflow_tfconv.steps.benchmark.estimate.live_set import LiveSet

Found = dict[int, LiveSet]


def live_set_at(batch_size: int, found: Found, compute: Callable[[int], LiveSet]) -> LiveSet:
    """The largest live set at a batch size.

    Sizes grow in proportion to the batch, with a part that does not: two batch sizes tell both.
    Where the two don't run the same operations, it is computed.

    Args:
        batch_size: Any.
        found: What is known; what is computed is added.
        compute: Gives it from the model, which takes a while.
    """
    if batch_size not in found and len(found) < 2:
        found.setdefault(1, found.get(1) or compute(1))
        if len(found) < 2:
            found[32] = compute(32)
    if batch_size in found:
        return found[batch_size]
    first, last = min(found), max(found)
    scaled = _between(found[first], found[last], (batch_size - first) / (last - first))
    return compute(batch_size) if scaled is None else scaled


def _between(low: LiveSet, high: LiveSet, place: float) -> LiveSet | None:
    """On the line through two; None where they are of different values."""
    if [name for name, _ in low.requests] != [name for name, _ in high.requests]:
        return None
    requests = tuple(
        (name, _at(small, large, place))
        for (name, small), (_, large) in zip(low.requests, high.requests, strict=True)
    )
    size = _at(low.size_bytes, high.size_bytes, place)
    return dataclasses.replace(high, size_bytes=size, requests=requests)


def _at(small: int, large: int, place: float) -> int:
    return max(math.ceil(small + (large - small) * place), 0)
