"""Weights of darknet: a few numbers, then nothing but float32. Nothing marks them as such."""

from __future__ import annotations

import math
import struct
from pathlib import Path

from mlflow_tfconv.formats.known_formats import Recognised

_LOOKED_AT_BYTES = 1 << 16
_LARGEST_VERSION = 100
_LARGEST_WEIGHT = 1e6
#: Smaller numbers are what integers and text look like when they are read as float32.
_SMALLEST_WEIGHT = 1e-30
_MOST_ODD = 0.02
_SMALLEST_RATE = 1e-9


def by_numbers(path: Path) -> Recognised | None:
    """Darknet weights: a version that can be, and float32 that weights can have."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_LOOKED_AT_BYTES)
    if size % 4 or len(head) < 24:
        return None
    major, minor, revision = struct.unpack_from("<3i", head)
    versioned = 0 <= major <= 1 and 0 <= minor <= _LARGEST_VERSION and 0 <= revision <= 1000
    if not versioned and not _are_rates(struct.unpack_from("<3f", head)):
        return None
    # Behind the version stands the number of images seen, in one word or in two.
    values = struct.unpack_from(f"<{len(head) // 4 - 5}f", head, 20)
    if sum(_is_odd(value) for value in values) > max(1, _MOST_ODD * len(values)):
        return None
    if not any(values):
        return None
    version = f"version {major}.{minor}.{revision}" if versioned else "before version 0.1"
    detail = f"{version}, {size // 4:,} numbers"
    return Recognised(format="darknet_weights", path=path, detail=detail)


def _are_rates(numbers: tuple[float, ...]) -> bool:
    """Files older than version 0.1 begin with learning rate, momentum and decay."""
    return all(_SMALLEST_RATE < number <= 1 for number in numbers)


def _is_odd(value: float) -> bool:
    if not math.isfinite(value):
        return True
    return abs(value) > _LARGEST_WEIGHT or 0 < abs(value) < _SMALLEST_WEIGHT
