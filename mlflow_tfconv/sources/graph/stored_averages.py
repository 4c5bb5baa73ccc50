"""Which of a checkpoint's values stand for a variable: the trained one, or its moving average."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.graph.graph_source import GraphSource, StoredWeight
from mlflow_tfconv.sources.graph.graph_view import Graph
from mlflow_tfconv.sources.graph.moving_statistics import averaged_weights

_SUFFIX = "ExponentialMovingAverage"


@dataclass(frozen=True, slots=True)
class ChosenWeights:
    """The source with the values that were chosen.

    Attributes:
        source: The same source; `weights` are the chosen ones.
        choices: That there was a choice, if there was one.
    """

    source: GraphSource
    choices: tuple[Choice, ...] = ()


def chosen_weights(
    source: GraphSource, graph: Graph, variables: Iterable[str], use_ema: bool | str | None
) -> ChosenWeights:
    """Takes the trained values, or their moving averages.

    Args:
        source: The graph with its weights.
        graph: The whole graph, with the operations that update averages.
        variables: The variables that inference reads.
        use_ema: True takes averages, a text names the suffix of their keys, False takes the trained
            values, None too, unless only averages were saved.

    Raises:
        ConversionError: Averages are asked for, and there are none.
    """
    needed = list(variables)
    averages = _averages(source, graph, needed, use_ema if isinstance(use_ema, str) else None)
    if use_ema and not averages:
        raise _no_averages(source, needed, use_ema)
    missing = [name for name in needed if name not in source.weights and name in averages]
    taken = averages if use_ema else {name: averages[name] for name in missing if use_ema is None}
    if not averages:
        return ChosenWeights(source)
    weights = replace(source, weights={**source.weights, **taken})
    return ChosenWeights(weights, (_choice(needed, averages, taken),))


def _choice(
    needed: list[str], averages: Mapping[str, StoredWeight], taken: Mapping[str, StoredWeight]
) -> Choice:
    example = next(iter(averages.values())).key
    words = f"moving averages of {len(averages)} of {len(needed)} variables (such as {example})"
    plain = "the weights as they were trained"
    if taken:
        return Choice(what="weights", chosen=words, alternatives=(plain,), argument="use_ema")
    return Choice(
        what="weights",
        chosen=plain,
        alternatives=(words,),
        argument="use_ema",
        reason="as a plain restore gives them",
    )


def _averages(
    source: GraphSource, graph: Graph, needed: list[str], suffix: str | None
) -> dict[str, StoredWeight]:
    """Variable to the stored value of its average."""
    updated = averaged_weights(graph) if suffix is None else {}
    found: dict[str, StoredWeight] = {}
    for name in needed:
        weight = source.weights.get(updated.get(name, "")) or _by_name(source, name, suffix)
        if weight is not None:
            found[name] = weight
    return found


def _by_name(source: GraphSource, name: str, suffix: str | None) -> StoredWeight | None:
    plain = source.weights.get(name)
    base = plain.key if plain is not None else name
    ends = (suffix, f"/{suffix}") if suffix else (f"/{_SUFFIX}",)
    for key in (f"{stem}{end}" for stem in dict.fromkeys((name, base)) for end in ends):
        if key in source.weights:
            return source.weights[key]
        checkpoint = source.checkpoint
        if checkpoint is not None and key in checkpoint:
            shape = checkpoint.shape(key)
            if plain is None or plain.shape == shape:
                read = partial(checkpoint.read, key)
                return StoredWeight(key=key, dtype=checkpoint.dtype(key), shape=shape, read=read)
    return None


def _no_averages(source: GraphSource, needed: list[str], use_ema: bool | str) -> ConversionError:
    keys = source.checkpoint.keys() if source.checkpoint is not None else ()
    return ConversionError(
        "There are no moving averages of the weights"
        + (f" with the suffix {use_ema!r}." if isinstance(use_ema, str) else "."),
        received=f"{source.path} with keys such as {', '.join(keys[:12])}",
        expected=f"averages of {', '.join(needed[:6])}",
        fix="Leave use_ema out, or name the suffix of their keys: use_ema='/my_average'.",
    )
