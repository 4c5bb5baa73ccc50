"""The pieces of a source in portions that are read, and kept, together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlflow_tfconv.engine.parts import fingerprint_of
from mlflow_tfconv.steps.ingest.sources.source import Piece

_MOST_BUNDLES = 512
_MOST_BYTES = 64_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Some pieces: one, unless there are very many.

    Attributes:
        pieces: In order.
        key: Tells it from the others, by the names of its pieces.
        identity: Digest of all that tells whether its content is unchanged.
        seeds: A number for each piece that hangs on its name alone: for the shuffling.
    """

    pieces: tuple[Piece, ...]
    key: str
    identity: str
    seeds: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is, for a person."""
        more = f" and {len(self.pieces) - 1} more" if len(self.pieces) > 1 else ""
        return f"{self.pieces[0].name}{more}"

    @property
    def size_bytes(self) -> int | None:
        """About what it will give; None when nobody knows."""
        return size_of(self.pieces)


def bundles_of(pieces: Sequence[Piece], *, apart: bool = False) -> tuple[Bundle, ...]:
    """All pieces, in order; how they are bundled hangs on nothing but themselves.

    Args:
        pieces: All.
        apart: Whether each is a bundle, however many there are.
    """
    seen: Counter[str] = Counter()
    marks = []
    for piece in pieces:
        marks.append(f"{piece.name}\0{seen[piece.name]}")
        seen[piece.name] += 1
    most = 1 if apart else -(-len(pieces) // _MOST_BUNDLES)
    return tuple(
        Bundle(
            pieces=tuple(pieces[first:last]),
            key=fingerprint_of({"names": marks[first:last]}),
            identity=fingerprint_of(
                {"pieces": [[p.name, p.arguments, p.identity] for p in pieces[first:last]]}
            ),
            seeds=tuple(marks[first:last]),
        )
        for first, last in _ranges([piece.size_bytes or 0 for piece in pieces], most)
    )


def size_of(pieces: Sequence[Piece]) -> int | None:
    """What pieces will give together; None when that is not known of all."""
    sizes = [piece.size_bytes for piece in pieces]
    return None if None in sizes else sum(size or 0 for size in sizes)


def _ranges(sizes: list[int], most: int) -> Iterator[tuple[int, int]]:
    """First and last (exclusive) of so many neighbours at most, with less than `_MOST_BYTES`."""
    first = 0
    total = 0
    for index, size in enumerate(sizes):
        if index > first and (index - first == most or total + size > _MOST_BYTES):
            yield first, index
            first, total = index, 0
        total += size
    if sizes:
        yield first, len(sizes)
