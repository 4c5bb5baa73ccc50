"""Tells the shapes and the weights of every layer from the sections of a `.cfg`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mlflow_tfconv.sources.darknet.cfg_text import Section
from mlflow_tfconv.sources.darknet.geometry import convolution_window, local_window, pool_window
from mlflow_tfconv.sources.darknet.network import Layer, Network, Place, Shape

_STATISTICS = ("scales", "means", "variances")


def network_from_cfg(
    sections: Sequence[Section],
    *,
    input_shape: Shape | None = None,
    batch_norm_biases: bool = False,
) -> Network:
    """The network that the sections describe.

    Args:
        sections: [net] and one a layer.
        input_shape: (channels, height, width) in place of what [net] says.
        batch_norm_biases: As in `Place`.

    Raises:
        ConversionError: A section can't be what it says at its place.
    """
    shapes = {-1: input_shape or _input_shape(sections[0])}
    layers = []
    for index, section in enumerate(sections[1:]):
        place = Place(index, section, shapes, batch_norm_biases)
        layer = _PLANS[section.kind](place) if section.kind in _PLANS else _same(place)
        shapes[index] = layer.shape
        layers.append(layer)
    if not layers:
        raise sections[0].error("is followed by no layer")
    return Network(input_shape=shapes[-1], layers=tuple(layers))


def _input_shape(net: Section) -> Shape:
    sizes = tuple(net.whole(key, 0) for key in ("channels", "height", "width"))
    if all(sizes):
        return sizes
    inputs = net.whole("inputs", 0)
    if not inputs:
        raise net.error(
            "doesn't say how large the input is", fix="Add width=, height= and channels=."
        )
    return (inputs,)


def _convolutional(place: Place) -> Layer:
    channels, *image = place.image()
    section = place.section
    window = convolution_window(section, (image[0], image[1]))
    filters, groups = section.whole("filters", 1, 1), section.whole("groups", 1, 1)
    if channels % groups or filters % groups:
        raise section.error(f"can't divide {channels} channels and {filters} filters", "groups")
    kernel = ("kernel", (filters, channels // groups, window.size, window.size))
    return place.layer(
        (filters, *window.out), slots=(("biases", (filters,)), *_batch_norm(place, filters), kernel)
    )


def _connected(place: Place) -> Layer:
    inputs, outputs = math.prod(place.before), place.section.whole("output", 1, 1)
    # Here batch norm comes last, unlike in a convolution.
    slots = (("biases", (outputs,)), ("kernel", (outputs, inputs)), *_batch_norm(place, outputs))
    return place.layer((outputs,), slots=slots)


def _batch_norm(place: Place, size: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    given = place.section.whole("batch_normalize", 0)
    return tuple((name, (size,)) for name in _STATISTICS) if given else ()


def _batchnorm(place: Place) -> Layer:
    names = ("biases", *_STATISTICS) if place.batch_norm_biases else _STATISTICS
    channels = place.image()[0]
    return place.layer(place.before, slots=tuple((name, (channels,)) for name in names))


def _local(place: Place) -> Layer:
    channels, *image = place.image()
    window = local_window(place.section, (image[0], image[1]))
    filters = place.section.whole("filters", 1, 1)
    kernel = (math.prod(window.out), filters, channels, window.size, window.size)
    slots = (("biases", (filters, *window.out)), ("kernel", kernel))
    return place.layer((filters, *window.out), slots=slots)


def _maxpool(place: Place) -> Layer:
    channels, *image = place.image()
    window = pool_window(place.section, (image[0], image[1]))
    return place.layer((channels, *window.out))


def _avgpool(place: Place) -> Layer:
    return place.layer((place.image()[0], 1, 1))


def _upsample(place: Place) -> Layer:
    channels, height, width = place.image()
    stride = place.section.whole("stride", 2, 1)
    return place.layer((channels, height * stride, width * stride))


def _reorg(place: Place) -> Layer:
    channels, height, width = place.image()
    stride = place.section.whole("stride", 1, 1)
    reverse = bool(place.section.whole("reverse", 0))
    uneven = channels % stride**2 or (not reverse and (height % stride or width % stride))
    if uneven:
        raise place.section.error(f"can't divide an image of {channels} x {height} x {width}")
    if reverse:
        return place.layer((channels // stride**2, height * stride, width * stride))
    return place.layer((channels * stride**2, height // stride, width // stride))


def _route(place: Place) -> Layer:
    sources = place.sources("layers")
    shapes = [place.shapes[n] for n in sources]
    groups = place.section.whole("groups", 1, 1)
    if place.section.whole("group_id", 0) >= groups or any(shape[0] % groups for shape in shapes):
        raise place.section.error("can't take this part of its layers", "groups")
    channels = sum(shape[0] for shape in shapes) // groups
    if len({shape[1:] for shape in shapes}) > 1:
        raise place.section.error(
            f"joins images that differ in size: {', '.join(map(str, shapes))}", "layers"
        )
    return place.layer((channels, *shapes[0][1:]), sources=sources)


def _shortcut(place: Place) -> Layer:
    if place.section.text("weights_type", "none") != "none":
        raise place.section.error("has weights, which is not supported", "weights_type")
    sources = place.sources("from")
    for source in sources:
        if place.shapes[source][1:] != place.before[1:]:
            raise place.section.error(
                f"adds images that differ in size: {place.before} and {place.shapes[source]}",
                "from",
            )
    return place.layer(place.before, sources=(place.index - 1, *sources))


def _scaled(place: Place) -> Layer:
    """[scale_channels] and [sam]: another layer's image, times this one."""
    source = place.sources("from")[0]
    shape, image = place.before, place.shapes[source]
    wanted = {"sam": image}.get(place.section.kind, (image[0], 1, 1))
    if place.section.whole("scale_wh", 0):
        wanted = (1, *image[1:])
    if shape != wanted:
        raise place.section.error(f"can't multiply {shape} with {image}", "from")
    return place.layer(image, sources=(place.index - 1, source))


