"""Writes the equations of einsums as tf2onnx reads them: small letters, and one for each dimension.

tf2onnx knows no ellipsis, and takes `A` for `a`.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

Shape = Sequence[int] | None  # -1 where it varies


def explicit_einsums(graph: Any, nodes: list[Any]) -> list[Any]:
    """A rewriter of tf2onnx: its graph and all nodes of it, to the nodes that take their place."""
    for node in nodes:
        if node.type == "Einsum":
            equation = node.get_attr_str("equation")
            shapes = [graph.get_shape(name) for name in node.input]
            node.set_attr("equation", explicit_equation(equation, shapes))
    return nodes


def explicit_equation(equation: str, shapes: Sequence[Shape]) -> str:
    """The equation in small letters without an ellipsis, or as it is where that can't be done.

    >>> explicit_equation("...i,ij->...j", [(-1, 3, 4), (4, 5)])
    'abc,cd->abd'

    Args:
        equation: It, with an arrow.
        shapes: Those of its operands.
    """
    if equation == equation.lower() and "." not in equation:
        return equation
    operands, _, result = equation.replace(" ", "").partition("->")
    terms = [*operands.split(","), result]
    if any("." in term for term in terms):
        counts = [_ellipsis_length(term, s) for term, s in zip(terms, shapes, strict=False)]
        if None in counts or not _agree(terms, shapes):
            return equation
        # Ellipses are aligned at their ends; digits are no labels of anything else.
        labels = string.digits[: max(count or 0 for count in counts)]
        lengths = [*(count or 0 for count in counts), len(labels)]
        terms = [
            term.replace("...", labels[len(labels) - length :])
            for term, length in zip(terms, lengths, strict=True)
        ]
    return _in_small_letters(terms) or equation


def _ellipsis_length(term: str, shape: Shape) -> int | None:
    if "..." not in term:
        return 0
    return None if shape is None else len(shape) - len(term.replace("...", ""))


def _agree(terms: Sequence[str], shapes: Sequence[Shape]) -> bool:
    """Whether dimensions under ellipses are of the same sizes, so that nothing is broadcast."""
    sizes: dict[int, set[int]] = {}
    for term, shape in zip(terms, shapes, strict=False):
        if "..." not in term or shape is None:
            continue
        before, after = (len(part) for part in term.split("..."))
        under = list(shape)[before : len(shape) - after]
        for place, size in enumerate(reversed(under)):
            sizes.setdefault(place, set()).add(size)
    return all(len(found - {-1}) <= 1 for found in sizes.values())


def _in_small_letters(terms: Sequence[str]) -> str | None:
    found = dict.fromkeys("".join(terms))
    if len(found) > len(string.ascii_lowercase):
        return None
    table = str.maketrans(dict(zip(found, string.ascii_lowercase, strict=False)))
    *operands, result = (term.translate(table) for term in terms)
    return f"{','.join(operands)}->{result}"
