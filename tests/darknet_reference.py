"""darknet's forward pass in plain numpy, from its C sources; slow, and independent of the package.

Images are (batch, channels, height, width). Weights are read in the order of parser.c.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


#: Headers: version 0.1, 0.2, and three floats as in the oldest files.
SHORT = np.array([0, 1, 0, 64000], "<i4").tobytes()
LONG = np.array([0, 2, 0, 64000, 0], "<i4").tobytes()
OLDEST = np.array([0.0005, 0.9, 0.0005], "<f4").tobytes() + SHORT[:4]


@dataclass(frozen=True)
class Made:
    """A network on disk, and what every layer of it gives."""

    cfg: Path
    weights: Path
    x: Array
    layers: list[Array]


def made_network(
    folder: Path,
    layers: str,
    shape: tuple[int, int, int] = (3, 12, 16),
    header: bytes = SHORT,
    options: Mapping[str, bool] = {},
) -> Made:
    """Writes net.cfg and net.weights; the input is (2, channels, height, width)."""
    channels, height, width = shape
    text = f"[net]\nchannels={channels}\nheight={height}\nwidth={width}\n{layers}"
    x = np.random.default_rng(0).uniform(0, 1, (2, *shape)).astype(np.float32)
    stream = Stream(1)
    outputs = forward(text, x, stream, **options)
    (folder / "net.cfg").write_text(text)
    (folder / "net.weights").write_bytes(header + stream.floats().tobytes())
    return Made(folder / "net.cfg", folder / "net.weights", x, outputs)


class Stream:
    """The numbers of a weights file, in their order; makes them up on the first pass."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.runs: list[Array] = []

    def take(self, *shape: int, low: float = -0.5, high: float = 0.5) -> Array:
        run = self.random.uniform(low, high, shape).astype(np.float32)
        self.runs.append(run)
        return run

    def floats(self) -> Array:
        runs = [run.ravel() for run in self.runs]
        return np.concatenate(runs).astype("<f4") if runs else np.zeros(0, "<f4")


def parse(text: str) -> list[tuple[str, dict[str, str]]]:
    sections: list[tuple[str, dict[str, str]]] = []
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("["):
            sections.append((line[1:-1], {}))
        elif line and line[0] not in "#;":
            key, value = line.split("=")
            sections[-1][1][key.strip()] = value.strip()
    return sections


def forward(text: str, x: Array, stream: Stream, transposed: bool = False) -> list[Array]:
    """What every layer gives; `stream` then holds the weights that were made up."""
    outputs: list[Array] = []
    for index, (kind, options) in enumerate(parse(text)[1:]):
        before = outputs[-1] if outputs else x.astype(np.float64)
        step = globals()[f"_{kind}"]
        if kind in ("route", "shortcut", "scale_channels", "sam"):
            key = "layers" if kind == "route" else "from"
            named = [int(n) for n in options[key].split(",")]
            others = [outputs[n if n >= 0 else index + n] for n in named]
            outputs.append(step(before, others, options))
        elif kind == "connected":
            outputs.append(_connected(before, options, stream, transposed))
        elif kind in ("convolutional", "local", "batchnorm"):
            outputs.append(step(before, options, stream))
        else:
            outputs.append(step(before, options))
    return outputs


def activate(x: Array, name: str) -> Array:
    sigmoid = 1 / (1 + np.exp(-x))
    floor = np.floor(x)
    stair = np.where(floor % 2 == 0, np.floor(x / 2), (x - floor) + np.floor(x / 2))
    plse = np.where(x < -4, 0.01 * (x + 4), np.where(x > 4, 0.01 * (x - 4) + 1, 0.125 * x + 0.5))
    lhtan = np.where(x < 0, 0.001 * x, np.where(x > 1, 0.001 * (x - 1) + 1, x))
    hard = np.where(x > 0, x, np.where(x > -2, x * x / 2 + x, 0))
    gelu = 0.5 * x * (1 + np.tanh(0.797885 * x + 0.035677 * x**3))
    return {
        "linear": x,
        "leaky": np.where(x > 0, x, 0.1 * x),
        "relu": x * (x > 0),
        "relu6": np.clip(x, 0, 6),
        "relie": np.where(x > 0, x, 0.01 * x),
        "ramp": x * (x > 0) + 0.1 * x,
        "elu": np.where(x >= 0, x, np.exp(np.minimum(x, 0)) - 1),
        "selu": 1.0507 * np.where(x >= 0, x, 1.6732 * (np.exp(np.minimum(x, 0)) - 1)),
        "logistic": sigmoid,
        "loggy": 2 * sigmoid - 1,
        "tanh": np.tanh(x),
        "hardtan": np.clip(x, -1, 1),
        "lhtan": lhtan,
        "plse": plse,
        "stair": stair,
        "mish": x * np.tanh(np.log1p(np.exp(x))),
        "hard_mish": hard,
        "swish": x * sigmoid,
        "gelu": gelu,
    }[name]


