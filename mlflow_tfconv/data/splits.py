"""Which split an example belongs to: decided by a hash, so it stays there when the data grow."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from mlflow_tfconv.data.values import is_text

SPLITS = ("train", "validation", "test")


def split_of(identity: bytes, ratios: tuple[float, ...]) -> str:
    """The split of an example.

    Args:
        identity: What stays the same of an example: its key, or else all of it.
        ratios: Shares of train, validation and test; their sum is 1.
    """
    hashed = hashlib.blake2b(identity, digest_size=8).digest()
    position = int.from_bytes(hashed, "big") / 2**64
    end = 0.0
    for name, ratio in zip(SPLITS, ratios, strict=True):
        end += ratio
        if position < end:
            return name
    # The sum of the ratios may miss 1 by a rounding error.
    return next(name for name, ratio in reversed([*zip(SPLITS, ratios, strict=True)]) if ratio > 0)


def identity_of(key: np.ndarray[Any, Any]) -> bytes:
    """The bytes of a key's value; the number 5 and the text "5" have the same."""
    if is_text(key):
        return b"\0".join(key.flat)
    return str(key.item()).encode() if key.size == 1 else key.tobytes()
