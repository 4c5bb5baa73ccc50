"""Inputs of a graph whose files name none: what the outputs are computed from."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from mlflow_tfconv.sources.graph.data_sets import DataSets
from mlflow_tfconv.sources.graph.graph_view import Graph, Ref
from mlflow_tfconv.sources.graph.known_values import known_values
from mlflow_tfconv.sources.graph.op_kinds import DECODERS, PIPELINES, PLACEHOLDERS
from mlflow_tfconv.sources.graph.tensor_types import type_of

_STRING = int(tf.string.as_datatype_enum)


def inferred_inputs(graph: Graph, outputs: Sequence[Ref], given: Sequence[Ref]) -> tuple[Ref, ...]:
    """Placeholders and pipeline components that the outputs need.

    What a pipeline gives as text is cut behind its decoding: the text is a file's content, and
    nobody's interface.

    Args:
        graph: The graph.
        outputs: The outputs.
        given: Inputs that are there already.
    """
    needed = graph.ancestors(item.node for item in outputs)
    taken = {item for name in needed for item in graph[name].inputs} | set(outputs)
    found: dict[Ref, None] = {}
    for name in graph.order:
        node = graph[name]
        if name not in needed:
            continue
        if node.op in PLACEHOLDERS:
            found[Ref(name)] = None
        elif node.op in PIPELINES:
            found.update(dict.fromkeys(sorted(item for item in taken if item.node == name)))
    result: dict[Ref, None] = {}
    for item in found:
        if item in given:
            continue
        text = graph[item.node].op in PIPELINES and type_of(graph, item) == _STRING
        result.update(dict.fromkeys(decoded(graph, item, needed) if text else (item,)))
    return tuple(dict.fromkeys(_tower_input(graph, item, needed) for item in result))


def _tower_input(graph: Graph, item: Ref, needed: set[str]) -> Ref:
    """The part of a batch that one tower gets, where a batch is split among several."""
    takers = [graph[name] for name in graph.consumers[item.node] if name in needed]
    if len(takers) != 1 or takers[0].op not in ("Split", "SplitV"):
        return item
    split = takers[0]
    axis = split.inputs[0 if split.op == "Split" else 2]
    value = known_values(graph.part([axis.node]), {}).constant(axis)
    taken = {t for name in needed for t in graph[name].inputs if t.node == split.name}
    along_batch = value is not None and int(value.reshape(-1)[0]) == 0
    return taken.pop() if along_batch and len(taken) == 1 else item


def decoded(graph: Graph, text: Ref, needed: set[str]) -> tuple[Ref, ...]:
    """What decoders make of a text, as far as it is needed; the text itself without decoders."""
    taken = {item for name in needed for item in graph[name].inputs}
    found: dict[Ref, None] = {}
    stack, seen = [text], {text}
    while stack:
        current = stack.pop()
        for name in graph.consumers[current.node]:
            node = graph[name]
            if name not in needed or current not in node.inputs:
                continue
            results = sorted(item for item in taken if item.node == name)
            for item in results:
                if node.op in DECODERS and type_of(graph, item) != _STRING:
                    found[item] = None
                elif item not in seen:
                    seen.add(item)
                    stack.append(item)
    return tuple(found) or (text,)


def cut_points(graph: Graph, data: DataSets, text: Ref, outputs: Sequence[Ref]) -> tuple[Ref, ...]:
    """Where a graph that decodes a text can be cut instead: from the decoder to the first layer."""
    needed = graph.ancestors(item.node for item in outputs)
    first = decoded(graph, text, needed)
    if first == (text,) or len(first) != 1:
        return () if first == (text,) else first
    layers = {node.name for node, _ in data.layers(graph)}
    found, current = [first[0]], first[0]
    while True:
        consumers = [n for n in graph.consumers[current.node] if n in needed]
        values = [n for n in consumers if data.data.get(n)]
        if len(values) != 1 or values[0] in layers:
            return tuple(found)
        current = Ref(values[0])
        found.append(current)
