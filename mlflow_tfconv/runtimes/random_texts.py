"""Made-up strings: words, numbers as text, encoded images, serialized examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlflow_tfconv.runtimes.input_range import Feature, InputRange

Array = np.ndarray[Any, Any]

#: Words as they are in texts, one that no vocabulary has among them.
_TEXT = (
    "the a of and to in is it was for on with as this good bad film great book time day man "
    "woman house cat dog one two red blue green small large new old first last zyxwv"
)
_WORDS = tuple(_TEXT.split(" "))
_MOST_WORDS = 9
_HEIGHT, _WIDTH = 40, 56


def random_texts(
    given: InputRange, shape: tuple[int, ...], generator: np.random.Generator
) -> Array:
    """An array of byte strings, with what the input takes in them.

    Args:
        given: What that is.
        shape: Of the array.
        generator: Draws.
    """
    make = _MAKERS.get(given.content, _sentence)
    texts = np.empty(int(np.prod(shape, dtype=np.int64)), dtype=object)
    texts[:] = [make(given, generator) for _ in range(texts.size)]
    return texts.reshape(shape)


def _sentence(_: InputRange, generator: np.random.Generator) -> bytes:
    count = int(generator.integers(1, _MOST_WORDS, endpoint=True))
    return " ".join(generator.choice(_WORDS, count)).encode()


def _digits(_: InputRange, generator: np.random.Generator) -> bytes:
    return str(int(generator.integers(0, 9, endpoint=True))).encode()


def _bytes(given: InputRange, generator: np.random.Generator) -> bytes:
    return generator.bytes(int(given.high or 0))


def _jpeg(_: InputRange, generator: np.random.Generator) -> bytes:
    import tensorflow as tf  # only who takes images as bytes needs its encoders

    encoded: bytes = tf.io.encode_jpeg(_image(generator)).numpy()
    return encoded


def _png(_: InputRange, generator: np.random.Generator) -> bytes:
    import tensorflow as tf  # see above

    encoded: bytes = tf.io.encode_png(_image(generator)).numpy()
    return encoded


def _image(generator: np.random.Generator) -> Array:
    """Coarse blocks of colour with some noise, as photographs rather are than white noise."""
    blocks = generator.integers(0, 256, (_HEIGHT // 8, _WIDTH // 8, 3))
    smooth = blocks.repeat(8, axis=0).repeat(8, axis=1)
    noise = generator.integers(-20, 20, smooth.shape)
    pixels: Array = np.clip(smooth + noise, 0, 255).astype(np.uint8)
    return pixels


def _example(given: InputRange, generator: np.random.Generator) -> bytes:
    import tensorflow as tf  # see above

    message = tf.train.Example()
    for name, feature in given.features.items():
        _fill(message.features.feature[name], feature, generator)
    serialized: bytes = message.SerializeToString()
    return serialized


def _fill(message: Any, feature: Feature, generator: np.random.Generator) -> None:
    if feature.dtype == "string":
        words = generator.choice(_WORDS, feature.count)
        message.bytes_list.value.extend(str(word).encode() for word in words)
    elif np.dtype(feature.dtype).kind == "f":
        message.float_list.value.extend(generator.uniform(-1, 1, feature.count))
    else:
        message.int64_list.value.extend(generator.integers(0, 2, feature.count).tolist())


_MAKERS: dict[str, Callable[[InputRange, np.random.Generator], bytes]] = {
    "bytes": _bytes,
    "digits": _digits,
    "example": _example,
    "jpeg": _jpeg,
    "png": _png,
}
