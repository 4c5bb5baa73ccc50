from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.sources import image_decoding
from mlflow_tfconv.steps.ingest.sources.image_decoding import image_found
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions

RAW = ImageOptions()
AS_THEY_ARE = ImageOptions(channels=None)


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def smooth(mode: str = "RGB", size: tuple[int, int] = (48, 32)) -> Image.Image:
    """An image that JPEG keeps nearly as it is: dark at the top left, light at the bottom right."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    ramp = (x + y) * 255 / (size[0] + size[1])
    return Image.fromarray(np.stack([ramp, ramp * 0.5, 255 - ramp], -1).astype(np.uint8)).convert(
        mode
    )


def pixels(data: bytes, options: ImageOptions = RAW) -> np.ndarray[Any, Any]:
    value = image_found(data, options, "a.jpg").value
    assert isinstance(value, np.ndarray)
    assert value.dtype == np.uint8
    return value


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_give_the_pixels_that_were_saved(kind: str) -> None:
    assert np.array_equal(pixels(file_of(smooth(), kind)), np.asarray(smooth()))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("options", [{}, {"quality": 100}], ids=["usual", "best"])
def test_lossy_formats_give_nearly_the_pixels(kind: str, options: dict[str, Any]) -> None:
    found = pixels(file_of(smooth(), kind, **options)).astype(int)
    assert np.abs(found - np.asarray(smooth())).mean() < 5


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_of_every_kind_become_colour(mode: str, progressive: bool) -> None:
    found = pixels(file_of(smooth(mode), "JPEG", progressive=progressive))
    expected = np.asarray(smooth(mode).convert("RGB")).astype(int)
    assert np.abs(found - expected).mean() < 5


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("P", 3), ("RGB", 3), ("LA", 4), ("RGBA", 4)]
)
def test_without_channels_an_image_keeps_its_own(mode: str, channels: int) -> None:
    assert pixels(file_of(smooth(mode), "PNG"), AS_THEY_ARE).shape == (32, 48, channels)


def test_palettes_with_transparency_become_colour_or_alpha() -> None:
    data = file_of(smooth().quantize(16), "PNG", transparency=bytes(range(16)))
    assert pixels(data).shape[2] == 3
    assert pixels(data, ImageOptions(channels=4))[..., 3].min() < 255


def test_sixteen_bits_become_the_upper_eight() -> None:
    deep = np.arange(48 * 32, dtype=np.uint16).reshape(32, 48) * 40
    found = pixels(file_of(Image.fromarray(deep), "PNG"), ImageOptions(channels=1))
    assert np.array_equal(found[..., 0], deep >> 8)


def test_of_a_moving_picture_the_first_frame_is_taken() -> None:
    dark, light = Image.new("RGB", (8, 8), (10, 20, 30)), Image.new("RGB", (8, 8), (250, 250, 250))
    data = file_of(dark, "GIF", save_all=True, append_images=[light])
    assert pixels(data)[0, 0].tolist() == [10, 20, 30]


def test_photographs_are_turned_as_the_camera_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = file_of(smooth(), "JPEG", exif=exif, quality=95)
    turned = image_found(data, RAW, "a.jpg")
    assert turned.original_shape == (48, 32, 3)
    assert np.asarray(turned.value).shape == (48, 32, 3)
    assert pixels(data, ImageOptions(exif_orientation=False)).shape == (32, 48, 3)
    small = pixels(data, ImageOptions(size=(12, 8)))
    upright = pixels(data, ImageOptions(size=(12, 8), resize="nearest"))
    assert np.abs(small.astype(int) - upright).mean() < 10


def test_damaged_exif_does_not_matter() -> None:
    data = file_of(smooth(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert pixels(data).shape == (32, 48, 3)


def test_large_photographs_made_small_in_the_file_differ_little() -> None:
    data = file_of(smooth(size=(640, 480)), "JPEG", quality=95)
    quick = pixels(data, ImageOptions(size=(32, 32))).astype(int)
    whole = np.asarray(Image.open(io.BytesIO(data)).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(quick - whole).max() <= 3


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_every_fit_gives_the_size(fit: Any) -> None:
    found = image_found(file_of(smooth(), "PNG"), ImageOptions(size=(20, 20), fit=fit), "a.png")
    assert np.asarray(found.value).shape == (20, 20, 3)
    assert found.original_shape == (32, 48, 3)
    assert (np.asarray(found.value)[0].max() == 0) == (fit == "pad")


@pytest.mark.parametrize(
    ("kind", "cut"),
    [("JPEG", 0.5), ("PNG", 0.6), ("WEBP", 0.5), ("GIF", 0.3), ("TIFF", 0.5), ("BMP", 0.5)],
)
@pytest.mark.parametrize("store", ["pixels", "encoded"])
def test_a_file_that_is_cut_off_is_named(kind: str, cut: float, store: Any) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    data = file_of(noise, kind)
    with pytest.raises(DataError, match=r"cats/7\.jpg is"):
        image_found(data[: int(len(data) * cut)], ImageOptions(store=store), "cats/7.jpg")


@pytest.mark.parametrize(
    "data",
    [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"%!PS-Adobe-3.0 EPSF-3.0\n"],
)
def test_what_is_no_image_is_named(data: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.jpg is"):
        image_found(data, RAW, "a.jpg")


def test_a_few_bytes_that_would_fill_the_memory_are_refused() -> None:
    data = file_of(Image.new("1", (16, 16)), "PNG")
    bomb = data.replace((16).to_bytes(4, "big") * 2, (60_000).to_bytes(4, "big") * 2)
    assert bomb != data
    at = bomb.index(b"IHDR")
    checksum = struct.pack(">I", zlib.crc32(bomb[at : at + 17]))
    with pytest.raises(DataError, match="too many pixels"):
        image_found(bomb[: at + 17] + checksum + bomb[at + 21 :], RAW, "a.png")


def test_floats_are_refused() -> None:
    data = file_of(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    with pytest.raises(DataError, match=r"a\.tif: the pixels are floats"):
        image_found(data, RAW, "a.tif")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_encoded_files_stay_as_they_are(kind: str) -> None:
    data = file_of(smooth(), kind)
    found = image_found(data, ImageOptions(store="encoded"), "a.jpg")
    assert found.value == data
    assert found.original_shape == (32, 48, 3)


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "BMP", "GIF"])
def test_what_tensorflow_does_not_decode_everywhere_is_stored_as_png(kind: str) -> None:
    data = file_of(smooth(), kind)
    found = image_found(data, ImageOptions(store="encoded"), "a")
    assert isinstance(found.value, bytes)
    assert found.value.startswith(b"\x89PNG")
    assert np.array_equal(pixels(found.value), pixels(data))


def test_resizing_what_stays_encoded_is_refused() -> None:
    with pytest.raises(ConfigError, match="can't be resized"):
        ImageOptions(size=(8, 8), store="encoded")


def test_every_suffix_stands_for_a_format_that_is_decoded() -> None:
    known = Image.registered_extensions()
    for suffix in image_decoding.SUFFIXES:
        assert known[suffix] in image_decoding._FORMATS, suffix
