"""What an encoded image is, told from its headers and without decoding it.

Enough is looked at to find a file that is cut or damaged so that TensorFlow would not decode it;
the pixels themselves are not.
"""

from __future__ import annotations

import struct
import zlib

#: First bytes of formats that TensorFlow decodes.
_MAGICS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"BM": "BMP"}
_BMP_HEADER_BYTES = 26

_JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # frame headers, of any coding
_JPEG_BARE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
_JPEG_SCAN, _JPEG_END = 0xDA, b"\xff\xd9"

_PNG_BEGIN = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 4}  # by colour type; TensorFlow has no gray with alpha
_BMP_CHANNELS = {24: 3, 32: 4}

# As Pillow's own limit: 0.5 GB of colour pixels, which a file of a few kilobytes may claim to have.
_MOST_PIXELS = 2 * 89_478_485

Shape = tuple[int, int, int]


class ImageDamagedError(ValueError):
    """Raised when an image is cut or damaged; says how."""


def image_format(data: bytes) -> str | None:
    """JPEG, PNG, GIF or BMP; None for anything else."""
    for magic, name in _MAGICS.items():
        if data.startswith(magic):
            return name if name != "BMP" or _is_bmp(data) else None
    return None


def undecodable_format(data: bytes) -> str | None:
    """The name of an image format that TensorFlow does not decode; None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:4] in (b"II*\0", b"MM\0*"):
        return "TIFF"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"heic", b"heix", b"mif1"):
        return "AVIF or HEIC"
    return None


def image_shape(data: bytes) -> Shape:
    """(height, width, channels) as it is decoded; of an animation one frame.

    Raises:
        ImageDamagedError: It is none of the four formats, cut off or damaged.
    """
    form = image_format(data)
    if form is None:
        other = undecodable_format(data)
        found = f"{other}, which TensorFlow does not decode" if other else f"{data[:16]!r}"
        raise ImageDamagedError(f"no JPEG, PNG, GIF or BMP image, but {found}")
    try:
        shape = _SHAPES[form](data)
    except (struct.error, IndexError) as e:
        raise ImageDamagedError(f"a {form} image that is cut off after {len(data)} bytes") from e
    if min(shape) <= 0 or shape[0] * shape[1] > _MOST_PIXELS:
        raise ImageDamagedError(f"a {form} image of {shape[1]}x{shape[0]} pixels")
    return shape


def _jpeg(data: bytes) -> Shape:
    shape, at = None, 2
    while True:
        if data[at] != 0xFF:
            raise ImageDamagedError(f"a JPEG image that is damaged at byte {at}")
        marker = data[at + 1]
        at += 1 if marker == 0xFF else 2  # any number of FF may stand before a marker
        if marker == 0xFF or marker in _JPEG_BARE:
            continue
        if marker in _JPEG_SIZES:
            height, width, channels = struct.unpack_from(">xxxHHB", data, at)
            shape = (height, width, min(channels, 3))  # CMYK is decoded to three
        elif marker == _JPEG_SCAN:
            break
        at += struct.unpack_from(">H", data, at)[0]
    if shape is None:
        raise ImageDamagedError("a JPEG image without a size")
    if data.rfind(_JPEG_END) < at:
        raise ImageDamagedError(f"a JPEG image that is cut off after {len(data)} bytes")
    return shape


def _png(data: bytes) -> Shape:
    if not data.startswith(_PNG_BEGIN):
        raise ImageDamagedError("a PNG image whose first bytes are damaged")
    shape, at, kind = None, len(_PNG_BEGIN), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(data[at + 4 : at + 8 + length]) != checksum:
            raise ImageDamagedError(f"a PNG image that is damaged behind byte {at}")
        if kind == b"IHDR":
            width, height, _, colour = struct.unpack_from(">IIBB", data, at + 8)
            shape = (height, width, _PNG_CHANNELS.get(colour, 0))
        at += 12 + length
    if shape is None:
        raise ImageDamagedError("a PNG image without a size")
    return shape


def _gif(data: bytes) -> Shape:
    width, height = struct.unpack_from("<HH", data, 6)
    if not data.rstrip(b"\0").endswith(b";"):
        raise ImageDamagedError(f"a GIF image that is cut off after {len(data)} bytes")
    return (height, width, 3)


def _bmp(data: bytes) -> Shape:
    begin, width, height, bits = struct.unpack_from("<10xI4xii2xH", data)
    height = abs(height)  # negative: the rows stand from the top to the bottom
    channels = _BMP_CHANNELS.get(bits)
    if channels is None:
        raise ImageDamagedError(f"a BMP image of {bits} bits a pixel; TensorFlow reads 24 and 32")
    row_bytes = -(-width * channels // 4) * 4
    if len(data) < begin + row_bytes * height:
        raise ImageDamagedError(f"a BMP image that is cut off after {len(data)} bytes")
    return (height, width, channels)


def _is_bmp(data: bytes) -> bool:
    """Two letters alone may begin a text as well: the size of a header has to follow."""
    if len(data) < _BMP_HEADER_BYTES:
        return False
    return struct.unpack_from("<I", data, 14)[0] in (12, 40, 52, 56, 64, 108, 124)


_SHAPES = {"JPEG": _jpeg, "PNG": _png, "GIF": _gif, "BMP": _bmp}
