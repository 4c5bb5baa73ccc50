"""The objects that a SavedModel of TensorFlow 2 holds, read from its protobuf message alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mlflow_tfconv.errors import ConversionError

#: Functions that loading or dropping a resource (a table) calls.
_OF_RESOURCES = ("_create_resource", "_initialize", "_destroy_resource")


class SavedObjectGraph:
    """Nodes are objects, functions and variables; edges are attributes.

    Attributes:
        meta_graph: The MetaGraph it is in.
        nodes: The nodes; their places are their ids, 0 is what was saved.
        functions: Name of a concrete function to its `SavedConcreteFunction`.
    """

    def __init__(self, meta_graph: Any) -> None:
        """Takes the message.

        Raises:
            ConversionError: An edge of the graph leads to nowhere.
        """
        self.meta_graph = meta_graph
        self.nodes = meta_graph.object_graph_def.nodes
        self.functions = meta_graph.object_graph_def.concrete_functions
        self._arguments = {
            function.signature.name: len(function.signature.input_arg)
            for function in meta_graph.graph_def.library.function
        }
        self._require_whole()

    def _require_whole(self) -> None:
        for place, node in enumerate(self.nodes):
            ids = [child.node_id for child in node.children]
            for saved in node.saveable_objects.values():
                ids += [saved.save_function, saved.restore_function]
            if any(not 0 <= node_id < len(self.nodes) for node_id in ids):
                raise ConversionError(
                    "The SavedModel's graph of objects (in saved_model.pb) is damaged.",
                    received=f"node {place} has an edge to a node that is not there",
                    fix="Copy or export the whole folder again.",
                )

    def children(self, node_id: int) -> dict[str, int]:
        """Attribute to node."""
        return {child.local_name: child.node_id for child in self.nodes[node_id].children}

    def signatures(self) -> dict[str, int]:
        """Signature key to the node of its function."""
        holder = self.children(0).get("signatures") if self.nodes else None
        found = {} if holder is None else self.children(holder)
        return {key: n for key, n in found.items() if self.concrete_functions(n)}

    def methods(self) -> dict[str, int]:
        """Path ("encode", "encoder.__call__") to the node of a function; nearest to the root first."""
        found: dict[str, int] = {}
        seen, waiting = {0}, [("", 0)]
        while waiting:
            path, node_id = waiting.pop(0)
            for name, child in self.children(node_id).items():
                if child in seen or name == "signatures":
                    continue
                seen.add(child)
                below = f"{path}.{name}" if path else name
                if self.concrete_functions(child):
                    found[below] = child  # its traces lie below it, and need no names
                else:
                    waiting.append((below, child))
        return found

    def concrete_functions(self, node_id: int) -> list[str]:
        """Names of the concrete functions of a node, or none when it is no function."""
        node = self.nodes[node_id]
        kind = node.WhichOneof("kind")
        if kind == "bare_concrete_function":
            return [node.bare_concrete_function.concrete_function_name]
        return list(node.function.concrete_functions) if kind == "function" else []

    def needed(self, functions: Iterable[str]) -> set[int]:
        """The nodes that calling concrete functions needs, and what those need in turn."""
        done: set[int] = set()
        waiting = [n for name in functions for n in self._bound(name)]
        while waiting:
            node_id = waiting.pop()
            if node_id not in done:
                done.add(node_id)
                waiting.extend(self._needed_by(node_id))
        return done

    def called_on_loading(self, node_ids: Iterable[int]) -> Iterator[str]:
        """Concrete functions that loading, restoring or dropping the nodes calls."""
        for node_id in node_ids:
            node = self.nodes[node_id]
            called = [saved.restore_function for saved in node.saveable_objects.values()]
            if node.WhichOneof("kind") == "resource":
                children = self.children(node_id)
                called += [children[name] for name in _OF_RESOURCES if name in children]
            for function in called:
                yield from self.concrete_functions(function)

    def asset_arguments(self, function: str) -> set[int]:
        """Places of a concrete function's arguments that are paths of files in assets/."""
        bound = self._bound(function)
        first = self._arguments.get(function, len(bound)) - len(bound)
        kinds = [self.nodes[n].WhichOneof("kind") for n in bound]
        return {first + n for n, kind in enumerate(kinds) if kind == "asset"}

    def _bound(self, function: str) -> list[int]:
        if function not in self.functions:
            return []
        return [n for n in self.functions[function].bound_inputs if 0 <= n < len(self.nodes)]

    def _needed_by(self, node_id: int) -> Iterator[int]:
        node = self.nodes[node_id]
        kind = node.WhichOneof("kind")
        if kind == "captured_tensor":
            yield from self._bound(node.captured_tensor.concrete_function)
        elif kind != "variable":  # a table has its initializer, its assets and its functions
            yield from self.children(node_id).values()
            yield from (saved.save_function for saved in node.saveable_objects.values())
            yield from (saved.restore_function for saved in node.saveable_objects.values())
        for function in self.concrete_functions(node_id):
            yield from self._bound(function)
