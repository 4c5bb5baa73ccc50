"""A graph of TensorFlow 1 with its weights, as it was read: what inference is cut out of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader

Array = np.ndarray[Any, Any]

#: Operations that hold a variable: references of TensorFlow up to 0.12 and 1, and resources.
VARIABLE_OPS = frozenset({"Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWeight:
    """The value of one variable, still in its file.

    Attributes:
        key: The checkpoint's key.
        dtype: TensorFlow's name of the type, such as "float32".
        shape: The variable's own shape, also when it is a part of what is stored.
        read: Reads the value now; it is not kept.
    """

    key: str
    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A variable of the graph whose value the checkpoint does not give.

    Attributes:
        variable: Name of the variable's node.
        dtype: Its type.
        shape: Its shape, None where it is unknown.
        problem: Why, in words: "is not in the checkpoint", "has shape [2] there".
        saved: Whether a Saver of the graph saves it. One that none does, a local variable, has
            its initial value whenever the graph is run.
    """

    variable: str
    dtype: str
    shape: tuple[int | None, ...] | None
    problem: str
    saved: bool

    def __str__(self) -> str:
        """In a sentence."""
        shape = "unknown shape" if self.shape is None else f"{list(self.shape)}"
        return f"variable {self.variable} ({self.dtype} {shape}) {self.problem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSignature:
    """What a SavedModel says about one way to call it.

    Attributes:
        inputs: Name to tensor of the graph.
        outputs: The same of outputs.
        method_name: What TensorFlow Serving makes of it.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    method_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSource:
    """A graph, and where its variables' values are.

    Attributes:
        path: What was named.
        source_format: A key of `FORMATS`.
        graph_def: The whole `GraphDef` as it was written, with its library of functions.
        weights: Name of a variable's node to its stored value.
        conflicts: Name of a variable's node to why it has none; no error as long as inference
            does not need it.
        checkpoint: The checkpoint, None of a frozen graph.
        meta: The `MetaGraphDef`; its collections are hints, never to be trusted. None of a graph
            without one.
        signatures: Key to signature, of a SavedModel.
        assets: Tensor of the graph that names a file, to that file.
        init_ops: Nodes that fill tables before inference.
        choices: What the files left open, and what was taken.
        warnings: What a user should know.
    """

    path: Path
    source_format: str
    graph_def: Any
    weights: Mapping[str, StoredWeight] = field(default_factory=dict)
    conflicts: Mapping[str, Conflict] = field(default_factory=dict)
    checkpoint: CheckpointReader | None = None
    meta: Any = None
    signatures: Mapping[str, GraphSignature] = field(default_factory=dict)
    assets: Mapping[str, Path] = field(default_factory=dict)
    init_ops: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    warnings: tuple[str, ...] = ()


def require_weights(source: GraphSource, variables: Iterable[str]) -> None:
    """Raises when a variable that inference needs has no value.

    Args:
        source: The graph.
        variables: Names of the variables' nodes that inference reads.

    Raises:
        ConversionError: Names every variable without a value, its shape and why.
    """
    needed = list(variables)
    lacking = [name for name in needed if name not in source.weights]
    if not lacking:
        return
    if source.checkpoint is None:
        raise _without_weights(source, lacking)
    conflicts = [source.conflicts[name] for name in lacking if name in source.conflicts]
    raise ConversionError(
        "The graph and the checkpoint do not belong together: "
        + _row([str(conflict) for conflict in conflicts])
        + ".",
        received=f"{source.checkpoint.prefix} with {_row(_stored(source.checkpoint))}",
        expected=f"values for all {len(needed)} variables that the outputs need",
        fix="Name the graph that was saved with this checkpoint (architecture=), or the checkpoint "
        "that belongs to this graph (weights=).",
    )


def _without_weights(source: GraphSource, lacking: list[str]) -> ConversionError:
    return ConversionError(
        f"This is a graph without weights: {len(lacking)} of its variables have no value: "
        f"{_row(lacking)}.",
        received=str(source.path),
        expected="a frozen graph, or a graph with its checkpoint",
        fix="Name the checkpoint as the source and this file with architecture=, or the checkpoint "
        "with weights=.",
    )


def _stored(checkpoint: CheckpointReader) -> list[str]:
    return [f"{key} ({checkpoint.dtype(key)} {list(checkpoint.shape(key))})" for key in checkpoint]


def _row(items: list[str], *, at_most: int = 12) -> str:
    more = f", and {len(items) - at_most} more" if len(items) > at_most else ""
    return ", ".join(items[:at_most]) + more
