"""How a functional config names tensors: `[layer, call, output]`, with what else a call got."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

_CONSTANT = "_CONSTANT_VALUE"
Reference = tuple[str, int, int]


def reference_in(said: Any) -> Reference | None:
    """The tensor that a piece of a config names, or None when it names none."""
    if not isinstance(said, list | tuple) or len(said) not in (3, 4):
        return None
    name, call, output = said[:3]
    if isinstance(name, str) and _is_count(call) and _is_count(output) and name != _CONSTANT:
        return name, call, output
    return None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def references_in(said: Any) -> Iterator[Reference]:
    """All tensors that a piece of a config names, however deep."""
    found = reference_in(said)
    if found is not None:
        yield found
        said = said[3] if len(said) == 4 else None
    if isinstance(said, dict):
        said = list(said.values())
    if isinstance(said, list | tuple):
        for item in said:
            yield from references_in(item)


def resolved(said: Any, tensor: Callable[[Reference], Any]) -> Any:
    """The same structure with tensors in the places of their names."""
    found = reference_in(said)
    if found is not None:
        return tensor(found)
    if isinstance(said, list | tuple) and len(said) >= 3 and said[0] == _CONSTANT:
        return said[2]
    if isinstance(said, list | tuple):
        return [resolved(item, tensor) for item in said]
    if isinstance(said, dict):
        return {key: resolved(item, tensor) for key, item in said.items()}
    return said


def keywords_of(node: Any) -> dict[str, Any]:
    """What a call got besides its first argument; every tensor of that carries it."""
    if isinstance(node, dict):
        return {name: value for part in node.values() for name, value in keywords_of(part).items()}
    if not isinstance(node, list | tuple):
        return {}
    if _is_tensor(node):
        return dict(node[3]) if len(node) == 4 and isinstance(node[3], dict) else {}
    return {name: value for part in node for name, value in keywords_of(part).items()}


def _is_tensor(said: Any) -> bool:
    constant = isinstance(said, list | tuple) and len(said) in (3, 4) and said[0] == _CONSTANT
    return constant or reference_in(said) is not None


def is_one_tensor(node: Any) -> bool:
    """Whether a call's first argument is a tensor or a constant by itself."""
    return _is_tensor(node)
