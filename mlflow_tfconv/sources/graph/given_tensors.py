"""The inputs and outputs that a user or a signature names, found in the graph."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.graph.graph_source import GraphSignature, GraphSource
from mlflow_tfconv.sources.graph.graph_view import Graph, Ref, ref
from mlflow_tfconv.sources.graph.tensor_types import (
    Shape,
    declared_shape,
    dtype_name,
    output_types,
    type_of,
)
from mlflow_tfconv.sources.options import SourceOptions

_DEFAULT_SIGNATURE = "serving_default"
_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class GivenTensors:
    """What is not to be inferred.

    Attributes:
        inputs: Name to tensor, or None to infer them.
        outputs: The same of outputs.
        choices: What was taken where the files offer several.
        by_signature: Whether a signature names them.
    """

    inputs: Mapping[str, Ref] | None
    outputs: Mapping[str, Ref] | None
    choices: tuple[Choice, ...] = ()
    by_signature: bool = False


def given_tensors(graph: Graph, source: GraphSource, options: SourceOptions) -> GivenTensors:
    """What the user names; else what the signature names; else nothing.

    Raises:
        ConversionError: A tensor or a signature of that name does not exist.
    """
    inputs = None if options.inputs is None else _found(graph, options.inputs, "inputs")
    outputs = None if options.outputs is None else _found(graph, options.outputs, "outputs")
    named = inputs is not None or outputs is not None
    if named and options.signature is None:
        return GivenTensors(inputs, outputs)
    signature, choices = _signature(source, options)
    if signature is None:
        return GivenTensors(inputs, outputs, choices)
    return GivenTensors(
        inputs if inputs is not None else _found(graph, signature.inputs, "signature"),
        outputs if outputs is not None else _found(graph, signature.outputs, "signature"),
        choices,
        by_signature=not named,
    )


def described(graph: Graph, tensor: Ref, shapes: Mapping[Ref, Shape] | None = None) -> str:
    """A tensor with its type and shape, for a message."""
    shape = (shapes or {}).get(tensor) or declared_shape(graph, tensor)
    sizes = "?" if shape is None else [("?" if size is None else size) for size in shape]
    return f"{tensor} ({dtype_name(type_of(graph, tensor))} {sizes})".replace("'", "")


def in_a_row(items: Iterable[str]) -> str:
    """Some items, and how many more there are."""
    listed = list(items)
    more = f", and {len(listed) - _MOST_SHOWN} more" if len(listed) > _MOST_SHOWN else ""
    return ", ".join(listed[:_MOST_SHOWN]) + more


def _signature(
    source: GraphSource, options: SourceOptions
) -> tuple[GraphSignature | None, tuple[Choice, ...]]:
    signatures = {key: value for key, value in source.signatures.items() if value.outputs}
    if options.signature is not None and options.signature not in signatures:
        raise ConversionError(
            f"This model has no signature {options.signature!r}.",
            received=f"{source.path} with signatures: {', '.join(signatures) or 'none'}",
            expected="the key of one of them",
            fix="Name one of them with signature=, or the tensors with inputs= and outputs=.",
        )
    if not signatures:
        return None, ()
    several = sorted(signatures, key=lambda key: (key != _DEFAULT_SIGNATURE, key))
    chosen = options.signature or several[0]
    others = tuple(key for key in several if key != chosen)
    choice = Choice(what="signature", chosen=chosen, alternatives=others, argument="signature")
    return signatures[chosen], (choice,) if others and options.signature is None else ()


def _found(graph: Graph, named: Mapping[str, str], argument: str) -> dict[str, Ref]:
    return {name: _tensor(graph, ref(text), argument) for name, text in named.items()}


def _tensor(graph: Graph, tensor: Ref, argument: str) -> Ref:
    if tensor.node not in graph:
        raise _unknown(graph, tensor, argument)
    types = output_types(graph, graph[tensor.node])
    if types is not None and tensor.port >= len(types):
        raise ConversionError(
            f"{tensor.node} has no output {tensor.port} ({argument}).",
            received=str(tensor),
            expected=in_a_row(
                described(graph, Ref(tensor.node, port)) for port in range(len(types))
            )
            or f"another node: {tensor.node} ({graph[tensor.node].op}) gives no tensor",
        )
    return tensor


def _unknown(graph: Graph, tensor: Ref, argument: str) -> ConversionError:
    near = difflib.get_close_matches(tensor.node, list(graph.nodes), n=5, cutoff=0.5)
    wanted = tensor.node.lower()
    near += [n for n in graph.nodes if wanted in n.lower() and n not in near and len(near) < 8]
    placeholders = [n.name for n in graph if n.op.startswith("Placeholder")]
    return ConversionError(
        f"The graph has no tensor {str(tensor)!r} ({argument}).",
        received=str(tensor),
        expected=in_a_row(f"{name}:0" for name in near or placeholders),
        fix=f"Name a tensor of the graph with {argument}=; those above are the nearest names.",
    )
