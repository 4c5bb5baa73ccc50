"""How much memory a Keras model or a SavedModel will take, told from its shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.runtimes.inlined_function import (
    InlinedFunction,
    graph_function,
    inlined_function,
)
from mlflow_tfconv.steps.benchmark.estimate.live_set import LiveSet, Operation, largest_live_set
from mlflow_tfconv.steps.benchmark.estimate.memory_estimate import (
    RUNTIME_BYTES,
    Activations,
    MemoryEstimate,
    Where,
)
from mlflow_tfconv.steps.benchmark.estimate.scaled import Found, live_set_at

_VIEWS = frozenset(
    {
        "Bitcast",
        "EnsureShape",
        "ExpandDims",
        "Identity",
        "IdentityN",
        "Reshape",
        "Squeeze",
        "StopGradient",
    }
)
#: Kernels that forward a buffer that nobody else holds (`forward_input_or_allocate_output`).
_FORWARDING = frozenset(
    {
        "Abs",
        "Add",
        "AddV2",
        "BiasAdd",
        "Ceil",
        "Elu",
        "Erf",
        "Exp",
        "Floor",
        "LeakyRelu",
        "Log",
        "Maximum",
        "Minimum",
        "Mul",
        "Neg",
        "Pow",
        "RealDiv",
        "Reciprocal",
        "Relu",
        "Relu6",
        "Rsqrt",
        "Selu",
        "Sigmoid",
        "Softmax",
        "Softplus",
        "Sqrt",
        "Square",
        "SquaredDifference",
        "Sub",
        "Tanh",
    }
)
_NOT_COMPUTED = frozenset({"Placeholder", "ReadVariableOp", "VarHandleOp", "NoOp", "_Arg"})
_CHOOSING = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
_WITH_BODIES = _CHOOSING | {"While", "StatelessWhile"}


def tensorflow_estimate(
    runtime: Any,
    batch_sizes: Sequence[int] = (1, 32),
    *,
    where: Where = "cpu",
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> MemoryEstimate:
    """Traces the model anew at each batch size and follows its operations; nothing is computed.

    TensorFlow runs operations as soon as they can be, several at a time: then more is alive than
    in any one order.

    Args:
        runtime: A KerasRuntime or a SavedModelRuntime.
        batch_sizes: For which the activations are told.
        where: Where it will compute.
        shapes: Input to the shape of one example, where the model leaves it open.

    Raises:
        ConfigError: A shape is open.
    """
    names = [spec.name for spec in runtime.inputs]
    specs = {spec.name: _tensor_spec(spec, spec.shape) for spec in runtime.inputs}
    traced = graph_function(runtime.call).get_concrete_function(specs)
    function = inlined_function(traced, names, [spec.name for spec in runtime.outputs])
    stored = _stored_bytes(function)
    fixed = next((s.shape[0] for s in runtime.inputs if s.shape and s.shape[0]), None)

    found: Found = {}

    def compute(batch_size: int) -> LiveSet:
        return _live_set(function, runtime.inputs, batch_size, shapes or {})

    def of_size(batch_size: int) -> Activations:
        return _activations(live_set_at(batch_size, found, compute))

    found |= {n: compute(n) for n in (batch_sizes if fixed is None else (fixed,))}
    return MemoryEstimate(
        where=where,
        weights_bytes=stored,
        loaded_bytes=sum(stored.values()),
        activations={n: _activations(live) for n, live in found.items()},
        runtime_bytes=RUNTIME_BYTES["tensorflow", where],
        _of_size=of_size if fixed is None else None,
    )


def _activations(live: LiveSet) -> Activations:
    return Activations(
        size_bytes=live.size_bytes, taken_bytes=live.size_bytes, at=live.at, unsized=live.unsized
    )


def _live_set(
    function: InlinedFunction,
    inputs: Iterable[TensorSpec],
    batch_size: int,
    shapes: Mapping[str, tuple[int, ...]],
) -> LiveSet:
    specs = {
        spec.name: _tensor_spec(spec, _shape(spec, batch_size, shapes.get(spec.name)))
        for spec in inputs
    }
    return _largest(function.traced(specs).graph)


def _tensor_spec(spec: TensorSpec, shape: tuple[int | None, ...]) -> Any:
    return tf.TensorSpec(shape, tf.as_dtype(spec.dtype), name=None)


def _shape(
    spec: TensorSpec, batch_size: int, given: tuple[int, ...] | None
) -> tuple[int | None, ...]:
    if not spec.shape:
        return ()
    wanted = (spec.shape[0] or batch_size, *(given or spec.shape[1:]))
    if None in wanted or len(wanted) != len(spec.shape):
        raise ConfigError(
            f"The memory can't be told without the shape of the input {spec.name!r}.",
            received=f"shape {list(spec.shape)}, of one example {given}",
            expected="a size for every dimension",
            fix=f"Give `shapes={{{spec.name!r}: (...)}}`: the shape of one example.",
        )
    return wanted


def _largest(graph: Any) -> LiveSet:
    """Of a function's graph; inputs count, since they are tensors of TensorFlow's."""
    captured = {tensor.name for tensor in graph.internal_captures}
    given = [tensor for tensor in graph.inputs if tensor.name not in captured]
    operations, sizes = _operations(graph)
    return largest_live_set(
        operations,
        {**sizes, **{tensor.name: _bytes(tensor) for tensor in given}},
        given=[tensor.name for tensor in given],
        kept=[tensor.name for tensor in graph.outputs],
    )


def _operations(graph: Any) -> tuple[list[Operation], dict[str, int | None]]:
    """What runs, in an order that is possible, and the bytes of each tensor.

    Constants and what is computed of them are left out: that is folded.
    """
    constants: set[str] = set()
    sizes: dict[str, int | None] = {}
    found = []
    for operation in graph.get_operations():
        reads, writes = ([t.name for t in ts] for ts in (operation.inputs, operation.outputs))
        if operation.type == "Const" or (reads and set(reads) <= constants):
            constants |= set(writes)
        elif operation.type not in _NOT_COMPUTED:
            sizes |= {tensor.name: _bytes(tensor) for tensor in operation.outputs}
            found.append(_operation(operation, graph))
    return found, sizes


def _operation(operation: Any, graph: Any) -> Operation:
    bodies = _bodies(operation, graph)
    return Operation(
        name=f"{operation.type} {operation.name}",
        reads=tuple(tensor.name for tensor in operation.inputs),
        writes=tuple(tensor.name for tensor in operation.outputs),
        views=operation.type in _VIEWS,
        overwrites=operation.type in _FORWARDING,
        inner_bytes=max((_inner_bytes(name, operation, graph) for name in bodies), default=0),
    )


def _bodies(operation: Any, graph: Any) -> list[str]:
    """Names of the functions that a loop or a branch runs."""
    if operation.type not in _WITH_BODIES:
        return []
    definition = operation.node_def
    names = [definition.attr[key].func.name for key in ("body", "then_branch", "else_branch")]
    names += [function.name for function in definition.attr["branches"].list.func]
    return [name for name in names if name and graph._is_function(name)]


def _inner_bytes(name: str, operation: Any, graph: Any) -> int:
    """What a body holds besides what it is given."""
    definition = graph._get_function(name).cached_definition
    skipped = operation.type in _CHOOSING  # a branch is chosen by the first input
    shapes = [tensor.shape for tensor in operation.inputs[skipped:]]
    with graph.as_default():
        body = function_def_to_graph(definition, input_shapes=shapes)
    operations, sizes = _operations(body)
    kept = [tensor.name for tensor in body.outputs]
    return largest_live_set(operations, sizes, kept=kept).size_bytes


def _bytes(tensor: Any) -> int | None:
    """Handles take nothing; texts and lists of tensors an unknown size."""
    if tensor.dtype == tf.resource:
        return 0
    count = tensor.shape.num_elements() if tensor.shape.rank is not None else None
    if count is None or tensor.dtype in (tf.string, tf.variant):
        return None
    return int(count) * int(tensor.dtype.size)


def _stored_bytes(function: InlinedFunction) -> dict[str, int]:
    """Numpy dtype to bytes of the variables and of the constants in the graph."""
    found: dict[str, int] = {}
    for handle in {id(v): v for v in function.variables.values()}.values():
        _add(found, handle.dtype, handle.shape)
    seen = {id(variable.handle) for variable in function.variables.values()}
    for captured in function.captures.values():
        if id(captured) not in seen and captured.dtype != tf.resource:
            _add(found, captured.dtype, captured.shape)
    for node in function.graph_def.node:
        if node.op == "Const":
            value = node.attr["value"].tensor
            _add(found, tf.as_dtype(value.dtype), tf.TensorShape(value.tensor_shape))
    return dict(sorted(found.items()))


def _add(found: dict[str, int], dtype: Any, shape: Any) -> None:
    count = shape.num_elements()
    if count is not None and dtype not in (tf.string, tf.variant):
        found[dtype.name] = found.get(dtype.name, 0) + int(count) * int(dtype.size)
