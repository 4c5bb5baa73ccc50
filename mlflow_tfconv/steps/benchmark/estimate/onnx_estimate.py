"""How much memory an ONNX file will take, told from its shapes. Needs onnx and onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow_tfconv.steps.benchmark.estimate.live_set import largest_live_set
from mlflow_tfconv.steps.benchmark.estimate.memory_estimate import (
    RUNTIME_BYTES,
    Activations,
    MemoryEstimate,
    Where,
)
from mlflow_tfconv.steps.benchmark.estimate.onnx_operations import operations_of
from mlflow_tfconv.steps.benchmark.estimate.onnx_resolved import resolved
from mlflow_tfconv.steps.benchmark.estimate.onnx_shapes import (
    fixed_batch,
    value_sizes,
    weightless_model,
    weights_bytes,
    with_shapes,
)

_HALF = ("float16", "bfloat16")


def onnx_estimate(
    path: str | Path,
    batch_sizes: Sequence[int] = (1, 32),
    *,
    where: Where = "cpu",
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> MemoryEstimate:
    """Reads the graph without its weights, and follows it in its order at each batch size.

    Args:
        path: The file; external data beside it is not read.
        batch_sizes: For which the activations are told.
        where: Where it will compute. The CPU holds float16 as float32, for want of arithmetic.
        shapes: Input to the shape of one example, where the model leaves it open.

    Raises:
        ConversionError: The file is no ONNX model.
        ConfigError: A shape is open.
    """
    model = weightless_model(Path(path))
    stored = weights_bytes(model)
    fixed = fixed_batch(model)

    def of_size(batch_size: int) -> Activations:
        return activations(model, batch_size, where, shapes or {})

    return MemoryEstimate(
        where=where,
        weights_bytes=stored,
        loaded_bytes=sum(stored.values()) + (_widened(stored) if where == "cpu" else 0),
        activations={n: of_size(n) for n in (batch_sizes if fixed is None else (fixed,))},
        runtime_bytes=RUNTIME_BYTES["onnx", where],
        _of_size=of_size if fixed is None else None,
    )


def activations(
    model: Any, batch_size: int, where: Where, shapes: Mapping[str, tuple[int, ...]]
) -> Activations:
    """The largest live set of a model without weights."""
    found = resolved(with_shapes(model, batch_size, shapes))
    operations = operations_of(found.graph, _body_bytes, found.weights)
    stored = {*found.weights, *(tensor.name for tensor in found.graph.initializer)}
    taken = [value.name for value in found.graph.input if value.name not in stored]
    # What the caller gives stays in the caller's own arrays on the CPU.
    given = () if where == "cpu" else tuple(taken)
    written = {name for operation in operations for name in operation.writes}
    largest = largest_live_set(
        operations,
        {name: found.sizes.get(name) for name in (*written, *given)},
        given=given,
        kept=[value.name for value in found.graph.output],
    )
    return Activations(size_bytes=largest.size_bytes, at=largest.at, unsized=largest.unsized)


def _body_bytes(body: Any) -> int:
    """The largest live set of a loop's or a branch's body; what it takes from outside is counted there."""
    operations, sizes = operations_of(body, _body_bytes), value_sizes(body)
    written = {name for operation in operations for name in operation.writes}
    return largest_live_set(
        operations,
        {name: sizes.get(name) for name in written},
        kept=[value.name for value in body.output],
    ).size_bytes


def _widened(stored: Mapping[str, int]) -> int:
    """What 16-bit floats take more as 32-bit floats."""
    return sum(stored.get(name, 0) for name in _HALF)
