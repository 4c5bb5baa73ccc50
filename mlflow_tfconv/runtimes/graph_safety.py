"""Finds, in what a graph would run, operations that do more than compute.

A graph is foreign input: its operations can read and write files, call Python, and speak to the
network. Only what would run is looked at: functions and nodes that nothing reaches, such as the
saver of a training graph, do no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.unsafe_operations import UNSAFE_OPS

#: Operations that call a function, to the place of the first input that is its first argument.
_CALLS = {
    "PartitionedCall": 0,
    "StatefulPartitionedCall": 0,
    "While": 0,
    "StatelessWhile": 0,
    "If": 1,
    "StatelessIf": 1,
    "Case": 1,
    "StatelessCase": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsafeNode:
    """An operation that would run and does more than compute.

    Attributes:
        op: Its type.
        node: Its name.
        function: The function it is in, or "" in the graph itself.
        why: What is wrong with it, in words.
    """

    op: str
    node: str
    function: str
    why: str

    def __str__(self) -> str:
        """In words."""
        inside = f" of function {self.function}" if self.function else ""
        return f"operation {self.op}, node {self.node}{inside} ({self.why})"


def refuse_unsafe_nodes(
    graph_def: Any,
    *,
    where: Path | str,
    roots: Iterable[str] | None = None,
    assets: Collection[str] = (),
) -> None:
    """Raises when running part of a graph could do more than compute.

    Args:
        graph_def: A `GraphDef` with its library of functions.
        where: The file that the graph is from, for the message.
        roots: The tensors or nodes that would be computed; None takes every node.
        assets: Names of the nodes that give paths of files which belong to the model.

    Raises:
        ConversionError: It could; the message names the operation, the node and its function.
    """
    search = UnsafeSearch(graph_def.library)
    refuse(search.in_graph(graph_def.node, roots=roots, assets=assets), where=where)


def refuse(found: Iterable[UnsafeNode], *, where: Path | str) -> None:
    """Raises for the first of the nodes.

    Raises:
        ConversionError: There is one.
    """
    first = next(iter(found), None)
    if first is None:
        return
    raise ConversionError(
        "This model is refused: it could read or write files or run foreign code.",
        received=f"{first}, in {where}",
        expected="operations that only compute",
        fix="Export the model again without it. If you trust whoever made the file, say "
        "trust=True: it is then run.",
    )


class UnsafeSearch:
    """Walks what would run, through functions; each function once for the files it is given."""

    def __init__(self, library: Any) -> None:
        self._functions = {function.signature.name: function for function in library.function}
        self._gradients: dict[str, list[str]] = {}
        for gradient in library.gradient:
            self._gradients.setdefault(gradient.function_name, []).append(gradient.gradient_func)
        # Grappler may swap a function for another one that says it implements the same.
        self._same: dict[bytes, list[str]] = {}
        for name, function in self._functions.items():
            if "api_implements" in function.attr:
                self._same.setdefault(function.attr["api_implements"].s, []).append(name)
        self._done: set[tuple[str, frozenset[int]]] = set()

    def in_graph(
        self, nodes: Iterable[Any], *, roots: Iterable[str] | None, assets: Collection[str] = ()
    ) -> Iterator[UnsafeNode]:
        """What computing the roots (None: all nodes) would run."""
        named = {node.name: node for node in nodes}
        wanted = named if roots is None else _reached(named, roots)
        scope = _Scope(named, frozenset(assets))
        yield from self._followed(
            [scope.visit(named[name], "") for name in wanted if name in named]
        )

    def in_function(self, name: str, assets: Collection[int] = ()) -> Iterator[UnsafeNode]:
        """What calling a function would run.

        Args:
            name: The function's name in the library.
            assets: Places of the arguments that are paths of the model's own files.
        """
        yield from self._followed([_Visit(calls=((name, frozenset(assets)),))])

    def _followed(self, visits: list[_Visit]) -> Iterator[UnsafeNode]:
        while visits:
            visit = visits.pop(0)
            yield from visit.unsafe
            for name, assets in visit.calls:
                visits.extend(self._bodies(name, assets))

    def _bodies(self, name: str, assets: frozenset[int]) -> Iterator[_Visit]:
        """The nodes of a function, and of those that may run in its place."""
        for other in self._alternatives(name):
            if other not in self._functions or (other, assets) in self._done:
                continue
            self._done.add((other, assets))
            function = self._functions[other]
            named = {node.name: node for node in function.node_def}
            arguments = [arg.name for arg in function.signature.input_arg]
            scope = _Scope(named, frozenset(arguments[n] for n in assets if n < len(arguments)))
            for node in function.node_def:
                yield scope.visit(node, other)

    def _alternatives(self, name: str) -> list[str]:
        function = self._functions.get(name)
        if function is None:
            return []
        same: list[str] = []
        if "api_implements" in function.attr:
            same = self._same[function.attr["api_implements"].s]
        return [name, *self._gradients.get(name, ()), *same]


@dataclass(frozen=True, slots=True)
class _Visit:
    """What one node has in it: itself when unsafe, and the functions it calls."""

    unsafe: tuple[UnsafeNode, ...] = ()
    calls: tuple[tuple[str, frozenset[int]], ...] = ()


@dataclass(frozen=True, slots=True)
class _Scope:
    """The nodes of one graph or function, and who in it gives paths of the model's own files."""

    nodes: Mapping[str, Any]
    assets: frozenset[str]

    def visit(self, node: Any, function: str) -> _Visit:
        why = self._why_unsafe(node)
        unsafe = (
            (UnsafeNode(op=node.op, node=node.name, function=function, why=why),) if why else ()
        )
        return _Visit(unsafe, tuple(self._calls(node)))

    def _why_unsafe(self, node: Any) -> str | None:
        if node.op in UNSAFE_OPS:
            return UNSAFE_OPS[node.op]
        check = _CONDITIONS.get(node.op)
        return check(self, node) if check else None

    def _calls(self, node: Any) -> Iterator[tuple[str, frozenset[int]]]:
        yield node.op, frozenset()  # old graphs call a function by an operation of its name
        assets = frozenset[int]()
        if node.op in _CALLS:
            inputs = [name for name in node.input[_CALLS[node.op] :] if name[:1] != "^"]
            assets = frozenset(n for n, name in enumerate(inputs) if self.is_asset(name))
        for attribute in node.attr.values():
            for called in (attribute.func, *attribute.list.func):
                if called.name:
                    yield called.name, assets

    def is_asset(self, tensor: str) -> bool:
        """Whether a tensor is the path of one of the model's own files."""
        return self._source(tensor) in self.assets

    def constant(self, tensor: str) -> bytes | None:
        """The text that a tensor always is, or None."""
        node = self.nodes.get(self._source(tensor))
        if node is None or node.op != "Const":
            return None
        values = node.attr["value"].tensor.string_val
        return bytes(values[0]) if values else None

    def _source(self, tensor: str) -> str:
        name = tensor.removeprefix("^").split(":")[0]
        for _ in range(len(self.nodes)):
            node = self.nodes.get(name)
            if node is None or node.op != "Identity" or name in self.assets:
                break
            name = node.input[0].split(":")[0]
        return name


