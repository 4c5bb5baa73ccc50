"""How large a window of darknet is, how it moves, and what it leaves of an image.

The rules are those of make_convolutional_layer, make_maxpool_layer and make_local_layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlflow_tfconv.sources.darknet.cfg_text import Section

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """A window that moves over an image.

    Attributes:
        size: Its height and width in values of the kernel.
        strides: Steps downwards and to the right.
        dilation: Distance of the values it looks at.
        before: Rows above and columns left of the image.
        image: Height and width of the image.
        out: Height and width of what is left.
    """

    size: int
    strides: Pair
    dilation: int
    before: int
    image: Pair
    out: Pair

    @property
    def after(self) -> Pair:
        """Rows below and columns right of the image that are looked at; negative: not reached."""
        reach = self.dilation * (self.size - 1) + 1
        down, right = (
            (out - 1) * stride + reach - length - self.before
            for out, stride, length in zip(self.out, self.strides, self.image, strict=True)
        )
        return down, right

    @property
    def same(self) -> bool:
        """Whether TensorFlow's "SAME" looks at the very same values."""
        return all(
            after >= 0 and self.before == (self.before + after) // 2 and out == -(-length // stride)
            for after, out, length, stride in zip(
                self.after, self.out, self.image, self.strides, strict=True
            )
        )


def convolution_window(section: Section, image: Pair) -> Window:
    """That of [convolutional]: `pad=1` means half the size on each side, else `padding` counts."""
    size = section.whole("size", 1, 1)
    dilation = section.whole("dilation", 1, 1) if size > 1 else 1
    padding = size // 2 if section.whole("pad", 0) else section.whole("padding", 0)
    strides = _strides(section)
    reach = dilation * (size - 1) + 1
    out = _fitting(section, image, strides, 2 * padding - reach)
    return Window(size, strides, dilation, padding, image, out)


def pool_window(section: Section, image: Pair) -> Window:
    """That of [maxpool]: `padding` counts both sides together, and is size - 1 when not given."""
    stride = section.whole("stride", 1, 1)
    size = section.whole("size", stride, 1)
    padding = section.whole("padding", size - 1)
    strides = _strides(section)
    out = _fitting(section, image, strides, padding - size)
    return Window(size, strides, 1, padding // 2, image, out)


def local_window(section: Section, image: Pair) -> Window:
    """That of [local]: `pad` is 0, or 1 with a size of 3."""
    size = section.whole("size", 1, 1)
    pad = section.whole("pad", 0)
    if pad and (pad, size) != (1, 3):
        raise section.error("is padded in a way that darknet itself can't compute", "pad")
    stride = section.whole("stride", 1, 1)
    out = _fitting(section, image, (stride, stride), 2 * pad - size)
    return Window(size, (stride, stride), 1, pad, image, out)


def _strides(section: Section) -> Pair:
    stride = section.whole("stride", 1, 1)
    return section.whole("stride_y", stride, 1), section.whole("stride_x", stride, 1)


def _fitting(section: Section, image: Pair, strides: Pair, surplus: int) -> Pair:
    height, width = (n + surplus for n in image)
    if min(height, width) < 0:
        raise section.error(f"is larger than its image of {image[0]} x {image[1]}", "size")
    return height // strides[0] + 1, width // strides[1] + 1