def _normalized(x: Array, biases: Array, scales: Array, means: Array, variances: Array) -> Array:
    spread = (1, -1) + (1,) * (x.ndim - 2)
    mean, variance, scale, bias = (v.reshape(spread) for v in (means, variances, scales, biases))
    return (x - mean) / np.sqrt(variance + 1e-5) * scale + bias


def _statistics(stream: Stream, n: int) -> tuple[Array, Array, Array]:
    return stream.take(n, low=0.5, high=1.5), stream.take(n), stream.take(n, low=0.5, high=2.0)


def _convolutional(x: Array, options: dict[str, str], stream: Stream) -> Array:
    get = lambda key, default: int(options.get(key, default))  # noqa: E731
    n, size, groups = get("filters", 1), get("size", 1), get("groups", 1)
    stride = get("stride", 1)
    down, right = get("stride_y", stride), get("stride_x", stride)
    dilation = get("dilation", 1)
    pad = size // 2 if get("pad", 0) else get("padding", 0)
    biases = stream.take(n)
    norm = _statistics(stream, n) if get("batch_normalize", 0) else None
    shape = (n, x.shape[1] // groups, size, size)
    if get("flipped", 0):
        kernel = stream.take(shape[1] * size * size, n).T.reshape(shape)
    else:
        kernel = stream.take(*shape)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    reach = dilation * (size - 1) + 1
    rows = (padded.shape[2] - reach) // down + 1
    columns = (padded.shape[3] - reach) // right + 1
    out = np.zeros((len(x), n, rows, columns))
    per_out, per_in = n // groups, x.shape[1] // groups
    for o, i, j in itertools.product(range(n), range(rows), range(columns)):
        first = (o // per_out) * per_in
        window = padded[
            :,
            first : first + per_in,
            i * down : i * down + reach : dilation,
            j * right : j * right + reach : dilation,
        ]
        out[:, o, i, j] = (window * kernel[o]).sum(axis=(1, 2, 3))
    out = _normalized(out, biases, *norm) if norm else out + biases[:, None, None]
    return activate(out, options.get("activation", "logistic"))


def _connected(x: Array, options: dict[str, str], stream: Stream, transposed: bool) -> Array:
    flat = x.reshape(len(x), -1)
    n = int(options["output"])
    biases = stream.take(n)
    kernel = stream.take(flat.shape[1], n) if transposed else stream.take(n, flat.shape[1]).T
    norm = _statistics(stream, n) if options.get("batch_normalize") == "1" else None
    out = flat @ kernel
    out = _normalized(out, biases, *norm) if norm else out + biases
    return activate(out, options.get("activation", "logistic"))


def _local(x: Array, options: dict[str, str], stream: Stream) -> Array:
    n, size = int(options["filters"]), int(options["size"])
    stride, pad = int(options["stride"]), int(options.get("pad", 0))
    out_h, out_w = (
        ((length - 1) if pad else (length - size)) // stride + 1 for length in x.shape[2:]
    )
    biases = stream.take(n, out_h, out_w)
    kernel = stream.take(out_h * out_w, n, x.shape[1], size, size)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((len(x), n, out_h, out_w))
    for place, (i, j) in enumerate(itertools.product(range(out_h), range(out_w))):
        top, left = i * stride, j * stride
        window = padded[:, None, :, top : top + size, left : left + size]
        out[:, :, i, j] = (window * kernel[place]).sum(axis=(2, 3, 4))
    return activate(out + biases, options.get("activation", "logistic"))


def _batchnorm(x: Array, options: dict[str, str], stream: Stream) -> Array:
    scales, means, variances = _statistics(stream, x.shape[1])
    return _normalized(x, np.zeros_like(scales), scales, means, variances)


def _maxpool(x: Array, options: dict[str, str]) -> Array:
    stride = int(options.get("stride", 1))
    size = int(options.get("size", stride))
    padding = int(options.get("padding", size - 1))
    rows, columns = ((length + padding - size) // stride + 1 for length in x.shape[2:])
    out = np.full((*x.shape[:2], rows, columns), -3.4028235e38)
    for i, j, n, m in itertools.product(range(rows), range(columns), range(size), range(size)):
        row, column = i * stride + n - padding // 2, j * stride + m - padding // 2
        if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
            out[:, :, i, j] = np.maximum(out[:, :, i, j], x[:, :, row, column])
    return out


def _avgpool(x: Array, options: dict[str, str]) -> Array:
    return x.mean(axis=(2, 3), keepdims=True)


def _upsample(x: Array, options: dict[str, str]) -> Array:
    stride = int(options.get("stride", 2))
    return x.repeat(stride, axis=2).repeat(stride, axis=3) * float(options.get("scale", 1))


def _reorg(x: Array, options: dict[str, str]) -> Array:
    """reorg_cpu, index by index."""
    batch, c, h, w = x.shape
    s = int(options["stride"])
    reverse = int(options.get("reverse", 0))
    out_c = c // (s * s)
    flat, out = x.reshape(batch, -1), np.zeros((batch, c * h * w))
    for k, j, i in itertools.product(range(c), range(h), range(w)):
        inside = i + w * (j + h * k)
        offset = k // out_c
        other = (i * s + offset % s) + w * s * ((j * s + offset // s) + h * s * (k % out_c))
        if reverse:
            out[:, other] = flat[:, inside]
        else:
            out[:, inside] = flat[:, other]
    if reverse:
        return out.reshape(batch, c // (s * s), h * s, w * s)
    return out.reshape(batch, c * s * s, h // s, w // s)


def _route(x: Array, others: list[Array], options: dict[str, str]) -> Array:
    groups, group = int(options.get("groups", 1)), int(options.get("group_id", 0))
    parts = [np.split(other, groups, axis=1)[group] for other in others]
    return np.concatenate(parts, axis=1)


def _shortcut(x: Array, others: list[Array], options: dict[str, str]) -> Array:
    out = x.copy()
    alpha, beta = float(options.get("alpha", 1)), float(options.get("beta", 1))
    for other in others:
        both = min(out.shape[1], other.shape[1])
        out[:, :both] = alpha * out[:, :both] + beta * other[:, :both]
    return activate(out, options.get("activation", "linear"))


def _scale_channels(x: Array, others: list[Array], options: dict[str, str]) -> Array:
    return activate(x * others[0], options.get("activation", "linear"))


def _sam(x: Array, others: list[Array], options: dict[str, str]) -> Array:
    return activate(x * others[0], options.get("activation", "linear"))


def _crop(x: Array, options: dict[str, str]) -> Array:
    rows, columns = int(options["crop_height"]), int(options["crop_width"])
    top, left = (x.shape[2] - rows) // 2, (x.shape[3] - columns) // 2
    middle = x[:, :, top : top + rows, left : left + columns]
    return middle if options.get("noadjust") == "1" else middle * 2 - 1


def _activation(x: Array, options: dict[str, str]) -> Array:
    return activate(x, options["activation"])


def _dropout(x: Array, options: dict[str, str]) -> Array:
    return x


_cost = _dropout


def _softmax(x: Array, options: dict[str, str]) -> Array:
    groups, temperature = int(options.get("groups", 1)), float(options.get("temperature", 1))
    parts = x.reshape(len(x), groups, -1) / temperature
    powers = np.exp(parts - parts.max(axis=2, keepdims=True))
    return (powers / powers.sum(axis=2, keepdims=True)).reshape(x.shape)


def _yolo(x: Array, options: dict[str, str]) -> Array:
    boxes, classes = len(options["mask"].split(",")), int(options["classes"])
    out = x.reshape(len(x), boxes, 5 + classes, *x.shape[2:]).copy()
    scale = float(options.get("scale_x_y", 1))
    out[:, :, :2] = activate(out[:, :, :2], "logistic") * scale - 0.5 * (scale - 1)
    out[:, :, 4:] = activate(out[:, :, 4:], "logistic")
    return out.reshape(x.shape)


def _region(x: Array, options: dict[str, str]) -> Array:
    boxes, classes = int(options["num"]), int(options["classes"])
    out = x.reshape(len(x), boxes, 5 + classes, *x.shape[2:]).copy()
    out[:, :, :2] = activate(out[:, :, :2], "logistic")
    out[:, :, 4] = activate(out[:, :, 4], "logistic")
    powers = np.exp(out[:, :, 5:] - out[:, :, 5:].max(axis=2, keepdims=True))
    out[:, :, 5:] = powers / powers.sum(axis=2, keepdims=True)
    return out.reshape(x.shape)


def _detection(x: Array, options: dict[str, str]) -> Array:
    side, classes = int(options["side"]), int(options["classes"])
    count = side * side * classes
    first = x[:, :count].reshape(len(x), -1, classes)
    powers = np.exp(first - first.max(axis=2, keepdims=True))
    probabilities = (powers / powers.sum(axis=2, keepdims=True)).reshape(len(x), -1)
    return np.concatenate([probabilities, x[:, count:]], axis=1)
