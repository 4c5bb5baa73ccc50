"""The tiny YOLO v1 of 2015, whose weights went round without an architecture beside them.

Nine convolutions without batch norm, then three dense layers; 45,089,374 weights on images of
448 x 448. Its tutorials for Keras divide the number of filters to get smaller ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlflow_tfconv.sources.darknet.cfg_text import sections_from_text
from mlflow_tfconv.sources.darknet.network import Network
from mlflow_tfconv.sources.darknet.network_from_cfg import network_from_cfg

_FILTERS = (16, 32, 64, 128, 256, 512, 1024, 1024, 1024)
_DENSE = (256, 4096, 1470)
_POOLS = 6
_CELL = 2**_POOLS
_DIVISORS = (1, 2, 4, 8, 16)
_MOST_CELLS = 20


@dataclass(frozen=True, slots=True)
class TinyYolo:
    """A member of the family.

    Attributes:
        divisor: What the number of filters is divided by.
        cells: Rows and columns of the last image; an input is 64 times as large.
    """

    divisor: int
    cells: int

    def __str__(self) -> str:
        """In words."""
        width = "" if self.divisor == 1 else f" with 1/{self.divisor} of its filters"
        side = self.cells * _CELL
        return f"tiny YOLO v1{width} on images of {side} x {side}"

    @property
    def published(self) -> bool:
        """Whether it is the one that was published."""
        return (self.divisor, self.cells) == (1, 7)

    @property
    def parameters(self) -> int:
        """How many weights it has."""
        units = [n // self.divisor for n in _FILTERS]
        count = sum(9 * i * o + o for i, o in zip([3, *units[:-1]], units, strict=True))
        flat = units[-1] * self.cells**2
        dense = [_DENSE[0] // self.divisor, _DENSE[1] // self.divisor, _DENSE[2]]
        return count + sum(i * o + o for i, o in zip([flat, *dense[:-1]], dense, strict=True))

    def network(self) -> Network:
        """Its layers."""
        return network_from_cfg(sections_from_text("\n".join(self._lines()), Path("tiny YOLO v1")))

    def _lines(self) -> Iterator[str]:
        side = self.cells * _CELL
        yield f"[net]\nheight={side}\nwidth={side}\nchannels=3"
        for index, filters in enumerate(_FILTERS):
            yield f"[convolutional]\nfilters={filters // self.divisor}\nsize=3\nstride=1\npad=1"
            yield "activation=leaky"
            if index < _POOLS:
                yield "[maxpool]\nsize=2\nstride=2"
        yield f"[connected]\noutput={_DENSE[0] // self.divisor}\nactivation=linear"
        yield f"[connected]\noutput={_DENSE[1] // self.divisor}\nactivation=leaky"
        yield f"[connected]\noutput={_DENSE[2]}\nactivation=linear"


def tiny_yolos(parameters: int) -> tuple[TinyYolo, ...]:
    """The members of the family that have as many weights."""
    found = (TinyYolo(d, cells) for d in _DIVISORS for cells in range(1, _MOST_CELLS + 1))
    return tuple(one for one in found if one.parameters == parameters)
