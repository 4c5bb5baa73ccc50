"""Weights as a file holds them, layer by layer; nothing is read before it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoredArray:
    """One weight in a file.

    Attributes:
        name: As the file calls it, such as "dense_1/kernel:0" or "dense_1_W".
        shape: From the file's own description; no data was read for it.
        read: Reads the values.
        rows: Reads those of some entries of the first axis, where the file allows it.
    """

    name: str
    shape: Shape
    read: Callable[[], Array]
    rows: Callable[[slice], Array] | None = None

    @property
    def kind(self) -> str:
        """The last part of the name without its counter: "kernel", "dense_1_W"."""
        return self.name.rsplit("/", 1)[-1].split(":", 1)[0]


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """The weights of one layer in a file.

    Attributes:
        name: The layer's name in the file.
        arrays: Its weights, in the order in which they were written.
    """

    name: str
    arrays: tuple[StoredArray, ...]
