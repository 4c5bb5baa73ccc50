"""Snappy, as the blocks of old checkpoints are compressed.

Format: https://github.com/google/snappy/blob/main/format_description.txt
"""

from __future__ import annotations

#: A block of TensorFlow's tables holds 256 KB, or one entry of at most 2 GB.
_LARGEST = 2**31


def snappy_block(data: bytes) -> bytes:
    """The uncompressed content.

    Raises:
        ValueError: The data is not Snappy's.
    """
    size, at = varint(data, 0)
    if size > min(_LARGEST, 64 * len(data)):
        raise ValueError("its uncompressed size is beyond what compression can do")
    out = bytearray()
    while at < len(data) and len(out) <= size:
        at = _element(data, at, out)
    if len(out) != size:
        raise ValueError("its content has another length than it says")
    return bytes(out)


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where the next one begins.

    Raises:
        ValueError: The data ends inside the number, or it has more than 64 bits.
    """
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("it ends inside a number")


def _element(data: bytes, at: int, out: bytearray) -> int:
    """One literal or one copy of what came before."""
    tag = data[at]
    kind, at = tag & 3, at + 1
    if kind == 0:
        length = tag >> 2
        if length >= 60:
            width = length - 59
            length = _number(data, at, width)
            at += width
        out += _part(data, at, length + 1)
        return at + length + 1
    if kind == 1:
        length, offset, width = 4 + ((tag >> 2) & 7), ((tag >> 5) << 8) | _number(data, at, 1), 1
    else:
        width = 2 if kind == 2 else 4
        length, offset = 1 + (tag >> 2), _number(data, at, width)
    _repeat(out, offset, length)
    return at + width


def _repeat(out: bytearray, offset: int, length: int) -> None:
    if not 0 < offset <= len(out):
        raise ValueError("it copies from before its beginning")
    start = len(out) - offset
    piece = out[start : start + length]
    out += (piece * (length // len(piece) + 1))[:length]


def _number(data: bytes, at: int, width: int) -> int:
    return int.from_bytes(_part(data, at, width), "little")


def _part(data: bytes, at: int, length: int) -> bytes:
    part = data[at : at + length]
    if len(part) != length:
        raise ValueError("it ends inside an element")
    return part
