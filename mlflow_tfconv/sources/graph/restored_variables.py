"""Which key of a checkpoint a graph restores into which variable.

A Saver writes its own nodes into the graph: `RestoreV2` (`Restore`, `RestoreSlice` before 0.12)
takes a file name, keys and parts, and each result is assigned to a variable, sometimes through an
Identity or a Reshape. So keys that differ from names, and parts of partitioned variables, are
known from the graph alone; no code of the model is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.sources.graph.graph_source import VARIABLE_OPS

_ASSIGNS = frozenset({"Assign", "AssignVariableOp"})
_RESTORES = frozenset({"RestoreV2", "RestoreSlice", "Restore"})
_SAME_VALUE = frozenset({"Identity", "RefIdentity", "Reshape", "EnsureShape", "IdentityN"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a Saver puts into a variable.

    Attributes:
        saver: The node that names its file; every Saver has its own.
        key: The checkpoint's key.
        part: Which part of it, as Savers write it; "" is the whole.
        reshaped: Whether another shape with as many values is meant to fit.
    """

    saver: str
    key: str
    part: str
    reshaped: bool


def restored_variables(graph_def: Any) -> dict[str, list[Restored]]:
    """Name of a variable's node to what each Saver of the graph restores into it."""
    nodes = {node.name: node for node in graph_def.node}
    found: dict[str, list[Restored]] = {}
    for variable, restored in _assigned(graph_def, nodes):
        found.setdefault(variable, []).append(restored)
    return found


def _assigned(graph_def: Any, nodes: Mapping[str, Any]) -> Iterator[tuple[str, Restored]]:
    for node in graph_def.node:
        if node.op not in _ASSIGNS or len(node.input) < 2:
            continue
        variable, _, _ = _origin(node.input[0], nodes)
        restore, output, reshaped = _origin(node.input[1], nodes)
        if variable is None or restore is None or variable.op not in VARIABLE_OPS:
            continue
        if restore.op in _RESTORES:
            restored = _restored(restore, output, reshaped, nodes)
            if restored is not None:
                yield variable.name, restored


def _restored(
    restore: Any, output: int, reshaped: bool, nodes: Mapping[str, Any]
) -> Restored | None:
    saver, *texts = restore.input[:3]
    keys = _texts(texts[0], nodes) if texts else []
    parts = _texts(texts[1], nodes) if restore.op != "Restore" and len(texts) > 1 else [b""]
    if not keys or not parts:
        return None
    origin, _, _ = _origin(saver, nodes)
    return Restored(
        saver=origin.name if origin is not None else saver,
        key=_at(keys, output),
        part=_at(parts, output),
        reshaped=reshaped,
    )


def _texts(tensor: str, nodes: Mapping[str, Any]) -> list[bytes]:
    node, _, _ = _origin(tensor, nodes)
    if node is None or node.op != "Const":
        return []
    return list(node.attr["value"].tensor.string_val)


def _at(texts: list[bytes], place: int) -> str:
    """The text at a place; the last one stands for all that would be the same after it."""
    return texts[min(place, len(texts) - 1)].decode("utf-8", "replace")


def _origin(tensor: str, nodes: Mapping[str, Any]) -> tuple[Any, int, bool]:
    """The node that makes a tensor's value, which of its results, and whether it was reshaped."""
    reshaped = False
    for _ in range(len(nodes)):
        name, _, output = tensor.partition(":")
        node = nodes.get(name)
        if node is None or node.op not in _SAME_VALUE or not node.input:
            return node, _number(output), reshaped
        reshaped |= node.op == "Reshape"
        tensor = _followed(node, _number(output))
    return None, 0, reshaped


def _followed(node: Any, output: int) -> str:
    place = output if node.op == "IdentityN" and output < len(node.input) else 0
    return str(node.input[place])


def _number(output: str) -> int:
    return int(output) if output.isdecimal() else 0
