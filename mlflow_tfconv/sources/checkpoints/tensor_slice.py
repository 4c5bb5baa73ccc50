"""A part of a stored tensor, as Savers write it: "30 21 20,10:0,21" or "30 21 20,10:-"."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TensorSlice:
    """A box in a tensor.

    Attributes:
        full_shape: Shape of the whole tensor.
        starts: Where the part begins, one a dimension.
        sizes: The part's own shape.
    """

    full_shape: tuple[int, ...]
    starts: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def index(self) -> tuple[slice, ...]:
        """What takes the part from the whole array."""
        ends = zip(self.starts, self.sizes, strict=True)
        return tuple(slice(start, start + size) for start, size in ends)

    def __str__(self) -> str:
        """As a Saver writes it."""
        pairs = zip(self.starts, self.sizes, strict=True)
        extents = ":".join(f"{start},{size}" for start, size in pairs)
        return f"{' '.join(map(str, self.full_shape))} {extents}"


def tensor_slice(text: str) -> TensorSlice | None:
    """The part that a `shape_and_slice` names; None when that is the whole tensor, "".

    Raises:
        ValueError: The text is not of this form, or the part is not within the whole.
    """
    if not text.strip():
        return None
    *shape, extents = text.split()
    full = tuple(int(size) for size in shape)
    parts = [
        (0, size) if extent == "-" else _extent(extent)
        for extent, size in zip(extents.split(":"), full, strict=True)
    ]
    for (start, length), size in zip(parts, full, strict=True):
        if start < 0 or length < 0 or start + length > size:
            raise ValueError(f"{text!r} is no part of the whole")
    starts, sizes = zip(*parts, strict=True)
    return TensorSlice(full, starts, sizes)


def _extent(text: str) -> tuple[int, int]:
    start, length = text.split(",")
    return int(start), int(length)
