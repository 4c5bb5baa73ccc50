"""What static quantization is calibrated on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mlflow_tfconv.artifacts import Dataset, TensorSpec
from mlflow_tfconv.errors import TfconvError
from mlflow_tfconv.steps.compress.calibration import Examples
from mlflow_tfconv.steps.compress.config import QuantizeConfig
from mlflow_tfconv.steps.compress.quantize_static import quantize_static

INPUT = (TensorSpec(name="image", dtype="float32", shape=(None, 8, 8, 1)),)


def positions(batches: Any, images: Any) -> set[int]:
    """Where in the split the sampled examples come from."""
    drawn = np.concatenate([batch["image"] for batch in batches])
    return {int(np.abs(images[0] - one).sum((1, 2, 3)).argmin()) for one in drawn}


def test_a_sample_is_drawn_from_all_of_the_split(dataset: Dataset, images: Any) -> None:
    found = positions(Examples(dataset=dataset).sample(INPUT, 24), images)
    assert len(found) == 24
    assert min(found) < 16
    assert max(found) >= 80


def test_the_seed_decides_the_sample(dataset: Dataset, images: Any) -> None:
    def draw(seed: int) -> set[int]:
        return positions(Examples(dataset=dataset, seed=seed).sample(INPUT, 24), images)

    assert draw(1) == draw(1) != draw(2)


def test_a_sample_as_large_as_the_split_is_all_of_it(dataset: Dataset, images: Any) -> None:
    assert len(positions(Examples(dataset=dataset).sample(INPUT, 1000), images)) == 96


def test_a_model_of_one_batch_size_gets_such_batches(dataset: Dataset) -> None:
    fixed = (TensorSpec(name="image", dtype="float32", shape=(10, 8, 8, 1)),)
    assert [len(b["image"]) for b in Examples(dataset=dataset).sample(fixed, 1000)] == [10] * 9


def test_an_input_without_a_feature_is_refused(dataset: Dataset) -> None:
    two = (*INPUT, TensorSpec(name="mask", dtype="float32", shape=(None, 8)))
    with pytest.raises(TfconvError, match="mask"):
        next(Examples(dataset=dataset).sample(two, 4))


def test_ranges_cover_examples_from_everywhere(
    onnx_file: Path, images: Any, tmp_path: Path
) -> None:
    pixels = images[0].copy()
    pixels[-1] *= 100
    batches = [{"image": pixels[i : i + 32]} for i in range(0, 96, 32)]
    quantize_static(
        onnx_file, tmp_path / "q.onnx", QuantizeConfig(method="static"), Examples(given=batches)
    )
    model = onnx.load(tmp_path / "q.onnx")
    scales = [t for t in model.graph.initializer if t.name.endswith("_scale") and not t.dims]
    largest = max(float(onnx.numpy_helper.to_array(scale)) for scale in scales)
    assert largest >= pixels.max() / 255 * 0.99


def test_what_surrounds_the_weights_stays_in_float(
    onnx_file: Path, batches: Any, tmp_path: Path
) -> None:
    quantize_static(
        onnx_file, tmp_path / "q.onnx", QuantizeConfig(method="static"), Examples(given=batches)
    )
    nodes = {n.op_type: n for n in onnx.load(tmp_path / "q.onnx").graph.node}
    makers = {o: n.op_type for n in nodes.values() for o in n.output}
    assert nodes["Softmax"].output[0] not in {n.input[0] for n in nodes.values()}
    assert makers.get(nodes["Softmax"].input[0]) != "QuantizeLinear"
