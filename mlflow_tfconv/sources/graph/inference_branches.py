"""The graph with its flags set to inference: branches of training and dropout are gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from mlflow_tfconv.sources.graph.function_bodies import with_bodies
from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.known_values import Coin, Evaluation, Known, known_values
from mlflow_tfconv.sources.graph.op_kinds import is_gradient
from mlflow_tfconv.sources.graph.plain_graph import constant
from mlflow_tfconv.sources.graph.tensor_types import type_of
from mlflow_tfconv.sources.graph.training_flags import Flag

#: A factor this close to one comes from rounding `1 / keep_prob`.
_CLOSE = 1e-5


def with_flags(graph: Graph, flags: Sequence[Flag]) -> Graph:
    """The graph with constants in place of its flags."""
    targets: dict[Ref, Ref] = {}
    changes: dict[str, Node | None] = {}
    for flag in flags:
        for tensor in flag.tensors:
            if flag.kind in ("placeholder", "default", "constant"):
                changes[tensor.node] = constant(tensor.node, flag.value)
                continue
            name = graph.free_name(f"{tensor.node}/inference")
            changes[name] = constant(name, flag.value)
            targets[tensor] = Ref(name)
    return graph.redirected(targets).replaced(changes)


def inference_branches(
    graph: Graph, outputs: Collection[str] = ()
) -> tuple[Graph, tuple[str, ...]]:
    """Takes only the branches that constants leave, and dropout by its expectation.

    A mask that is drawn with fixed odds is replaced by them: `x / keep * mask` becomes `x`, and a
    mask that nothing scales becomes the factor that stands for it in inference.

    Args:
        graph: The graph.
        outputs: Names of nodes that are wanted; others that nobody takes any more are left out.

    Returns:
        The graph, and names of the nodes at which dropout with a constant rate was taken away.
    """
    called = _with_known_branches(graph)
    evaluation = known_values(called, {})
    shorter, dropped = _without_masks(called, evaluation)
    shorter = _without_branches(shorter, evaluation)
    return _without_unused(shorter, graph, evaluation.dead_nodes - {*outputs}, outputs), dropped


def _with_known_branches(graph: Graph) -> Graph:
    """Functions in place of calls, as long as conditions become known."""
    while True:
        evaluation = known_values(graph, {})
        shorter = with_bodies(graph, evaluation.branches)
        if shorter is graph:
            return graph
        graph = shorter


def _without_branches(graph: Graph, evaluation: Evaluation) -> Graph:
    targets: dict[Ref, Ref] = {}
    changes: dict[str, Node | None] = {}
    for node in graph:
        if node.op == "Switch":
            dead = [port for port in (0, 1) if Ref(node.name, port) in evaluation.dead]
            if dead:
                targets[Ref(node.name, 1 - dead[0])] = node.inputs[0]
        elif node.op == "Merge" and node.name in evaluation.taken:
            changes[node.name] = node.identity(evaluation.taken[node.name])
    return graph.replaced(changes).redirected(_followed(targets))


def _without_unused(
    graph: Graph, before: Graph, dead: Collection[str], outputs: Collection[str]
) -> Graph:
    """Without the branches that are not taken, and what only they took."""
    gone = set(dead)
    for name in reversed(graph.order):
        was_taken = name in before and _takers(before, name)
        taken = [n for n in _takers(graph, name) if n not in gone]
        if name not in outputs and was_taken and not taken:
            gone.add(name)
    return graph.replaced(dict.fromkeys(gone))


def _takers(graph: Graph, name: str) -> list[str]:
    return [taker for taker in graph.consumers[name] if not is_gradient(taker)]


def _followed(targets: dict[Ref, Ref]) -> dict[Ref, Ref]:
    """Where a chain of targets ends."""
    found = {}
    for tensor in targets:
        end = targets[tensor]
        while end in targets:
            end = targets[end]
        found[tensor] = end
    return found


def _without_masks(graph: Graph, evaluation: Evaluation) -> tuple[Graph, tuple[str, ...]]:
    changes: dict[str, Node | None] = {}
    dropped: list[str] = []
    factors: dict[str, tuple[Ref, float]] = {}
    for name in graph.order:
        node = graph[name]
        if name in evaluation.dead_nodes or evaluation.values.get(Ref(name)) is not None:
            continue
        masked = _masked(node, evaluation)
        if masked is None:
            continue
        tensor, factor, random = masked
        base, scale = _base(graph, tensor, factors, evaluation)
        whole = factor * scale if random else factor
        if random:
            dropped.append(name)
            factors[name] = (base, whole)
        if abs(whole - 1) < _CLOSE:
            changes[name] = node.identity(base if random else tensor)
            if random:
                factors[name] = (base, 1.0)
        elif random:
            changes.update(_scaled(graph, node, base, whole))
    changes.update(_unscaled(graph, factors, changes, evaluation))
    return graph.replaced(changes), tuple(dropped)


def _masked(node: Node, evaluation: Evaluation) -> tuple[Ref, float, bool] | None:
    """What a node multiplies by a factor, the factor, and whether the factor was random."""
    values = [evaluation.values.get(item) for item in node.inputs]
    if node.op == "Mul" and values.count(None) == 1:
        place = values.index(None)
        return _factor(node.inputs[place], values[1 - place])
    if node.op in ("RealDiv", "Div") and values[0] is None and isinstance(values[1], Known):
        if values[1].value.size == 1 and float(values[1].value.reshape(-1)[0]) == 1.0:
            return node.inputs[0], 1.0, False
        return None
    if node.op in ("Select", "SelectV2") and values[1] is None and _is_zero(values[2]):
        return _factor(node.inputs[1], values[0])
    return None


def _factor(tensor: Ref, mask: object) -> tuple[Ref, float, bool] | None:
    if isinstance(mask, Coin):
        mean = mask.probability * mask.heads + (1 - mask.probability) * mask.tails
        return (tensor, mean, True) if mask.tails == 0 else None
    if isinstance(mask, Known) and (mask.everywhere or mask.value.shape == ()):
        value = float(mask.value.reshape(-1)[0])
        return (tensor, value, False) if value == 1.0 else None
    return None


def _is_zero(value: object) -> bool:
    return isinstance(value, Known) and not np.any(value.value)


def _base(
    graph: Graph, tensor: Ref, factors: dict[str, tuple[Ref, float]], evaluation: Evaluation
) -> tuple[Ref, float]:
    """What a tensor is a multiple of, and which, when `x * number` or `x / number` made it."""
    if tensor.node in factors:
        return factors[tensor.node]
    node = graph[tensor.node]
    if node.op not in ("Mul", "RealDiv", "Div") or len(node.inputs) != 2:
        return tensor, 1.0
    values = [evaluation.values.get(item) for item in node.inputs]
    place = 0 if values[0] is None else 1
    number = values[1 - place]
    if not isinstance(number, Known) or values[place] is not None or number.value.size != 1:
        return tensor, 1.0
    scale = float(number.value.reshape(-1)[0])
    if node.op == "Mul":
        return node.inputs[place], scale
    return (node.inputs[0], 1 / scale) if place == 0 and scale else (tensor, 1.0)


def _unscaled(
    graph: Graph,
    factors: dict[str, tuple[Ref, float]],
    changes: dict[str, Node | None],
    evaluation: Evaluation,
) -> dict[str, Node | None]:
    """`x * mask / keep`: the division behind the mask cancels it."""
    found: dict[str, Node | None] = {}
    for name in graph.nodes:
        node = graph[name]
        if name in changes or node.op not in ("RealDiv", "Div", "Mul") or not node.inputs:
            continue
        base, scale = _base(graph, Ref(name), {}, evaluation)
        inner, factor = factors.get(base.node, (base, 1.0))
        if factor != 1.0 and abs(scale * factor - 1) < _CLOSE:
            found[name] = node.identity(inner)
    return found


def _scaled(graph: Graph, node: Node, base: Ref, factor: float) -> dict[str, Node | None]:
    kind = type_of(graph, Ref(node.name)) or 1
    name = graph.free_name(f"{node.name}/expectation")
    value = np.asarray(factor, tf.dtypes.as_dtype(kind).as_numpy_dtype)
    scaled = replace(node, op="Mul", inputs=(base, Ref(name)), attr={"T": node.attr["T"]})
    return {name: constant(name, value, node.controls), node.name: scaled}
