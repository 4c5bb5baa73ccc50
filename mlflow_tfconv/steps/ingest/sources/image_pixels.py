"""Pixels of a decoded image in the channels and the size that are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageOps

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_GRAY = ("1", "L", "I", "I;16", "I;16B", "I;16L", "I;16N")
_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
}


def channels_of(image: Any) -> int:
    """1 for gray, 3 for colour, 4 where there is transparency."""
    if image.has_transparency_data:
        return 4
    return 1 if image.mode in _GRAY else 3


def pixels_of(image: Any, channels: int | None) -> Any:
    """The image as gray, RGB or RGBA with 8 bits a channel.

    Raises:
        DataError: Its pixels are no numbers from 0 to 65535.
    """
    mode = _MODES[channels or channels_of(image)]
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.mode == "F":
        raise DataError(
            "the pixels are floats, whose range nobody knows.",
            received="an image of 32-bit floats",
            fix="Save it with 8 or 16 bits a channel, or as .npy.",
        )
    return image if image.mode == mode else image.convert(mode)


def fitted(image: Any, options: ImageOptions) -> Any:
    """The image in the size that is asked for, if one is."""
    if options.size is None:
        return image
    height, width = options.size
    if image.size == (width, height):
        return image
    how = _FILTERS[options.resize]
    if options.fit == "crop":
        return ImageOps.fit(image, (width, height), method=how)
    if options.fit == "pad":
        return ImageOps.pad(image, (width, height), method=how)
    return image.resize((width, height), how)


def _eight_bits(image: Any) -> Any:
    """The upper 8 of 16 bits; Pillow itself would make all that is above 255 white."""
    values = np.asarray(image)
    if values.size and (values.min() < 0 or values.max() > 0xFFFF):
        raise DataError(
            "the pixels need more than 16 bits.",
            received=f"values from {values.min()} to {values.max()}",
            fix="Save it with 8 or 16 bits a channel, or as .npy.",
        )
    return Image.fromarray((values >> 8).astype(np.uint8))
