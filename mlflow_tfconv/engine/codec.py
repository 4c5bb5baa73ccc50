"""Nouns, events and cards as JSON, with paths that survive a move."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import NOUNS
from mlflow_tfconv.engine.cards import CARD_PARTS
from mlflow_tfconv.engine.events import EVENTS

_KINDS = NOUNS | EVENTS | CARD_PARTS


def encode(value: Any, home: Path, store: Path | None = None) -> Any:
    """Gives a value that `json.dumps` takes.

    Args:
        value: A noun, an event, a card, or a container of plain values, paths and those.
        home: The step's folder: paths below it are written as `./...`.
        store: The store of results: paths below it are written as `@/...`.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            f.name: encode(getattr(value, f.name), home, store) for f in dataclasses.fields(value)
        }
        return {"$kind": type(value).__name__, **fields}
    if isinstance(value, Path):
        return {"$path": _portable(value, home, store)}
    if isinstance(value, Mapping):
        return {str(key): encode(item, home, store) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item, home, store) for item in value]
    return value.item() if hasattr(value, "item") else value


def decode(data: Any, home: Path, store: Path | None = None) -> Any:
    """The inverse of `encode`; lists come back as tuples."""
    if isinstance(data, list):
        return tuple(decode(item, home, store) for item in data)
    if not isinstance(data, dict):
        return data
    if "$path" in data:
        return _local(data["$path"], home, store)
    fields = {key: decode(item, home, store) for key, item in data.items() if key != "$kind"}
    return _KINDS[data["$kind"]](**fields) if "$kind" in data else fields


def _portable(path: Path, home: Path, store: Path | None) -> str:
    for mark, root in ((".", home), ("@", store)):
        if root is not None and path.is_relative_to(root):
            return f"{mark}/{path.relative_to(root).as_posix()}"
    return str(path)


def _local(text: str, home: Path, store: Path | None) -> Path:
    if text.startswith("./"):
        return home / text[2:]
    if text.startswith("@/") and store is not None:
        return store / text[2:]
    return Path(text)
