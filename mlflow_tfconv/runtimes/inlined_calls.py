"""Puts functions into a graph in the place of calls that TensorFlow's own inlining leaves alone.

It leaves functions with loops or branches of TensorFlow 1 in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

from mlflow_tfconv.runtimes.graph_walk import tensor_name

#: Operations that call a function.
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


def with_inlined_calls(graph_def: Any) -> Any:
    """The graph without calls; what a call waited for, or what waited for it, no longer does.

    Args:
        graph_def: It is changed.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    while calls := [node for node in graph_def.node if node.op in CALLS]:
        results: dict[str, str] = {}
        nodes = [node for node in graph_def.node if node.op not in CALLS]
        for call in calls:
            inner, given = _body(call, functions[call.attr["f"].func.name])
            nodes += inner
            results |= given
        changed = type(graph_def)(library=graph_def.library, versions=graph_def.versions)
        gone = {call.name for call in calls}
        for node in nodes:
            _take_results(node, results, gone)
        changed.node.extend(nodes)
        graph_def = changed
    return graph_def


def _body(call: Any, function: Any) -> tuple[list[Any], dict[str, str]]:
    """The nodes of a function in the place of a call, and what the call's tensors now are."""
    graph_def, flat = function_def_to_graph_def(function)
    arguments = [argument.name for argument in function.signature.input_arg]
    given = [name for name in call.input if not name.startswith("^")]
    outer = {f"{name}:0": tensor_name(g) for name, g in zip(arguments, given, strict=True)}
    inner = [node for node in graph_def.node if node.name not in arguments]
    for node in inner:
        node.input[:] = [
            moved for name in node.input if (moved := _moved(name, call.name, outer)) is not None
        ]
        node.name = f"{call.name}/{node.name}"
        node.attr.pop("_class", None)  # who else it shares a device with, by former names
        if "frame_name" in node.attr:
            node.attr["frame_name"].s = f"{call.name}/".encode() + node.attr["frame_name"].s
    results = {
        f"{call.name}:{place}": str(_moved(flat[function.ret[result.name]], call.name, outer))
        for place, result in enumerate(function.signature.output_arg)
    }
    return inner, results


def _moved(name: str, call: str, outer: Mapping[str, str]) -> str | None:
    """The name of an input of an inner node in the graph around the call."""
    if name.startswith("^"):
        return None if f"{name[1:]}:0" in outer else f"^{call}/{name[1:]}"
    return outer.get(tensor_name(name)) or f"{call}/{name}"


def _take_results(node: Any, results: Mapping[str, str], gone: set[str]) -> None:
    """Lets a node take what a function gives; one result may be that of another call."""
    taken = []
    for name in node.input:
        if name.startswith("^"):
            if name[1:] not in gone:
                taken.append(name)
            continue
        tensor = tensor_name(name)
        while tensor in results:
            tensor = results[tensor]
        taken.append(tensor)
    node.input[:] = taken
