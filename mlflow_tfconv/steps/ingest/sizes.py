"""How long, high or wide things are: counts that merge exactly, in little memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

_EXACT_BELOW = 1024
_SIGNIFICANT_BITS = 10


class Sizes:
    """Sizes of the same kind of thing, such as the heights of images.

    Below 1024 each size is counted for itself, above with ten significant bits: quantiles are off
    by 0.2 % at most, and the counts of parts add up to the counts of the whole in any order.

    Attributes:
        low: The smallest, exactly; 0 when there are none.
        high: The largest, exactly; 0 when there are none.
    """

    def __init__(self) -> None:
        self.low = self.high = 0
        self._counts: Counter[int] = Counter()

    def add(self, size: int, times: int = 1) -> None:
        """Takes a size that was met so many times."""
        self.low = min(self.low, size) if self._counts else size
        self.high = max(self.high, size)
        self._counts[_rounded(size)] += times

    def merge(self, other: Sizes) -> None:
        """Takes those of another part."""
        if other._counts:
            self.low = min(self.low, other.low) if self._counts else other.low
            self.high = max(self.high, other.high)
            self._counts.update(other._counts)

    @property
    def count(self) -> int:
        """How many there are."""
        return self._counts.total()

    def quantile(self, share: float) -> int:
        """The smallest size that at least this share of all don't exceed; 0.5 gives the median."""
        rest = share * self.count
        for size in sorted(self._counts):
            rest -= self._counts[size]
            if rest <= 0:
                return min(max(size, self.low), self.high)
        return self.high

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"low": self.low, "high": self.high, "counts": sorted(self._counts.items())}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Sizes:
        """The inverse of `to_json`."""
        sizes = cls()
        sizes.low, sizes.high = data["low"], data["high"]
        sizes._counts = Counter(dict(data["counts"]))
        return sizes


def _rounded(size: int) -> int:
    if size < _EXACT_BELOW:
        return size
    shift = size.bit_length() - _SIGNIFICANT_BITS
    return size >> shift << shift
