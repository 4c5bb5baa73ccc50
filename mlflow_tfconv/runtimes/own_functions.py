"""Functions of a graph under names that no other graph has."""

from __future__ import annotations

import itertools
from typing import Any

from tensorflow.python.eager import context

_COUNTER = itertools.count()


def with_own_functions(graph_def: Any) -> Any:
    """A copy of a GraphDef whose library of functions has new names.

    TensorFlow keeps functions by their names for the whole process: when one graph that brought a
    function along is thrown away, all others lose the function of that name. These are kept.
    """
    copied = type(graph_def)()
    copied.CopyFrom(graph_def)
    number = next(_COUNTER)
    names = {f.signature.name: f"{f.signature.name}_own{number}" for f in copied.library.function}
    if not names:
        return copied
    for function in copied.library.function:
        function.signature.name = names[function.signature.name]
        _rename(function.node_def, names)
    for gradient in copied.library.gradient:
        gradient.function_name = names.get(gradient.function_name, gradient.function_name)
        gradient.gradient_func = names.get(gradient.gradient_func, gradient.gradient_func)
    _rename(copied.node, names)
    for function in copied.library.function:
        # Importing a graph alone makes them known while it is traced, not when it is run.
        context.context().add_function_def(function)
    return copied


def _rename(nodes: Any, names: dict[str, str]) -> None:
    for node in nodes:
        node.op = names.get(node.op, node.op)
        for attribute in node.attr.values():
            for called in (attribute, *attribute.list.func):
                function = called.func if called is attribute else called
                if function.name in names:
                    function.name = names[function.name]
