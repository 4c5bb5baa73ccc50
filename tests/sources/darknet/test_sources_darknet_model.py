from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from darknet_reference import LONG, SHORT, Made

from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.sources.darknet.darknet_model import darknet_model
from mlflow_tfconv.sources.darknet.tiny_yolo import TinyYolo, tiny_yolos
from mlflow_tfconv.sources.options import SourceOptions

Make = Callable[..., Made]
NET = "[convolutional]\nfilters=4\nsize=3\npad=1\nactivation=leaky\n[connected]\noutput=3\n" \
    "activation=linear\n"  # fmt: skip
PARAMETERS = 4 * 3 * 9 + 4 + 4 * 12 * 16 * 3 + 3


def tutorial(norm: bool = False) -> Any:
    """The same network as people write it in Keras."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((3, 12, 16)),
            layers.Permute((2, 3, 1)),
            layers.Conv2D(4, 3, padding="same", use_bias=not norm),
            *([layers.BatchNormalization(epsilon=1e-5)] if norm else []),
            layers.LeakyReLU(negative_slope=0.1),
            layers.Permute((3, 1, 2)),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def keras1_json(path: Path) -> None:
    """The same network as Keras 1 wrote it, in Theano's order."""
    conv = {
        "name": "conv", "batch_input_shape": [None, 3, 12, 16], "nb_filter": 4, "nb_row": 3,
        "nb_col": 3, "border_mode": "same", "dim_ordering": "th", "activation": "linear",
    }  # fmt: skip
    layers = [
        ("Convolution2D", conv),
        ("LeakyReLU", {"name": "leaky", "alpha": 0.1}),
        ("Flatten", {"name": "flat"}),
        ("Dense", {"name": "out", "output_dim": 3, "activation": "linear"}),
    ]
    config = [{"class_name": name, "config": settings} for name, settings in layers]
    path.write_text(json.dumps({"class_name": "Sequential", "config": config}))


def what_is_chosen(reading: Any) -> dict[str, str]:
    return {choice.what: choice.chosen for choice in reading.choices}


def test_the_only_cfg_beside_the_weights_is_used_and_said(make: Make) -> None:
    made = make(NET)
    reading = darknet_model(made.weights, SourceOptions())
    assert what_is_chosen(reading)["architecture"] == "net.cfg"
    assert np.allclose(reading.model(made.x), made.layers[-1], atol=1e-4)


def test_a_cfg_finds_the_weights_beside_it(make: Make) -> None:
    made = make(NET)
    (made.cfg.parent / "other.weights").write_bytes(SHORT + bytes(400))
    reading = darknet_model(made.cfg, SourceOptions())
    assert what_is_chosen(reading)["weights"] == "net.weights"


def test_two_architectures_that_fit_are_asked_about(make: Make) -> None:
    made = make(NET)
    shutil.copy(made.cfg, made.cfg.parent / "same.cfg")
    with pytest.raises(ConversionError, match=r"fits several .* net\.cfg, same\.cfg"):
        darknet_model(made.weights, SourceOptions())


def test_weights_without_an_architecture_ask_for_one(make: Make) -> None:
    made = make(NET)
    made.cfg.unlink()
    with pytest.raises(ConversionError, match="weights alone: the architecture is needed") as error:
        darknet_model(made.weights, SourceOptions())
    assert "architecture=" in str(error.value.fix)


def test_a_function_builds_the_architecture_and_dense_kernels_lie_as_in_tutorials(
    make: Make,
) -> None:
    made = make(NET, options={"transposed": True})
    reading = darknet_model(made.weights, SourceOptions(architecture=tutorial))
    assert np.allclose(reading.model(made.x), made.layers[-1], atol=1e-4)
    chosen = what_is_chosen(reading)["kernels of dense layers in the weights file"]
    assert chosen.startswith("(in, out)")


def test_batch_norm_goes_before_the_kernel_of_a_keras_model_too(make: Make) -> None:
    made = make(NET.replace("size=3", "size=3\nbatch_normalize=1"), options={"transposed": True})
    reading = darknet_model(made.weights, SourceOptions(architecture=lambda: tutorial(norm=True)))
    assert np.allclose(reading.model(made.x), made.layers[-1], atol=1e-4)


def test_a_json_of_keras_1_is_an_architecture(make: Make) -> None:
    made = make(NET, options={"transposed": True})
    made.cfg.unlink()
    keras1_json(made.cfg.parent / "net.json")
    reading = darknet_model(made.weights, SourceOptions())
    assert what_is_chosen(reading)["architecture"] == "net.json"
    assert "original_backend" not in what_is_chosen(reading)
    assert np.allclose(reading.model(made.x), made.layers[-1], atol=1e-4)


