"""What each input of a model can take, told by what its graph does with it first."""

from __future__ import annotations

from dataclasses import replace

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.exporters.input_trail import InputTrail, Trails
from mlflow_tfconv.exporters.open_sizes import open_sizes
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.inlined_function import inlined_function
from mlflow_tfconv.runtimes.input_range import InputRange

#: 255 times what an image is multiplied by first: from 1/255 to 1/128 over a small deviation.
_IMAGE_SCALES = (0.5, 8.0)
#: What is subtracted from the colours of an image.
_IMAGE_MEANS = (10.0, 255.0)


def input_ranges(traced: Traced) -> dict[str, InputRange]:
    """Input to the range of its values, the sizes that fit, and what strings have to be.

    Indices are within the table that they look up (an embedding, one-hot), lengths within the
    sequence, images are 0 to 255 where the graph itself scales them to 1, and dimensions that vary
    are as large as the network needs.
    """
    inlined = inlined_function(
        traced.function, [s.name for s in traced.inputs], [s.name for s in traced.outputs]
    )
    sizes = open_sizes(traced, inlined)
    trails = Trails(inlined, traced.weights.value)
    found = {spec.name: trails.follow(spec.name) for spec in traced.inputs}
    longest = _longest(traced.inputs, sizes)
    return {
        spec.name: replace(_range(spec, found[spec.name], longest), shape=sizes.get(spec.name))
        for spec in traced.inputs
    }


def _range(spec: TensorSpec, trail: InputTrail, longest: int | None) -> InputRange:
    if trail.content != "numbers":
        return InputRange(content=trail.content, features=trail.features, high=trail.high)
    if trail.low is not None or trail.high is not None:
        return InputRange(low=trail.low, high=trail.high, whole=True)
    if trail.is_length and spec.dtype in ("int32", "int64") and len(spec.shape) == 1:
        return InputRange(low=1, high=longest or 1)
    if spec.dtype in ("bool", "string", "uint8"):
        return InputRange()
    return _scaled(trail, images=len(spec.shape) == 4)


def _scaled(trail: InputTrail, *, images: bool) -> InputRange:
    """Of what is multiplied and shifted at once, to give numbers around zero."""
    scale, offset = trail.scale, trail.offset
    low, high = _IMAGE_SCALES
    least, most = _IMAGE_MEANS
    if low <= 255 * abs(scale) <= high or (scale == 1 and least <= -offset <= most):
        return InputRange(low=0, high=255)
    if trail.positive:
        return InputRange(low=0.05, high=1)
    if (scale, offset) == (1, 0) or not scale:
        return InputRange()
    if not offset:  # what is made to be at most 1
        return InputRange(low=0 if images else -1 / abs(scale), high=1 / abs(scale))
    ends = sorted(((-2 - offset) / scale, (2 - offset) / scale))
    return InputRange(low=ends[0], high=ends[1])


def _longest(specs: tuple[TensorSpec, ...], sizes: dict[str, tuple[int | None, ...]]) -> int | None:
    """The length of the sequences beside which an input says how long each one is."""
    lengths = []
    for spec in specs:
        shape = sizes.get(spec.name, spec.shape)
        if len(shape) >= 2 and isinstance(shape[1], int):
            lengths.append(shape[1])
    return min(lengths, default=None)
