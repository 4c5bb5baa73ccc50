"""The values of a traced function's variables: in memory, or read from a file when needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]


class Weights(Protocol):
    """Gives values of the variables that a function captures."""

    @property
    def in_memory(self) -> bool:
        """Whether the variables themselves hold their values; else they are not initialized."""

    def value(self, variable: Any) -> Array:
        """The variable's value: a view where it is in memory, else read from its file now."""


@dataclass(frozen=True, slots=True)
class MemoryWeights:
    """Variables that hold their values."""

    @property
    def in_memory(self) -> bool:
        """Always."""
        return True

    def value(self, variable: Any) -> Array:
        """A view of the variable's value, where `variable.numpy()` would be a copy."""
        value: Array = np.asarray(variable.read_value())
        return value


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """Variables that were never initialized, and who reads their values.

    Attributes:
        readers: The `id` of a variable's handle to a function that reads its value.
    """

    readers: Mapping[int, Callable[[], Array]]

    @property
    def in_memory(self) -> bool:
        """Never."""
        return False

    def value(self, variable: Any) -> Array:
        """The variable's value, read now; it is not kept."""
        return self.readers[id(variable.handle)]()
