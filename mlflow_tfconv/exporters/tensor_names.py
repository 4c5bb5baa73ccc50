"""Finds a tensor of a graph by what its user calls it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from mlflow_tfconv.errors import ConversionError

#: Operations whose results nobody means when naming a tensor.
_PLUMBING = frozenset({"Const", "Placeholder", "ReadVariableOp", "NoOp", "VarHandleOp"})
_MOST_SHOWN = 8


class TensorNames:
    """The tensors of a graph, by their whole names, the ends of these, or scopes such as layers."""

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self._tensors = tensors

    def find(self, wanted: str, argument: str) -> Any:
        """The tensor that is meant.

        Args:
            wanted: "scope/dense/BiasAdd:0", an end of it ("dense/BiasAdd"), or the name of a scope
                ("dense"), which means what leaves it.
            argument: What the user said it with, for messages.

        Raises:
            ConversionError: There is none, or there are several; those that are near are told.
        """
        exact = wanted if ":" in wanted else f"{wanted}:0"
        if exact in self._tensors:
            return self._tensors[exact]
        ending = [name for name in self._tensors if name.endswith(f"/{exact}")]
        found = ending or list(self._leaving(wanted.removesuffix(":0").strip("/")))
        if len(found) == 1:
            return self._tensors[found[0]]
        raise self._unknown(wanted, argument, found)

    def _leaving(self, scope: str) -> Iterator[str]:
        """Tensors of a scope that are taken outside of it, or by nobody."""
        for name, tensor in self._tensors.items():
            if not _is_within(name, scope) or tensor.op.type in _PLUMBING:
                continue
            consumers = tensor.consumers()
            if not all(_is_within(consumer.name, scope) for consumer in consumers) or (
                not consumers and not tensor.op.type.startswith("Assert")
            ):
                yield name

    def _unknown(self, wanted: str, argument: str, found: list[str]) -> ConversionError:
        names = found or self._near(wanted.removesuffix(":0"))
        shown = ", ".join(self._described(name) for name in names[:_MOST_SHOWN])
        problem = "has several tensors that could be" if found else "has no tensor"
        return ConversionError(
            f"The graph {problem} {wanted!r}.",
            received=f"{argument}: {wanted}",
            expected=f"one of: {shown}" if shown else "the name of a tensor in the graph",
            fix=f"Name an input or output of the signature, or a tensor's whole name: {argument}=...",
        )

    def _near(self, wanted: str) -> list[str]:
        meant = [n for n, t in self._tensors.items() if t.op.type not in _PLUMBING]
        last = {name.split(":")[0].rsplit("/", 1)[-1]: name for name in meant}
        near = difflib.get_close_matches(wanted, meant, n=4)
        near += [last[n] for n in difflib.get_close_matches(wanted.rsplit("/", 1)[-1], last, n=4)]
        within = [name for name in meant if wanted.lower() in name.lower()]
        return list(dict.fromkeys([*near, *within])) or meant[: -_MOST_SHOWN - 1 : -1]

    def _described(self, name: str) -> str:
        tensor = self._tensors[name]
        sizes = None if tensor.shape.rank is None else tensor.shape.as_list()
        shape = "any shape" if sizes is None else str(["any" if s is None else s for s in sizes])
        return f"{name} ({tensor.dtype.name} {shape})".replace("'", "")


def _is_within(name: str, scope: str) -> bool:
    return f"/{scope}/" in f"/{name}"