def _table_from_file(scope: _Scope, node: Any) -> str | None:
    if len(node.input) > 1 and scope.is_asset(node.input[1]):
        return None
    return "fills a table from a file that is not among the model's assets"


def _cache(scope: _Scope, node: Any) -> str | None:
    in_memory = len(node.input) > 1 and scope.constant(node.input[1]) == b""
    return None if in_memory else "caches in a file"


def _print(_: _Scope, node: Any) -> str | None:
    stream = node.attr["output_stream"].s
    return "prints into a file" if stream.startswith(b"file") else None


def _vocabulary(_: _Scope, node: Any) -> str | None:
    return "reads a file" if node.attr["vocab_file"].s else None


#: Operations that are unsafe only in some use, to who tells.
_CONDITIONS: dict[str, Callable[[_Scope, Any], str | None]] = {
    "CacheDataset": _cache,
    "CacheDatasetV2": _cache,
    "FixedUnigramCandidateSampler": _vocabulary,
    "InitializeTableFromTextFile": _table_from_file,
    "InitializeTableFromTextFileV2": _table_from_file,
    "PrintV2": _print,
}
CONDITIONALLY_UNSAFE_OPS = frozenset(_CONDITIONS)


def _reached(nodes: Mapping[str, Any], roots: Iterable[str]) -> list[str]:
    done: dict[str, None] = {}
    waiting = [name.removeprefix("^").split(":")[0] for name in roots]
    while waiting:
        name = waiting.pop()
        if name in done or name not in nodes:
            continue
        done[name] = None
        waiting.extend(tensor.removeprefix("^").split(":")[0] for tensor in nodes[name].input)
    return list(done)
