"""A graph of any TensorFlow in the operations and attributes of the one that is installed.

TensorFlow keeps what old graphs need, with exceptions: operations that were replaced long ago run
only in graphs of their own time, not in functions; handles that were strings are resources now;
and a graph of a newer TensorFlow has attributes that this one does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import graph_pb2, types_pb2

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.graph.ops_of_today import (
    HANDLES,
    RENAMED,
    RENAMED_WITH_HANDLE,
    definition,
)
from mlflow_tfconv.sources.graph.rewritten_ops import REWRITTEN

#: Hand a handle on, in and out of loops and branches; those on references lose their "Ref".
_PASSING = frozenset({"Enter", "Exit", "Identity", "Merge", "NextIteration", "Switch"})

#: The version of graphs in which a placeholder's scalar shape means a scalar.
_SCALARS_SINCE = 24

#: Of the attributes that are no operation's own, the only one that decides how it runs.
_KEPT = "_lower_using_switch_merge"


def graph_def_of_today(graph_def: Any, meta: Any = None) -> Any:
    """The same graph as today's TensorFlow writes it; the given one stays as it is.

    Hints that an importer may stumble over are dropped: places, colocations, shapes of outputs.

    Args:
        graph_def: A `GraphDef`, best of inference alone: whatever else is in it has to be known
            too.
        meta: The `MetaGraphDef` that it comes from, or None: it tells the defaults of attributes
            that only its own TensorFlow knows.

    Raises:
        ConversionError: Names operations that TensorFlow does not know or run any more, or an
            attribute that it does not know and that changes what is computed.
    """
    today = graph_pb2.GraphDef()
    today.CopyFrom(graph_def)
    producer = _definitions(meta)
    _open_shapes(today)
    bodies = [today.node, *(function.node_def for function in today.library.function)]
    for body in bodies:
        for node in body:
            node.op = RENAMED.get(node.op, RENAMED_WITH_HANDLE.get(node.op, node.op))
            _drop_hints(node)
        _pass_resources(body)
    _rewrite(today)
    nodes = [node for body in bodies for node in body]
    refuse_unknown_operations(
        nodes, {function.signature.name for function in today.library.function}
    )
    for node in nodes:
        _drop_attributes(node, producer.get(node.op))
    today.ClearField("versions")
    today.versions.producer = tf.version.GRAPH_DEF_VERSION
    return today


def refuse_unknown_operations(nodes: Iterable[Any], functions: set[str]) -> None:
    """Raises when there are operations that today's TensorFlow can't run.

    Args:
        nodes: `NodeDef`s.
        functions: Names of the graph's own functions, which are called like operations.

    Raises:
        ConversionError: Names every such operation and its nodes.
    """
    unknown: dict[str, list[str]] = {}
    for node in nodes:
        if node.op not in functions and not _is_run(node.op):
            unknown.setdefault(node.op, []).append(node.name)
    if not unknown:
        return
    found = "; ".join(
        f"{op} (node {', '.join(names[:3])}{' and more' if len(names) > 3 else ''})"
        for op, names in unknown.items()
    )
    raise ConversionError(
        f"This graph has operations that TensorFlow {tf.__version__} does not know: {found}.",
        received=found,
        expected="operations of TensorFlow; not of tf.contrib, nor compiled for one model",
        fix="Cut the graph with inputs= and outputs= so that these are not needed, or express them "
        "by operations of TensorFlow where the model was made, and save it again.",
    )


def _is_run(op: str) -> bool:
    known = definition(op)
    if known is None:
        return False
    gone = known.deprecation.version
    return not 0 < gone <= tf.version.GRAPH_DEF_VERSION


def _definitions(meta: Any) -> dict[str, Any]:
    if meta is None:
        return {}
    return {known.name: known for known in meta.meta_info_def.stripped_op_list.op}


def _open_shapes(graph_def: Any) -> None:
    """Before version 24, a placeholder of unknown shape was written as one of a scalar."""
    if graph_def.versions.producer >= _SCALARS_SINCE:
        return
    for node in graph_def.node:
        if (
            node.op in ("Placeholder", "PlaceholderWithDefault")
            and not node.attr["shape"].shape.dim
        ):
            node.attr["shape"].shape.unknown_rank = True


def _drop_hints(node: Any) -> None:
    node.device = ""
    for name in [name for name in node.attr if name.startswith("_") and name != _KEPT]:
        del node.attr[name]


def _pass_resources(nodes: Any) -> None:
    """Types of what hands handles on, as far as they reach."""
    handles = {node.name for node in nodes if node.op in HANDLES}
    before = -1
    while handles and len(handles) != before:
        before = len(handles)
        for node in nodes:
            op = node.op.removeprefix("Ref")
            if op not in _PASSING or node.name in handles or not node.input:
                continue
            name, _, output = node.input[0].partition(":")
            if name in handles and not output.endswith("1"):  # TensorArrayV3:1 is its flow
                node.op = op
                node.attr["T"].type = types_pb2.DT_RESOURCE
                handles.add(node.name)


def _rewrite(graph_def: Any) -> None:
    if not any(node.op in REWRITTEN for node in graph_def.node):
        return
    nodes = list(_rewritten(graph_def.node))
    del graph_def.node[:]
    graph_def.node.extend(nodes)


def _rewritten(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        if node.op in REWRITTEN:
            yield from REWRITTEN[node.op](node)
        else:
            yield node


def _drop_attributes(node: Any, producer: Any) -> None:
    """Takes away what today's operation does not have, if it changes nothing."""
    known = definition(node.op)
    if known is None:
        return  # a function of the graph's own
    names = {attribute.name for attribute in known.attr}
    for name in [name for name in node.attr if name not in names and name != _KEPT]:
        if not _is_default(name, node.attr[name], producer):
            raise ConversionError(
                f"Node {node.name} ({node.op}) has an attribute that TensorFlow {tf.__version__} "
                f"does not know: {name}.",
                received=f"{name}={str(node.attr[name]).strip()}",
                expected="attributes among " + ", ".join(sorted(names)),
                fix="Install a TensorFlow at least as new as the one that wrote this graph.",
            )
        del node.attr[name]


def _is_default(name: str, value: Any, producer: Any) -> bool:
    """By what the graph's own TensorFlow says; without it, whether the value is zero or nothing."""
    for attribute in producer.attr if producer is not None else ():
        if attribute.name == name and attribute.HasField("default_value"):
            return bool(attribute.default_value == value)
    kind = value.WhichOneof("value")
    if kind == "list":
        return not value.list.ListFields()
    return kind in {"b", "i", "f", "s"} and not getattr(value, kind)