def _crop(place: Place) -> Layer:
    channels, height, width = place.image()
    section = place.section
    out = section.whole("crop_height", 1, 1), section.whole("crop_width", 1, 1)
    if out[0] > height or out[1] > width:
        raise section.error(f"is larger than its image of {height} x {width}", "crop_height")
    return place.layer((channels, *out))


def _softmax(place: Place) -> Layer:
    if "tree" in place.section.settings:
        raise place.section.error("has a tree of classes, which is not supported", "tree")
    if math.prod(place.before) % place.section.whole("groups", 1, 1):
        raise place.section.error(f"can't divide {place.before}", "groups")
    return place.layer(place.before)


def _head(place: Place) -> Layer:
    """A detection head: what it takes has to be what it says."""
    section, kind = place.section, place.section.kind
    classes = section.whole("classes", 1 if kind == "detection" else 20)
    boxes = section.whole("num", 1, 1)
    if kind == "detection":
        coords, side = section.whole("coords", 1), section.whole("side", 7, 1)
        wanted: Shape = (side * side * (classes + boxes * (1 + coords)),)
        fits = (math.prod(place.before),) == wanted
    else:
        boxes = len(section.wholes("mask")) if "mask" in section.settings else boxes
        coords = {"yolo": 4, "gaussian_yolo": 8}.get(kind) or section.whole("coords", 4)
        wanted = (boxes * (coords + 1 + classes), *place.before[1:])
        fits = place.image() == wanted
    if not fits:
        raise section.error(
            f"doesn't fit what is before it, {' x '.join(map(str, place.before))}",
            "classes",
            expected=" x ".join(map(str, wanted)),
        )
    return place.layer(place.before)


def _same(place: Place) -> Layer:
    return place.layer(place.before)


_PLANS: dict[str, Callable[[Place], Layer]] = {
    "convolutional": _convolutional,
    "connected": _connected,
    "batchnorm": _batchnorm,
    "local": _local,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "upsample": _upsample,
    "reorg": _reorg,
    "route": _route,
    "shortcut": _shortcut,
    "scale_channels": _scaled,
    "sam": _scaled,
    "crop": _crop,
    "softmax": _softmax,
    "detection": _head,
    "region": _head,
    "yolo": _head,
    "gaussian_yolo": _head,
}
