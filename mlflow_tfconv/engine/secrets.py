"""What is secret in a URL or in options of a storage, and never shown, logged or stored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "***"

_SECRET_NAME = re.compile(
    r"key|secret|token|pass|credential|auth|signature|\bsig\b|sas|cookie|connection_string", re.I
)
_NO_SECRETS = ("anon", "google_default", "cloud", "browser", "cache", "", None, True, False)
_OPTIONS = "storage_options"
_USER = re.compile(r"(://)[^/@\s]+@")
_QUERY_VALUE = re.compile(
    r"([?&;](?:[\w.-]*(?:sig|token|key|secret|pass|credential|auth)[\w.-]*)=)[^&;\s'\"]+", re.I
)


def without_secrets(text: str, storage_options: Mapping[str, Any] | None = None) -> str:
    """A text with URLs in it, without their users, passwords, tokens and signatures.

    Args:
        text: Any text.
        storage_options: Options whose secret values are taken out too, wherever they stand.
    """
    for value in sorted(set(_secret_values(storage_options or {})), key=len, reverse=True):
        text = text.replace(value, MASK)
    return _QUERY_VALUE.sub(rf"\g<1>{MASK}", _USER.sub(rf"\g<1>{MASK}@", text))


def masked(value: Any) -> Any:
    """A config or a whole recipe with `***` for what is secret in it; keys and shape stay.

    Args:
        value: Plain values, as JSON holds them. What stands under `storage_options` is secret by
            its name; anywhere else, what is secret in URLs.
    """
    if isinstance(value, Mapping):
        return {
            key: _masked_options(item, "") if key == _OPTIONS else masked(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(masked(item) for item in value)
    return without_secrets(value) if isinstance(value, str) and "://" in value else value


def _masked_options(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _masked_options(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_masked_options(item, name) for item in value)
    return MASK if _SECRET_NAME.search(name) and value not in _NO_SECRETS else masked(value)


def _secret_values(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secret_values(item, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secret_values(item, name)
    elif isinstance(value, str) and value not in _NO_SECRETS and _SECRET_NAME.search(name):
        yield value
