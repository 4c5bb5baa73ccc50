"""Which functions of a library are needed to call some of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def reached_functions(library: Any, roots: Iterable[str]) -> set[str]:
    """Names of the functions that the roots call, directly or not, and of their gradients."""
    definitions = {function.signature.name: function for function in library.function}
    gradients: dict[str, list[str]] = {}
    for gradient in library.gradient:
        gradients.setdefault(gradient.function_name, []).append(gradient.gradient_func)
    registered = {g.registered_op_type: g.gradient_func for g in library.registered_gradients}
    done: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in done or name not in definitions:
            continue
        done.add(name)
        waiting.extend(gradients.get(name, ()))
        for node in definitions[name].node_def:
            waiting.append(node.op)
            for attribute in node.attr.values():
                waiting.extend(f.name for f in (attribute.func, *attribute.list.func))
            custom = (
                node.attr["_gradient_op_type"].s.decode()
                if "_gradient_op_type" in node.attr
                else ""
            )
            waiting.append(registered.get(custom, ""))
    return done
