from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mlflow_tfconv.data.image_headers import (
    ImageDamagedError,
    image_format,
    image_shape,
    undecodable_format,
)

MODES = {"1": 1, "L": 1, "LA": 2, "P": 3, "RGB": 3, "RGBA": 4, "CMYK": 4}


def encoded(mode: str, form: str, **options: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (7, 11, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        *[("L", "JPEG"), ("RGB", "JPEG"), ("CMYK", "JPEG")],
        *[(mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")],
        *[("P", "GIF"), ("RGB", "BMP"), ("RGBA", "BMP")],
    ],
)
def test_the_shape_is_the_one_that_tensorflow_decodes(mode: str, form: str) -> None:
    data = encoded(mode, form)
    shape = image_shape(data)
    assert image_format(data) == form
    decoded = tf.io.decode_image(data, channels=shape[2], expand_animations=False)
    assert shape == tuple(decoded.shape)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP"])
def test_images_that_are_cut_anywhere_are_damaged(form: str) -> None:
    data = encoded("RGB", form)
    for size in range(4, len(data), 7):
        with pytest.raises(ImageDamagedError):
            image_shape(data[:size])


def test_a_changed_byte_of_a_png_is_seen() -> None:
    data = bytearray(encoded("RGB", "PNG"))
    data[60] ^= 1
    with pytest.raises(ImageDamagedError, match="damaged behind byte"):
        image_shape(bytes(data))


def test_progressive_images_have_a_shape() -> None:
    assert image_shape(encoded("RGB", "JPEG", progressive=True)) == (7, 11, 3)


def test_an_image_that_claims_to_be_huge_is_refused() -> None:
    data = bytearray(encoded("RGB", "BMP"))
    data[18:26] = struct.pack("<ii", 2**30, 2**30)
    with pytest.raises(ImageDamagedError):
        image_shape(bytes(data))


@pytest.mark.parametrize(("form", "name"), [("WEBP", "WebP"), ("TIFF", "TIFF")])
def test_formats_that_tensorflow_does_not_decode_are_named(form: str, name: str) -> None:
    data = encoded("RGB", form)
    assert undecodable_format(data) == name
    with pytest.raises(ImageDamagedError, match=name):
        image_shape(data)


def test_text_is_no_image() -> None:
    for data in (b"", b"BM means bitmap, they say, in some places", b"GIF", b"\xff\xd8"):
        assert image_format(data) is None
        assert undecodable_format(data) is None
