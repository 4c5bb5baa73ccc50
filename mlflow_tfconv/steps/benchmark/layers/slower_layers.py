"""Which layers of a variant take longer than in the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.layers.matched_layers import Group, matched_layers
from mlflow_tfconv.steps.benchmark.layers.profiled_model import ProfiledModel
from mlflow_tfconv.steps.benchmark.worker.onnx_nodes import GraphNode, NodeGraph

_LEAST_GROWTH = 1.1
_LEAST_GROWTH_US = 2.0  # the profilers' clock ticks in microseconds
_LEAST_SHARE = 0.01
_LEAST_MATCHED = 0.5
_LEAST_ALIKE = 0.5
_US_PER_MS = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The same work in both models.

    Attributes:
        name: Of its node that holds weights, or of its first, in the reference's file.
        reference_ms: Median over the reference's runs.
        ms: Median over the variant's runs.
        reference_operators: What the reference ran, such as ("Conv",).
        operators: What the variant ran, such as ("QLinearConv", "DequantizeLinear").
    """

    name: str
    reference_ms: float
    ms: float
    reference_operators: tuple[str, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerComparison:
    """A variant's layers against the reference's.

    Attributes:
        slower: Those that grew beyond noise, the one that grew most first.
        faster_ms: What all layers together have gained that take less.
        slower_ms: What all that grew beyond noise have lost.
        layers: How many were compared.
        matched_share: Share of the time of both that lies in layers that were matched; below a
            half the models are different ones, and no layers are told.
    """

    slower: tuple[Layer, ...]
    faster_ms: float
    slower_ms: float
    layers: int
    matched_share: float

    def to_plain(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Timed:
    """A model and what its times are to be multiplied with."""

    model: ProfiledModel
    scale: float = 1.0
    ms: np.ndarray[Any, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Milliseconds, (nodes, runs) float64."""
        object.__setattr__(
            self, "ms", self.model.times_us.astype("float64") / _US_PER_MS * self.scale
        )

    @property
    def run_ms(self) -> float:
        """What a run takes."""
        return self.model.total_ms * self.scale

    def of(self, nodes: Sequence[int]) -> np.ndarray[Any, Any]:
        """(runs,) float64 milliseconds of these nodes together."""
        summed: np.ndarray[Any, Any] = self.ms[list(nodes)].sum(axis=0)
        return summed


def compared_layers(
    reference: ProfiledModel,
    variant: ProfiledModel,
    *,
    reference_p50_ms: float | None = None,
    p50_ms: float | None = None,
) -> LayerComparison:
    """Compares the times of the same work.

    Two profiles are taken at different times, in which a machine may have been busier than in the
    other. Latencies are measured in turns and don't have that error, so with them each profile is
    brought to its model's latency. A layer has grown beyond noise when it takes a tenth more, a
    hundredth of the reference's whole run more, and more than the profiler can tell apart; and when
    at most a quarter of the variant's runs are as quick as three quarters of the reference's.

    Args:
        reference: The model to compare with.
        variant: Another one, in the same runtime, with the same batch size.
        reference_p50_ms: Latency of the reference; None takes its profile as it is.
        p50_ms: Latency of the variant.
    """
    sides = (
        _Timed(reference, _scale(reference, reference_p50_ms)),
        _Timed(variant, _scale(variant, p50_ms)),
    )
    groups = matched_layers(reference, variant)
    both = [group for group in groups if group.reference and group.variant]
    share = min(_share(sides[0], both, "reference"), _share(sides[1], both, "variant"))
    if share < _LEAST_MATCHED or not _are_alike(reference, variant):
        return LayerComparison(slower=(), faster_ms=0, slower_ms=0, layers=0, matched_share=share)
    file = reference.file or NodeGraph(reference.ran)
    found = [(_layer(group, file, *sides), _is_slower(group, *sides)) for group in groups]
    slower = sorted((r for r, grew in found if grew), key=lambda r: r.reference_ms - r.ms)
    return LayerComparison(
        slower=tuple(slower),
        faster_ms=sum(max(layer.reference_ms - layer.ms, 0.0) for layer, _ in found),
        slower_ms=sum(layer.ms - layer.reference_ms for layer in slower),
        layers=len(groups),
        matched_share=share,
    )


def _scale(model: ProfiledModel, p50_ms: float | None) -> float:
    return 1.0 if p50_ms is None or model.total_ms <= 0 else p50_ms / model.total_ms


def _share(side: _Timed, groups: Sequence[Group], which: str) -> float:
    nodes = [number for group in groups for number in getattr(group, which)]
    whole = float(side.ms.sum())
    return float(side.ms[nodes].sum()) / whole if whole > 0 else 0.0


def _are_alike(reference: ProfiledModel, variant: ProfiledModel) -> bool:
    """Whether tensors of the same name are mostly made by the same operators.

    Exporters that number tensors give strangers the same names.
    """
    if reference.file is None or variant.file is None:
        return True
    made_by = {t: node.operator for node in reference.file.nodes for t in node.outputs}
    same = [
        made_by[tensor] == node.operator
        for node in variant.file.nodes
        for tensor in node.outputs
        if tensor in made_by
    ]
    return not same or sum(same) >= _LEAST_ALIKE * len(same)


def _is_slower(group: Group, reference: _Timed, variant: _Timed) -> bool:
    before, after = reference.of(group.reference), variant.of(group.variant)
    typical, now = float(np.median(before)), float(np.median(after))
    apart = float(np.quantile(after, 0.25)) > float(np.quantile(before, 0.75))
    doubt_us = max(side.model.profiler_us * side.scale for side in (reference, variant))
    least = max((_LEAST_GROWTH_US + doubt_us) / _US_PER_MS, _LEAST_SHARE * reference.run_ms)
    return apart and now > _LEAST_GROWTH * typical and now - typical > least


def _layer(group: Group, file: NodeGraph, reference: _Timed, variant: _Timed) -> Layer:
    return Layer(
        name=_name([file.nodes[number] for number in group.file], file),
        reference_ms=float(np.median(reference.of(group.reference))),
        ms=float(np.median(variant.of(group.variant))),
        reference_operators=_operators(reference.model, group.reference),
        operators=_operators(variant.model, group.variant),
    )


def _name(nodes: Sequence[GraphNode], file: NodeGraph) -> str:
    """That of the first node with weights; else of the first that has a name."""
    weighted = [n for n in nodes if any(tensor in file.constants for tensor in n.inputs)]
    named = [node.name or node.operator for node in (*weighted, *nodes)]
    return named[0] if named else ""


def _operators(model: ProfiledModel, numbers: Sequence[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(model.ran[number].operator for number in numbers))
