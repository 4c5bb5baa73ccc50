"""Against TensorFlow; many layers in one file, as every conversion has its own price."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.trace_function import module_of, trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.runtime import open_runtime

SIZES = (4, 5, 3)


def require_same(calls: dict[str, Any], shape: tuple[int | None, ...], folder: Path) -> None:
    spec = TensorSpec(name="x", dtype="float32", shape=shape)
    function = trace_function(
        lambda x: {name: call(x["x"]) for name, call in calls.items()}, [spec]
    )
    traced = Traced(
        function=function,
        module=module_of(function, None),
        inputs=(spec,),
        outputs=tuple(TensorSpec(name=name, dtype="float32", shape=(None,)) for name in calls),
        open_reference=lambda: None,
        parameters=0,
    )
    onnx_from_traced(traced, folder / "model.onnx", opset=17)
    whole = [2, *SIZES[: len(shape) - 2], 2]
    given = np.random.default_rng(0).normal(size=whole).astype(np.float32)
    with open_runtime(folder / "model.onnx") as runtime:
        found = runtime.predict({"x": given})
    for name, expected in function({"x": tf.constant(given)}).items():
        np.testing.assert_allclose(found[name], expected, atol=1e-5, err_msg=name)


def grid(kind: Any, kernels: tuple[int, ...], strides: tuple[int, ...]) -> dict[str, Any]:
    """Those that TensorFlow allows; without an output padding a result is as it has to be."""
    calls = {}
    for kernel, stride, padding in product(kernels, strides, ("valid", "same")):
        for beyond in (None, *range(stride)):
            if beyond == 0 and padding == "same" and kernel % 2 == 0:
                continue  # the result would be smaller than the stride allows
            calls[f"{padding}_{kernel}_{stride}_{beyond}"] = kind(
                2, kernel, strides=stride, padding=padding, output_padding=beyond,
                bias_initializer="ones",
            )  # fmt: skip
    return calls


@pytest.mark.parametrize("height", [4, None], ids=["fixed", "varying"])
def test_results_beyond_the_reach_of_the_input_are_those_of_keras(
    height: int | None, tmp_path: Path
) -> None:
    calls = grid(layers.Conv2DTranspose, (1, 2, 4), (3,))
    require_same(calls, (None, height, 5, 2), tmp_path)


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "varying"])
def test_transposed_convolutions_of_sequences_and_volumes_are_those_of_keras(
    rank: int, fixed: bool, tmp_path: Path
) -> None:
    kind = layers.Conv1DTranspose if rank == 1 else layers.Conv3DTranspose
    sizes = SIZES[:rank] if fixed else (None,) * rank
    require_same(grid(kind, (1, 3), (2,)), (None, *sizes, 2), tmp_path)


@pytest.mark.parametrize("height", [4, None], ids=["fixed", "varying"])
def test_explicit_paddings_and_any_size_of_the_result_are_kept(
    height: int | None, tmp_path: Path
) -> None:
    kernel = tf.random.stateless_normal((3, 3, 4, 2), (0, 1))

    def explicit(x: Any) -> Any:
        pads, sizes = [0, 0, 1, 0, 0, 1, 0, 0], tf.stack([tf.shape(x)[0], 8, 10, 4])
        return tf.nn.conv2d_transpose(x, kernel, sizes, 2, [pads[n : n + 2] for n in (0, 2, 4, 6)])

    def odd(x: Any) -> Any:
        height, width = tf.shape(x)[1] * 2 - 1, tf.shape(x)[2] * 2
        return tf.nn.conv2d_transpose(x, kernel, [tf.shape(x)[0], height, width, 4], 2)

    require_same({"explicit": explicit, "odd": odd}, (None, height, 5, 2), tmp_path)
