"""The fewest vertices of a graph that lie on every way from some vertices to others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

#: A vertex as the side where ways come in (False) and the side where they go out (True). Only one
#: way leads from one to the other; all else is as wide as one likes.
_Side = tuple[str, bool]
_Flow = dict[_Side, set[_Side]]


def vertex_cut(
    edges: Mapping[str, Collection[str]], sources: Iterable[str], targets: Collection[str]
) -> frozenset[str]:
    """A smallest set of vertices without which no target can be reached; of several the nearest.

    Sources and targets may be part of it. By Menger's theorem it has as many vertices as there are
    ways without a vertex in common; these are found one by one (Ford and Fulkerson).

    Args:
        edges: Vertex to those that follow it.
        sources: Where the ways begin.
        targets: Where they end.
    """
    starts = list(dict.fromkeys(sources))
    flow: _Flow = {}
    while True:
        reached = _reached(edges, starts, flow)
        end = next((side for side in reached if side[1] and side[0] in targets), None)
        if end is None:
            break
        _add_way(end, reached, flow)
    return frozenset(vertex for vertex, out in reached if not out and (vertex, True) not in reached)


def _add_way(end: _Side, reached: Mapping[_Side, _Side | None], flow: _Flow) -> None:
    """Walks back from its end; where another way came the other way, the two cancel out."""
    there = end
    while (here := reached[there]) is not None:
        if here in flow.get(there, ()):
            flow[there].remove(here)
        else:
            flow.setdefault(here, set()).add(there)
        there = here


def _reached(
    edges: Mapping[str, Collection[str]], starts: Iterable[str], flow: _Flow
) -> dict[_Side, _Side | None]:
    """Each side that another way could get to, with the one before it; the near ones first."""
    back: dict[_Side, list[_Side]] = {}
    for here, ends in flow.items():
        for there in ends:
            back.setdefault(there, []).append(here)
    began: dict[_Side, _Side | None] = {(vertex, False): None for vertex in starts}
    queue = list(began)
    for side in queue:
        vertex, out = side
        if out:
            forward = [(follower, False) for follower in edges.get(vertex, ())]
        else:
            forward = [] if (vertex, True) in flow.get(side, ()) else [(vertex, True)]
        for there in (*forward, *back.get(side, ())):
            if there not in began:
                began[there] = side
                queue.append(there)
    return began
