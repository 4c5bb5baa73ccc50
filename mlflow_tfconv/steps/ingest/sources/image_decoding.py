"""Image files as pixels, by Pillow."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.image_pixels import channels_of, fitted, pixels_of

#: Suffixes of files that are taken for images; what they really are, their content says.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif"),
)

# Not all that Pillow knows: for EPS, for one, it would start another program on the file.
Image.init()
_FORMATS = tuple(
    name
    for name in ("JPEG", "MPO", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
    if name in Image.OPEN  # Pillow before 11.3 has no AVIF
)

# Pillow's own limit for an error: 0.7 GB of colour pixels, out of a file of a few kilobytes.
_MOST_PIXELS = 2 * 89_478_485

_ORIENTATION = 0x0112
_ON_THEIR_SIDE = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class ImageFound:
    """An image that could be decoded.

    Attributes:
        value: (height, width, channels) uint8; or the bytes of a JPEG or PNG file.
        original_shape: (height, width, channels) before it was resized.
    """

    value: np.ndarray[Any, Any] | bytes
    original_shape: tuple[int, int, int]


def image_found(data: bytes, options: ImageOptions, shown: str) -> ImageFound:
    """The image in a file.

    Of several images in a file, such as the frames of a GIF, the first is taken. 16 bits a channel
    become 8, as TensorFlow's decoders do it.

    Args:
        data: The file's content.
        options: What is to become of it.
        shown: The file's name, for the error.

    Raises:
        DataError: It is no image, of a format that is not read, damaged, cut off, or too large.
    """
    if not data:
        raise _no_image(shown, "an empty file")
    with _pillow_errors(shown, data), Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        _check_size(image, shown)
        turn = _orientation(image) if options.exif_orientation else 1
        if options.store == "encoded":
            return _encoded(image, data, options, turn)
        size = _turned(image.size, turn)
        if options.size is not None and image.format in ("JPEG", "MPO"):
            _draft(image, options, turn)
        image.load()
        upright = ImageOps.exif_transpose(image) if turn != 1 else image
        pixels = fitted(pixels_of(upright, options.channels), options)
        array = np.asarray(pixels)
        array = array[..., None] if array.ndim == 2 else array
        return ImageFound(array, (size[1], size[0], array.shape[2]))


def _encoded(image: Any, data: bytes, options: ImageOptions, turn: int) -> ImageFound:
    """The file as it is when TensorFlow decodes it to the same image, otherwise as PNG."""
    width, height = _turned(image.size, turn)
    channels = options.channels or channels_of(image)
    mode, plain = image.mode, image.format in ("JPEG", "MPO", "PNG") and turn == 1
    if plain and mode != "CMYK" and not (channels == 4 and image.format != "PNG"):
        # The whole file is looked at, but not all of its pixels need be computed.
        image.draft(mode, (1, 1))
        image.load()
        return ImageFound(data, (height, width, channels))
    image.load()
    upright = ImageOps.exif_transpose(image) if turn != 1 else image
    target = io.BytesIO()
    pixels_of(upright, channels).save(target, "PNG", compress_level=3)
    return ImageFound(target.getvalue(), (height, width, channels))


def _draft(image: Any, options: ImageOptions, turn: int) -> None:
    """Lets a JPEG be decoded at 1/2, 1/4 or 1/8, if that is still twice as large as is asked."""
    height, width = options.size or (0, 0)
    if options.resize == "nearest":
        return
    wanted = _turned((2 * width, 2 * height), turn)
    image.draft(None, wanted)


def _check_size(image: Any, shown: str) -> None:
    width, height = image.size
    if width * height > _MOST_PIXELS:
        raise _too_large(shown, f"{width:,} x {height:,} pixels")


def _too_large(shown: str, received: str) -> DataError:
    return DataError(
        f"{shown} has too many pixels to be decoded in memory.",
        received=received,
        expected=f"at most {_MOST_PIXELS:,} pixels",
        fix="Make it smaller or cut it into tiles. A small file with so many pixels may be meant to "
        "do harm.",
    )


def _orientation(image: Any) -> int:
    """The EXIF orientation, 1 to 8; 1 when there is none or it can't be read."""
    if image.format == "TIFF" or "exif" not in image.info:
        return 1  # Pillow turns a TIFF by itself
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 (damaged EXIF raises anything; the pixels are what counts)
        return 1
    return found if found in range(1, 9) else 1


def _turned(size: tuple[int, int], turn: int) -> tuple[int, int]:
    return (size[1], size[0]) if turn in _ON_THEIR_SIDE else size


@contextmanager
def _pillow_errors(shown: str, data: bytes) -> Iterator[None]:
    """Pillow's many errors as one that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of oddities that Pillow can live with
            yield
    except DataError as e:
        raise DataError(f"{shown}: {e.what}", received=e.received, fix=e.fix) from e
    except Image.DecompressionBombError as e:
        raise _too_large(shown, str(e)) from e
    except UnidentifiedImageError as e:
        raise _no_image(shown, f"a content that no decoder knows: {data[:20]!r}...") from e
    # SyntaxError and the like are how Pillow's decoders speak of broken files.
    except (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError) as e:
        raise _damaged(shown, e) from e
    except (ArithmeticError, AttributeError, RuntimeError, AssertionError) as e:
        raise _damaged(shown, e) from e


def _no_image(shown: str, received: str) -> DataError:
    return DataError(
        f"{shown} is no image.",
        received=received,
        expected=f"one of the formats {', '.join(_FORMATS)}",
        fix="Convert or remove the file, or set `ingest.on_error: skip`.",
    )


def _damaged(shown: str, error: BaseException) -> DataError:
    return DataError(
        f"{shown} is a damaged image.",
        received=f"{error}" or type(error).__name__,
        fix="Bring back or remove the file, or set `ingest.on_error: skip`.",
    )
