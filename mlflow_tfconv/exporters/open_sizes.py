"""Sizes for dimensions that may be of any size, large enough for the network."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import tensorflow as tf

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.inlined_function import InlinedFunction, graph_function

#: What is tried for the height and width of images, in this order, and for all other dimensions.
_IMAGE_SIZES = (32, 64, 75, 96, 128, 160, 224, 256, 299, 320, 384, 416, 448, 512, 28, 16)
_LENGTHS = (8, 16, 32, 64, 128, 256, 512, 10, 100, 20, 50)
_CHANNELS = (1, 3, 4)
#: Height and width of an image alone, without a batch.
_IMAGE = (40, 56)

Shape = tuple[int | None, ...]


def open_sizes(traced: Traced, inlined: InlinedFunction) -> dict[str, Shape]:
    """Input to a shape with a size for every dimension but the batch; only where one was open.

    TensorFlow's shape inference tells whether a size is enough, without computing anything.
    """
    open_inputs = [spec for spec in traced.inputs if _is_open(spec)]
    if not open_inputs:
        return {}
    for image, length in _candidates(open_inputs):
        shapes = {spec.name: _filled(spec, image, length) for spec in open_inputs}
        if _fits(traced, inlined, shapes):
            return shapes
    return {spec.name: _filled(spec, _IMAGE_SIZES[0], _LENGTHS[0]) for spec in open_inputs}


def _candidates(specs: list[TensorSpec]) -> Iterator[tuple[int, int]]:
    """Sizes for images and for all else; what the inputs don't have is not tried."""
    images = _IMAGE_SIZES if any(_is_images(spec) for spec in specs) else _IMAGE_SIZES[:1]
    lengths = _LENGTHS if not all(_is_images(spec) for spec in specs) else _LENGTHS[:1]
    return ((image, length) for length, image in itertools.product(lengths, images))


def _is_open(spec: TensorSpec) -> bool:
    return None in spec.shape[1:] or _is_image_alone(spec)


def _is_images(spec: TensorSpec) -> bool:
    return len(spec.shape) == 4


def _is_image_alone(spec: TensorSpec) -> bool:
    """Height, width and colours, as a decoder gives them."""
    shape = spec.shape
    return len(shape) == 3 and shape[:2] == (None, None) and shape[2] in _CHANNELS


def _filled(spec: TensorSpec, image: int, length: int) -> Shape:
    if _is_image_alone(spec) and spec.dtype in ("uint8", "float32"):
        return (*_IMAGE, spec.shape[2])
    size = image if _is_images(spec) else length
    return (*spec.shape[:1], *(size if known is None else known for known in spec.shape[1:]))


def _fits(traced: Traced, inlined: InlinedFunction, shapes: dict[str, Shape]) -> bool:
    """Whether no operation refuses such inputs, and none of them gives nothing."""
    specs = {
        spec.name: tf.TensorSpec(shapes.get(spec.name, spec.shape), spec.dtype)
        for spec in traced.inputs
    }
    try:
        function = graph_function(inlined.caller(inlined.outputs)).get_concrete_function(specs)
    except ValueError:
        return False
    tensors = (t for operation in function.graph.get_operations() for t in operation.outputs)
    return not any(
        tensor.shape.rank and 0 in tensor.shape.as_list() and tensor.dtype.is_floating
        for tensor in tensors
    )
