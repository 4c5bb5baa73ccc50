"""Texts in attributes of HDF5 files."""

from __future__ import annotations

from typing import Any


def text_attribute(group: Any, name: str) -> str | None:
    """An attribute as text; None when it is not there."""
    value = group.attrs.get(name)
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
