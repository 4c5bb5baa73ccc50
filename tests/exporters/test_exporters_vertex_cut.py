from __future__ import annotations

import itertools
import random

import pytest

from mlflow_tfconv.exporters.vertex_cut import vertex_cut

DIAMOND = {"s": "ab", "a": "c", "b": "c", "c": "de", "d": "t", "e": "t"}


@pytest.mark.parametrize(
    ("sources", "targets", "cut"),
    [("s", "t", "s"), ("ab", "t", "c"), ("ab", "ac", "ab"), ("de", "t", "t"), ("c", "de", "c")],
)
def test_the_fewest_vertices_are_taken_and_of_several_the_nearest(
    sources: str, targets: str, cut: str
) -> None:
    assert vertex_cut(DIAMOND, sources, set(targets)) == set(cut)


def reachable(edges: dict[str, list[str]], sources: list[str], without: set[str]) -> set[str]:
    queue = [vertex for vertex in sources if vertex not in without]
    for vertex in queue:
        queue += [v for v in edges[vertex] if v not in without and v not in queue]
    return set(queue)


@pytest.mark.parametrize("seed", range(50))
def test_no_smaller_cut_exists_in_any_graph(seed: int) -> None:
    dice = random.Random(seed)
    vertices = [str(number) for number in range(7)]
    edges = {v: [w for w in vertices if v != w and dice.random() < 0.35] for v in vertices}
    sources, targets = dice.sample(vertices, 3), set(dice.sample(vertices, 2))
    cut = vertex_cut(edges, sources, targets)
    assert not reachable(edges, sources, set(cut)) & targets
    for smaller in itertools.combinations(vertices, max(len(cut) - 1, 0)):
        assert not cut or reachable(edges, sources, set(smaller)) & targets
