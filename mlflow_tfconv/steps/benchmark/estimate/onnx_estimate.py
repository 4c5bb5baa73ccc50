"""How much memory an ONNX file will take, told from its shapes. Needs onnx and onnxruntime."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow_tfconv.device import Device
from mlflow_tfconv.steps.benchmark.estimate.arena_size import Strategy, arena_size
from mlflow_tfconv.steps.benchmark.estimate.live_set import LiveSet, largest_live_set
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
    tensor_bytes,
    value_sizes,
    weightless_model,
    weights_bytes,
    with_shapes,
)
from mlflow_tfconv.steps.benchmark.estimate.scaled import Found, live_set_at

#: Measured on four models (tests/benchmarks/memory_estimates.md): 1.4 to 1.8.
_CONVOLUTION_COPIES = 1.5
_HALF = ("float16", "bfloat16")


def onnx_estimate(
    path: str | Path,
    batch_sizes: Sequence[int] = (1, 32),
    *,
    where: Where = "cpu",
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    arena: Strategy = "next_power_of_two",
) -> MemoryEstimate:
    """Reads the graph without its weights, and follows it in its order at each batch size.

    Args:
        path: The file; external data beside it is not read.
        batch_sizes: For which the activations are told.
        where: Where it will compute. The CPU holds float16 as float32, for want of arithmetic, and
            the weights of convolutions more than once.
        shapes: Input to the shape of one example, where the model leaves it open.
        arena: How the arena grows; `arena_of` tells it for a device.

    Raises:
        ConversionError: The file is no ONNX model.
        ConfigError: A shape is open.
    """
    model = weightless_model(Path(path))
    stored = weights_bytes(model)
    fixed = fixed_batch(model)
    outputs = frozenset(value.name for value in model.graph.output)
    found: Found = {}

    def compute(batch_size: int) -> LiveSet:
        return live_set(model, batch_size, where, shapes or {})

    def of_size(batch_size: int) -> Activations:
        return _activations(live_set_at(batch_size, found, compute), outputs, where, arena)

    found |= {n: compute(n) for n in (batch_sizes if fixed is None else (fixed,))}
    return MemoryEstimate(
        where=where,
        weights_bytes=stored,
        loaded_bytes=sum(stored.values()) + (_more_on_cpu(model, stored) if where == "cpu" else 0),
        activations={n: _activations(live, outputs, where, arena) for n, live in found.items()},
        runtime_bytes=RUNTIME_BYTES["onnx", where],
        _of_size=of_size if fixed is None else None,
    )


def arena_of(device: Device) -> Strategy:
    """How ONNX Runtime's arena grows on a device, as `device.provider_options` tells it."""
    if device.kind == "cpu":
        return "next_power_of_two"
    options = device.options
    grows: Strategy = "same_as_requested" if options.memory_growth else "next_power_of_two"
    return options.arena_strategy or grows


def _activations(
    live: LiveSet, outputs: Collection[str], where: Where, arena: Strategy
) -> Activations:
    """With what an arena takes: a GPU loses all of it, a host what was touched."""
    taken = arena_size(live.requests, outputs, strategy=arena)
    return Activations(
        size_bytes=live.size_bytes,
        taken_bytes=max(taken.touched if where == "cpu" else taken.reserved, live.size_bytes),
        at=live.at,
        unsized=live.unsized,
    )


def live_set(
    model: Any, batch_size: int, where: Where, shapes: Mapping[str, tuple[int, ...]]
) -> LiveSet:
    """The largest live set of a model without weights."""
    found = resolved(with_shapes(model, batch_size, shapes))
    operations = operations_of(found.graph, _body_bytes, found.weights)
    stored = {*found.weights, *(tensor.name for tensor in found.graph.initializer)}
    taken = [value.name for value in found.graph.input if value.name not in stored]
    # What the caller gives stays in the caller's own arrays on the CPU.
    given = () if where == "cpu" else tuple(taken)
    written = {name for operation in operations for name in operation.writes}
    return largest_live_set(
        operations,
        {name: found.sizes.get(name) for name in (*written, *given)},
        given=given,
        kept=[value.name for value in found.graph.output],
    )


def _body_bytes(body: Any) -> int:
    """The largest live set of a loop's or a branch's body; what it takes from outside is counted there."""
    operations, sizes = operations_of(body, _body_bytes), value_sizes(body)
    written = {name for operation in operations for name in operation.writes}
    return largest_live_set(
        operations,
        {name: sizes.get(name) for name in written},
        kept=[value.name for value in body.output],
    ).size_bytes


def _more_on_cpu(model: Any, stored: Mapping[str, int]) -> int:
    """What weights take there beyond their size in the file.

    16-bit floats are kept as 32-bit floats, and convolutions in a layout of their own beside the
    one that was read.
    """
    dims = {tensor.name: tensor for tensor in model.graph.initializer}
    filters = {n.input[1] for n in model.graph.node if n.op_type == "Conv" and n.input[1] in dims}
    sizes = (tensor_bytes(dims[name].data_type, dims[name].dims) or 0 for name in filters)
    return sum(stored.get(name, 0) for name in _HALF) + int(_CONVOLUTION_COPIES * sum(sizes))
