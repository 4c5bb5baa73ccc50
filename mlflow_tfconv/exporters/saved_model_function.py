"""A SavedModel's function, or a part of its graph, as one that takes and gives `{name: tensor}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.cut_function import CutGraph
from mlflow_tfconv.runtimes.inlined_function import inlined_function
from mlflow_tfconv.runtimes.names import tidy_names
from mlflow_tfconv.runtimes.saved_model_runtime import tensor_spec
from mlflow_tfconv.sources.options import SourceOptions
from mlflow_tfconv.sources.saved_model.endpoint import Endpoint, EndpointTensor
from mlflow_tfconv.sources.saved_model.saved_model_part import LoadedPart, argument_key, result_key


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFunction:
    """What a Traced is made from.

    Attributes:
        call: Gives `{output_name: tensor}` for `{input_name: tensor}`.
        inputs: Sorted by name, as TensorFlow flattens a dict.
        outputs: In the function's own order.
        unknown_rank: Names of the inputs that may have any number of dimensions.
        graph_def: The graph of a part that was cut out, else None.
    """

    call: Callable[[Mapping[str, Any]], dict[str, Any]]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    unknown_rank: frozenset[str] = frozenset()
    graph_def: Any = None


def saved_model_function(
    part: LoadedPart, endpoint: Endpoint, options: SourceOptions
) -> NamedFunction:
    """The function with the inputs and outputs that were asked for.

    Raises:
        ConversionError: A name that was asked for is not in the graph, the outputs need an input
            that was not named, or a shape that was asked for does not fit.
    """
    inputs = _chosen(endpoint.inputs, options.inputs)
    outputs = _chosen(endpoint.outputs, options.outputs)
    own = all(_is_own(tensor) for tensor in (*inputs.values(), *outputs.values()))
    if own and not options.shapes:  # through calls of functions, other shapes are not inferred
        found = _whole(part, endpoint, inputs, outputs)
    else:
        found = _cut(part, endpoint, inputs, outputs)
    return _shaped(found, options)


def _chosen(
    tensors: tuple[EndpointTensor, ...], asked: Mapping[str, str] | None
) -> dict[str, EndpointTensor | str]:
    """New name to the function's own input or output, or to the text that names a tensor."""
    if asked is None:
        return {tensor.name: tensor for tensor in tensors}
    own = {name: tensor for tensor in tensors for name in (tensor.name, tensor.key)}
    names = tidy_names(asked)
    values = asked.values()
    return {
        new: own.get(wanted.removesuffix(":0"), wanted)
        for new, wanted in zip(names, values, strict=True)
    }


def _is_own(tensor: EndpointTensor | str) -> bool:
    return isinstance(tensor, EndpointTensor)


def _whole(
    part: LoadedPart, endpoint: Endpoint, inputs: Mapping[str, Any], outputs: Mapping[str, Any]
) -> NamedFunction:
    """The function itself, with other names and perhaps fewer outputs."""
    keys = {name: argument_key(endpoint.inputs.index(tensor)) for name, tensor in inputs.items()}
    results = {name: result_key(endpoint.outputs.index(tensor)) for name, tensor in outputs.items()}
    if len(set(keys.values())) < len(endpoint.inputs):
        raise _incomplete(endpoint, inputs)

    def call(tensors: Mapping[str, Any]) -> dict[str, Any]:
        given = part.function(**{keys[name]: tensor for name, tensor in tensors.items()})
        return {name: given[key] for name, key in results.items()}

    specs = part.function.structured_outputs
    return NamedFunction(
        call=call,
        inputs=tuple(_spec(name, inputs[name]) for name in sorted(inputs)),
        outputs=tuple(tensor_spec(name, specs[key]) for name, key in results.items()),
        unknown_rank=frozenset(name for name, tensor in inputs.items() if tensor.shape is None),
    )


def _spec(name: str, tensor: EndpointTensor) -> TensorSpec:
    return TensorSpec(name=name, dtype=tensor.dtype, shape=tensor.shape or _rank_or_scalar(tensor))


def _rank_or_scalar(tensor: EndpointTensor) -> tuple[int | None, ...]:
    return (None,) if tensor.shape is None else ()


def _cut(
    part: LoadedPart, endpoint: Endpoint, inputs: Mapping[str, Any], outputs: Mapping[str, Any]
) -> NamedFunction:
    arguments = [argument_key(n) for n in range(len(endpoint.inputs))]
    results = [result_key(n) for n in range(len(endpoint.outputs))]
    inlined = inlined_function(part.function, arguments, results)
    own = {id(t): inlined.inputs[argument_key(n)] for n, t in enumerate(endpoint.inputs)}
    own |= {id(t): inlined.outputs[result_key(n)] for n, t in enumerate(endpoint.outputs)}
    named = {t.name: inlined.inputs[argument_key(n)] for n, t in enumerate(endpoint.inputs)}
    graph = CutGraph(replace(inlined, inputs=named))

    def found(asked: Mapping[str, Any], argument: str) -> dict[str, Any]:
        return {
            name: graph.tensor(own[id(t)]) if id(t) in own else graph.names.find(t, argument)
            for name, t in asked.items()
        }

    feeds, fetches = found(inputs, "inputs"), found(outputs, "outputs")
    between = graph.between(feeds, fetches)
    return NamedFunction(
        call=between.caller(between.outputs),
        inputs=tuple(tensor_spec(name, feeds[name]) for name in sorted(feeds)),
        outputs=tuple(tensor_spec(name, tensor) for name, tensor in fetches.items()),
        unknown_rank=frozenset(name for name, t in feeds.items() if t.shape.rank is None),
        graph_def=between.graph_def,
    )


def _shaped(found: NamedFunction, options: SourceOptions) -> NamedFunction:
    if not options.shapes:
        return found
    unknown = set(options.shapes) - {spec.name for spec in found.inputs}
    if unknown:
        raise ConversionError(
            f"The model has no input {', '.join(map(repr, sorted(unknown)))} to give a shape.",
            received=f"shapes: {dict(options.shapes)}",
            expected=", ".join(f"{spec.name}: {spec.shape}" for spec in found.inputs),
        )
    return NamedFunction(
        call=found.call,
        inputs=tuple(
            _fixed(spec, options.shapes, spec.name in found.unknown_rank) for spec in found.inputs
        ),
        outputs=found.outputs,
        unknown_rank=found.unknown_rank - set(options.shapes),
        graph_def=found.graph_def,
    )


def _fixed(
    spec: TensorSpec, shapes: Mapping[str, tuple[int | None, ...]], unknown_rank: bool
) -> TensorSpec:
    if spec.name not in shapes:
        return spec
    shape = tuple(shapes[spec.name])
    pairs = list(zip(shape, spec.shape, strict=False))
    fits = len(shape) == len(spec.shape) and all(own in (None, new) for new, own in pairs)
    if not (fits or unknown_rank):
        raise ConversionError(
            f"The input {spec.name!r} can't have this shape.",
            received=f"shapes: {spec.name}: {shape}",
            expected=f"sizes in place of None in {spec.shape}",
            fix="Keep the sizes that the model has.",
        )
    return TensorSpec(name=spec.name, dtype=spec.dtype, shape=shape)


def _incomplete(endpoint: Endpoint, inputs: Mapping[str, Any]) -> ConversionError:
    return ConversionError(
        "The model needs all of its inputs, each once.",
        received=f"inputs: {', '.join(inputs) or 'none'}",
        expected=", ".join(map(str, endpoint.inputs)),
        fix="Name them all in `inputs`, or cut the graph at inner tensors.",
    )
