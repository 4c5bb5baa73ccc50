"""Python bytecode inside a model, for users who trust it; bytecode of another Python is told.

Marshalled code does not say which Python wrote it, and running another's ends the process. What
tells is the code itself: every instruction must exist here and have as many cache entries as here.
"""

from __future__ import annotations

import binascii
import dis
import marshal
import math
import opcode
import sys
import types
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlflow_tfconv.errors import ConversionError

_CODE_HEADER = 1 + 5 * 4  # type, and five counts of four bytes each
_CODE, _BYTES = ord("c") | 0x80, (ord("s"), ord("s") | 0x80)
_RESUME = dis.opmap["RESUME"]
_ENTRY = 2  # bytes of an instruction, and of a cache entry


def bytecode_of(dumped: Any) -> bytes:
    """The marshalled code in a config of any Keras; empty when there is none."""
    while isinstance(dumped, dict):
        dumped = dumped.get("config") if "config" in dumped else dumped.get("code")
    text = dumped[0] if isinstance(dumped, list) and dumped else dumped
    if not isinstance(text, str):
        return b""
    try:
        return binascii.a2b_base64(text.encode("ascii"))
    except (UnicodeEncodeError, binascii.Error):
        return text.encode("raw_unicode_escape")


def function_from(code: bytes, defaults: Any, whose: str) -> Any:
    """The function.

    Args:
        code: Marshalled code, which must be trusted.
        defaults: Defaults of its arguments, or None.
        whose: What it is the code of, for messages.

    Raises:
        ConversionError: It is code of another Python, or damaged.
    """
    loaded = _loaded(code)
    if loaded is None:
        raise ConversionError(
            f"The code of {whose} is of another Python, or damaged: this one can't run it.",
            received=f"{len(code)} bytes of bytecode",
            expected=f"bytecode of Python {sys.version_info.major}.{sys.version_info.minor}",
            fix="Say what it computes: lambdas={name: function}.",
        )
    return types.FunctionType(loaded, _global_names(), argdefs=tuple(defaults or ()) or None)


def _loaded(code: bytes) -> types.CodeType | None:
    if not _starts_like_ours(code):
        return None
    try:
        loaded = marshal.loads(code)  # noqa: S302 (the user trusts it)
    except (ValueError, EOFError, TypeError):
        return None
    return loaded if isinstance(loaded, types.CodeType) and _runs_here(loaded) else None


def _global_names() -> dict[str, Any]:
    """What the scripts that make such models call these libraries."""
    return {
        "K": keras.ops, "keras": keras, "np": np, "numpy": np, "tf": tf, "math": math,
    }  # fmt: skip


def _starts_like_ours(code: bytes) -> bool:
    """Whether the marshalled bytes have the layout of Python 3.11 and later, and their start."""
    start = code[_CODE_HEADER : _CODE_HEADER + 5]
    if len(start) < 5 or code[0] != _CODE or start[0] not in _BYTES:
        return False
    size = int.from_bytes(start[1:], "little")
    body = code[_CODE_HEADER + 5 : _CODE_HEADER + 5 + size]
    return len(body) == size and size % _ENTRY == 0 and _RESUME in body[::_ENTRY] and _fits(body)


def _runs_here(code: types.CodeType) -> bool:
    inner = [one for one in code.co_consts if isinstance(one, types.CodeType)]
    return _fits(code.co_code) and all(map(_runs_here, inner))


def _fits(body: bytes) -> bool:
    """Whether all instructions exist here and are followed by as many cache entries as here."""
    place, operations = 0, body[::_ENTRY]
    while place < len(operations):
        operation = operations[place]
        if dis.opname[operation].startswith("<"):
            return False
        entries = _cache_entries(operation)
        following = operations[place + 1 : place + 1 + entries]
        if len(following) != entries or any(following):
            return False
        place += 1 + entries
        if place < len(operations) and operations[place] == 0:
            return False  # a cache entry more than here
    return True


def _cache_entries(operation: int) -> int:
    entries: Any = opcode._inline_cache_entries  # type: ignore[attr-defined]
    if isinstance(entries, dict):  # from Python 3.13 on
        return int(entries.get(dis.opname[operation], 0))
    return int(entries[operation])
