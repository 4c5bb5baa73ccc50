"""How much memory a model will take at each batch size, and which batch fits into a budget."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlflow_tfconv.errors import ConfigError

_MB = 1e6
#: Memory of a process that has loaded its libraries and no model, in bytes: measured for the CPU.
#: That of a GPU is CUDA's context with the kernels of the libraries; it differs between cards.
RUNTIME_BYTES: Mapping[tuple[str, str], int] = {
    ("onnx", "cpu"): 65_000_000,
    ("onnx", "gpu"): 500_000_000,
    ("tensorflow", "cpu"): 800_000_000,
    ("tensorflow", "gpu"): 700_000_000,
}
Where = Literal["cpu", "gpu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activations:
    """What activations take at a batch size.

    Attributes:
        size_bytes: Of all values that are alive at a time, at most.
        taken_bytes: What the runtime's allocator takes for them: an arena rounds up, grows in
            steps and keeps what it has; the same as `size_bytes` where it is no arena.
        at: The operation that runs then.
        unsized: Values whose size could not be told: they count as nothing.
    """

    size_bytes: int
    taken_bytes: int
    at: str
    unsized: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """What a model will take, told from its shapes.

    It holds the weights, what the allocator takes for the activations that are alive at a time, and
    what the runtime takes before there is a model. It does not hold the workspace of operations
    (that of cuDNN, of a convolution on the CPU, of a recurrent cell).

    Attributes:
        where: Whether the model computes on the "cpu" or on a "gpu".
        weights_bytes: Numpy dtype name to the bytes of weights of this type in the file.
        loaded_bytes: All weights as the runtime holds them: float16 becomes float32 on the CPU.
        activations: Batch size to what activations take.
        runtime_bytes: What the runtime takes without a model: assumed, not measured here.
    """

    where: Where
    weights_bytes: Mapping[str, int]
    loaded_bytes: int
    activations: Mapping[int, Activations]
    runtime_bytes: int
    _of_size: Callable[[int], Activations] | None = field(default=None, repr=False, compare=False)

    @property
    def complete(self) -> bool:
        """Whether every size is known; the estimate is too low otherwise."""
        return not any(found.unsized for found in self.activations.values())

    def model_bytes(self, batch_size: int) -> int:
        """Weights and activations at a batch size, without the runtime."""
        return self.loaded_bytes + self._activations(batch_size).taken_bytes

    def peak_mb(self, batch_size: int) -> float:
        """All of it at a batch size, in MB (10^6 bytes)."""
        return (self.model_bytes(batch_size) + self.runtime_bytes) / _MB

    def fits(self, budget_mb: float, batch_size: int = 1) -> bool:
        """Whether a batch should fit into a budget in MB (10^6 bytes)."""
        return self.peak_mb(batch_size) <= _checked(budget_mb)

    def largest_batch(self, budget_mb: float) -> int | None:
        """The largest batch that should fit into a budget; None when not even the smallest does.

        Raises:
            ConfigError: The activations do not grow with the batch, so that there is no largest.
        """
        smallest = 1 if self._of_size is not None else next(iter(self.activations))
        if not self.fits(budget_mb, smallest):
            return None
        if self._of_size is None:
            return smallest
        low, high = 1, 2
        while self.fits(budget_mb, high):
            if high > 1 << 24:
                raise ConfigError(
                    "There is no largest batch: the memory does not grow with it.",
                    received=f"{self.peak_mb(1):,.0f} MB at batch 1 and at batch {high:,}",
                    expected="an input whose first dimension is the batch",
                )
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.fits(budget_mb, middle) else (low, middle)
        return low

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "method": "weights + what the arena takes for the activations, by shape inference",
            "where": self.where,
            "weights_bytes": dict(self.weights_bytes),
            "loaded_bytes": self.loaded_bytes,
            "runtime_bytes_assumed": self.runtime_bytes,
            "activations": {str(n): dataclasses.asdict(a) for n, a in self.activations.items()},
            "complete": self.complete,
            "not_in_it": "workspace of operations",
        }

    def __str__(self) -> str:
        """In words, for people."""
        sizes = "; ".join(
            f"batch {n}: {found.size_bytes / _MB:,.1f} MB at a time, at {found.at}, for which the "
            f"runtime takes {found.taken_bytes / _MB:,.1f} MB"
            for n, found in sorted(self.activations.items())
        )
        low = "" if self.complete else " At least this much: some shapes are not known."
        return (
            f"Estimated on the {self.where.upper()}: weights {self.loaded_bytes / _MB:,.1f} MB, the "
            f"runtime about {self.runtime_bytes / _MB:,.0f} MB, activations {sizes}. The workspace "
            f"of operations is not in it.{low}"
        )

    def _activations(self, batch_size: int) -> Activations:
        if batch_size in self.activations:
            return self.activations[batch_size]
        if self._of_size is None:
            raise ConfigError(
                "This model takes batches of one size only.",
                received=f"batch size {batch_size}",
                expected=f"batch size {next(iter(self.activations))}",
            )
        return self._of_size(batch_size)


def _checked(budget_mb: float) -> float:
    if not 0 < budget_mb < math.inf:
        raise ConfigError(
            "The memory budget can't be used.",
            received=repr(budget_mb),
            expected="a number of MB (10^6 bytes) above 0",
        )
    return budget_mb
