"""Which split an example belongs to: decided by a hash, so it stays there when the data grow."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from hashlib import blake2b
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
    hashed = blake2b(identity, digest_size=8).digest()
    position = int.from_bytes(hashed, "big") / 2**64
    end = 0.0
    for name, ratio in zip(SPLITS, ratios, strict=True):
        end += ratio
        if position < end:
            return name
    return _last_of(ratios)


def splits_of(identities: Iterable[bytes], ratios: tuple[float, ...]) -> list[str]:
    """What `split_of` gives for each identity."""
    hashed = b"".join([blake2b(one, digest_size=8).digest() for one in identities])
    positions = np.frombuffer(hashed, ">u8") / 2**64
    ends = np.array([*itertools.accumulate(ratios, initial=0.0)][1:])
    indices = np.searchsorted(ends, positions, side="right")
    names = np.array([*SPLITS, _last_of(ratios)], dtype=object)
    return list(names[indices])


def _last_of(ratios: tuple[float, ...]) -> str:
    """Where what is left goes: the sum of the ratios may miss 1 by a rounding error."""
    return next(name for name, ratio in reversed([*zip(SPLITS, ratios, strict=True)]) if ratio > 0)


def identities_of(keys: np.ndarray[Any, Any]) -> list[bytes]:
    """What `identity_of` gives for each of the keys (examples, ...)."""
    if keys.ndim > 1:
        return [identity_of(key) for key in keys]
    if is_text(keys):
        return list(keys)
    return [str(key).encode() for key in keys.tolist()]


def identity_of(key: np.ndarray[Any, Any]) -> bytes:
    """The bytes of a key's value; the number 5 and the text "5" have the same."""
    if is_text(key):
        return b"\0".join(key.flat)
    return str(key.item()).encode() if key.size == 1 else key.tobytes()