def test_a_function_that_gives_no_model_is_told(make: Make) -> None:
    made = make(NET)
    with pytest.raises(ConfigError, match="gives no model of Keras 3"):
        darknet_model(made.weights, SourceOptions(architecture=lambda: 3))


@pytest.mark.parametrize(("more", "says"), [(1, "one float too many"), (-1, "one float too few")])
def test_a_wrong_count_is_told(more: int, says: str, make: Make) -> None:
    made = make(NET)
    data = made.weights.read_bytes()
    made.weights.write_bytes(data + bytes(4 * more) if more > 0 else data[: 4 * more])
    with pytest.raises(ConversionError, match=says) as error:
        darknet_model(made.weights, SourceOptions(architecture=made.cfg))
    assert f"{PARAMETERS:,} floats" in str(error.value)


def test_a_header_that_contradicts_its_version_is_an_error(make: Make) -> None:
    made = make(NET)
    made.weights.write_bytes(SHORT + bytes(4) + made.weights.read_bytes()[len(SHORT) :])
    says = r"one float too many\. Does it have a 5-word header \(64-bit"
    with pytest.raises(ConversionError, match=says):
        darknet_model(made.weights, SourceOptions(architecture=made.cfg))


def test_a_header_without_a_version_is_told_by_the_size(make: Make) -> None:
    made = make(NET, header=bytes(len(LONG)))
    reading = darknet_model(made.weights, SourceOptions(architecture=made.cfg))
    assert what_is_chosen(reading)["header"].startswith("a 5-word header")
    assert np.allclose(reading.model(made.x), made.layers[-1], atol=1e-4)


def test_a_cut_file_tells_where_it_ends(make: Make) -> None:
    made = make(NET)
    made.weights.write_bytes(made.weights.read_bytes()[:200])
    with pytest.raises(ConversionError, match="ends before the kernel of convolutional_0"):
        darknet_model(made.weights, SourceOptions(architecture=made.cfg))


def test_weights_that_are_not_finite_are_warned_of(make: Make) -> None:
    made = make(NET)
    nan = np.array([np.nan], "<f4").tobytes()
    made.weights.write_bytes(SHORT + nan + made.weights.read_bytes()[len(SHORT) + 4 :])
    reading = darknet_model(made.weights, SourceOptions(architecture=made.cfg))
    assert reading.warnings == ("The biases of convolutional_0 hold NaN or infinite numbers.",)


def test_what_is_added_to_small_variances_is_said(make: Make) -> None:
    made = make("[convolutional]\nfilters=4\nbatch_normalize=1\nactivation=linear\n")
    options = SourceOptions(architecture=made.cfg)
    assert "batch norm" not in what_is_chosen(darknet_model(made.weights, options))
    data = np.frombuffer(made.weights.read_bytes(), "<f4").copy()
    data[len(SHORT) // 4 + 12] = 1e-4  # biases, scales and means come before the variances
    made.weights.write_bytes(data.tobytes())
    assert "batch norm" in what_is_chosen(darknet_model(made.weights, options))


def test_the_published_tiny_yolo_is_known_by_its_count() -> None:
    (member,) = tiny_yolos(45_089_374)
    assert member.published
    assert sum(slot.size for slot in member.network().slots) == 45_089_374


def test_no_two_members_of_the_family_have_the_same_count() -> None:
    counts = [TinyYolo(d, cells).parameters for d in (1, 2, 4, 8, 16) for cells in range(1, 21)]
    assert len(set(counts)) == len(counts)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (SHORT, "as many weights as tiny YOLO v1 with 1/16 of its filters on images of 64 x 64"),
        (SHORT + bytes(4), r"one float too many for tiny YOLO .* a 5-word header \(64-bit seen"),
    ],
)
def test_a_smaller_tiny_yolo_is_not_guessed_but_named(
    header: bytes, says: str, tmp_path: Path
) -> None:
    (tmp_path / "y.weights").write_bytes(header + b"\0\0\0\x3f" * TinyYolo(16, 1).parameters)
    with pytest.raises(ConversionError, match=says):
        darknet_model(tmp_path / "y.weights", SourceOptions())


@pytest.mark.slow
def test_the_published_tiny_yolo_is_read_without_an_architecture(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(0, 0.02, 45_089_374).astype("<f4")
    (tmp_path / "yolo-tiny.weights").write_bytes(SHORT + values.tobytes())
    reading = darknet_model(tmp_path / "yolo-tiny.weights", SourceOptions())
    assert reading.model.input_shape == (None, 3, 448, 448)
    assert reading.model.output_shape == (None, 1470)
    assert "architecture" in what_is_chosen(reading)
