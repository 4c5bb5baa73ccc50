"""The objects of a TensorFlow 2 checkpoint, as the checkpoint itself describes them.

`_CHECKPOINTABLE_OBJECT_GRAPH` holds a node an object: its attributes by name, and for variables the
key of the value. Optimizers, their slots and counters hang in the same graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader

_VALUE = "VARIABLE_VALUE"
#: Attributes that hold no weights of the model.
_NOT_WEIGHTS = re.compile(
    r"(_?optimizer|save_counter|step|_?metrics|keras_api|compiled_metrics|_?loss.*|_compile_.*)$"
)
#: Keys that nobody misses: what the attributes above hold, and slots of optimizers.
_UNMISSED = re.compile(
    r"(^|/)(_?optimizer|save_counter|step|_?metrics|keras_api|compiled_metrics|_compile_\w+)/"
    r"|/\.OPTIMIZER_SLOT/|^_CHECKPOINTABLE_OBJECT_GRAPH$"
)
_DEEPEST = 200


@dataclass(frozen=True, slots=True)
class StoredVariable:
    """A variable in the checkpoint.

    Attributes:
        path: Attributes from the node that it was looked for in, such as ("cell", "kernel").
        key: Its key.
        shape: Its shape.
    """

    path: tuple[str, ...]
    key: str
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """Its own attribute, without a leading `_`."""
        return self.path[-1].lstrip("_") if self.path else ""


class ObjectNode:
    """An object of the checkpoint.

    Attributes:
        number: Its number in the graph.
        path: Attributes from the root.
    """

    def __init__(
        self, reader: CheckpointReader, graph: Any, number: int = 0, path: tuple[str, ...] = ()
    ) -> None:
        self.reader, self._graph, self.number, self.path = reader, graph, number, path

    def __str__(self) -> str:
        """The path in words."""
        return ".".join(self.path) or "the root"

    @property
    def key(self) -> str | None:
        """The key of its value when it is a variable."""
        for attribute in self._node.attributes:
            if attribute.name == _VALUE and attribute.checkpoint_key in self.reader:
                return str(attribute.checkpoint_key)
        return None

    def children(self) -> dict[str, ObjectNode]:
        """Its attributes in the order in which the object got them."""
        found: dict[str, ObjectNode] = {}
        for child in self._node.children:
            if 0 <= child.node_id < len(self._graph.nodes):
                name = str(child.local_name)
                found[name] = ObjectNode(
                    self.reader, self._graph, child.node_id, (*self.path, name)
                )
        return found

    def child(self, name: str) -> ObjectNode | None:
        """The attribute of that name, with or without a leading `_`."""
        children = self.children()
        same = [n for n in children if n.lstrip("_") == name.lstrip("_")]
        return children[name] if name in children else children[same[0]] if same else None

    def layers_with_weights(self) -> list[ObjectNode]:
        """The layers of a Keras model that have weights, in the model's order."""
        numbered = [
            (int(found[1]), child)
            for name, child in self.children().items()
            if (found := re.fullmatch(r"layer_with_weights-(\d{1,6})", name))
        ]
        return [child for _, child in sorted(numbered, key=lambda pair: pair[0])]

    def variables(self) -> list[StoredVariable]:
        """All variables in it, each once, in the order of the attributes."""
        found: dict[str, StoredVariable] = {}
        for path, node in self._below((), set()):
            key = node.key
            if key is not None and key not in found:
                found[key] = StoredVariable(path, key, self.reader.shape(key))
        return list(found.values())

    def models(self) -> Iterator[ObjectNode]:
        """Itself and what hangs on it, the nearest first: where a model may be."""
        seen, row = {self.number}, [self]
        while row:
            yield from row
            below: list[ObjectNode] = []
            for name, child in (item for node in row for item in node.children().items()):
                if child.number not in seen and not _NOT_WEIGHTS.fullmatch(name):
                    seen.add(child.number)
                    below.append(child)
            row = below

    def _below(
        self, path: tuple[str, ...], seen: set[int]
    ) -> Iterator[tuple[tuple[str, ...], ObjectNode]]:
        if self.number in seen or len(path) > _DEEPEST:
            return
        seen.add(self.number)
        yield path, self
        for name, child in self.children().items():
            if not _NOT_WEIGHTS.fullmatch(name):
                yield from child._below((*path, name), seen)

    @property
    def _node(self) -> Any:
        return self._graph.nodes[self.number]


def root_of_checkpoint(reader: CheckpointReader) -> ObjectNode:
    """The root of the objects in a checkpoint.

    Raises:
        ConversionError: It is a checkpoint by names, without objects, or its graph is empty.
    """
    graph = reader.object_graph()
    if graph is None or not graph.nodes:
        raise ConversionError(
            f"The checkpoint {reader.prefix.name} holds no objects: its weights go by name.",
            received=str(reader.prefix),
            expected="a checkpoint of TensorFlow 2: save_weights(save_format='tf') or "
            "tf.train.Checkpoint(model=model)",
            fix="A checkpoint of TensorFlow 1 needs its graph: keep the .meta beside it.",
        )
    return ObjectNode(reader, graph)


def unused_keys(reader: CheckpointReader, used: set[str]) -> tuple[str, ...]:
    """Keys of weights that nothing took; those of optimizers and counters don't count."""
    return tuple(k for k in all_keys(reader) if k not in used and not _UNMISSED.search(k))


def all_keys(reader: CheckpointReader) -> tuple[str, ...]:
    """All keys of a checkpoint, sorted."""
    return reader.keys()


def warned_of_unused(reader: CheckpointReader, used: set[str]) -> tuple[str, ...]:
    """A warning when the checkpoint holds weights that the model has no place for."""
    left = [key.split("/.ATTRIBUTES/")[0] for key in unused_keys(reader, used)]
    if not left:
        return ()
    names = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
    return (f"The checkpoint {reader.prefix.name} holds weights that nothing took: {names}.",)
