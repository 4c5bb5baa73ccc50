"""The digests of many records."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np

_WORDS, _WORD_BITS = 8, 32


class Digests:
    """What `record_digest` gives for each of some records, in an array.

    Attributes:
        whole: The digests as bytes, one a record.
    """

    def __init__(self, whole: Sequence[bytes]) -> None:
        self.whole = whole
        self._words = np.frombuffer(b"".join(whole), ">u4").reshape(len(whole), _WORDS)

    @classmethod
    def of(cls, records: Sequence[bytes]) -> Digests:
        """Those of the records."""
        return cls([sha256(record).digest() for record in records])

    def at(self, index: int) -> int:
        """One of them."""
        return int.from_bytes(self.whole[index], "big")

    def those(self, indices: np.ndarray[Any, Any]) -> Digests:
        """Some of them."""
        return Digests([self.whole[index] for index in indices.tolist()])

    def total(self, first: int = 0, last: int | None = None) -> int:
        """The sum of those from first to last (exclusive)."""
        words = self._words[first:last].sum(axis=0, dtype=np.uint64).tolist()
        return sum(word << _WORD_BITS * (_WORDS - 1 - place) for place, word in enumerate(words))

    def smallest(self, bound: int | None = None) -> list[int]:
        """Indices by rising digest, of all or of those that may be below a bound."""
        tops = self._words[:, 0].astype(np.uint64) << np.uint64(_WORD_BITS) | self._words[:, 1]
        if bound is None:
            return list(np.argsort(tops).tolist())
        most = np.uint64(bound >> _WORD_BITS * (_WORDS - 2))
        return list(np.flatnonzero(tops <= most).tolist())
