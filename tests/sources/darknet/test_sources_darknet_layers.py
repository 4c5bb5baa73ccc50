"""Every layer against an independent computation in numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from darknet_reference import LONG, OLDEST, Made

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.darknet.darknet_model import darknet_model
from mlflow_tfconv.sources.options import SourceOptions

Make = Callable[..., Made]

CONV = "[convolutional]\nfilters={n}\nsize={k}\nstride={s}\npad=1\nactivation={a}\n"


def conv(n: int, k: int = 1, s: int = 1, a: str = "linear", more: str = "") -> str:
    return CONV.format(n=n, k=k, s=s, a=a) + more + "\n"


def given(made: Made, outputs: Mapping[str, str] | None = None) -> list[Any]:
    options = SourceOptions(architecture=made.cfg, outputs=outputs)
    result = darknet_model(made.weights, options).model(made.x)
    return [np.asarray(y) for y in (result if isinstance(result, list) else [result])]


NETWORKS = {
    "convolution with batch norm, stride 2": conv(6, 3, 2, "leaky", "batch_normalize=1"),
    "even kernel, padding by number": "[convolutional]\nfilters=5\nsize=4\nstride=3\npadding=1\n"
    "activation=relu\n",
    "dilation and strides": conv(5, 3, 2, "linear", "dilation=2"),
    "a channel each, two strides": "[convolutional]\nfilters=6\nsize=3\nstride_x=2\nstride_y=1\n"
    "pad=1\ngroups=3\nactivation=linear\n",
    "groups": conv(6, 1) + conv(4, 3, 2, "linear", "groups=2\nbatch_normalize=1"),
    "flipped": conv(6, 3, 1, "linear", "flipped=1"),
    "pools": conv(6, 3) + "[maxpool]\nsize=2\nstride=1\n[maxpool]\nsize=3\nstride=2\n"
    "[maxpool]\nsize=5\nstride=1\n",
    "pool with padding by number": conv(4) + "[maxpool]\nsize=2\nstride=2\npadding=0\n",
    "pool of strides that stop short": conv(4) + "[maxpool]\nsize=2\nstride=5\npadding=0\n",
    "upsample": conv(4) + "[upsample]\nstride=2\nscale=2\n",
    "reorg": conv(8) + "[reorg]\nstride=2\n",
    "reorg backwards": conv(8) + "[reorg]\nstride=2\nreverse=1\n",
    "local": conv(4) + "[local]\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=leaky\n",
    "local without padding": "[local]\nfilters=2\nsize=2\nstride=1\npad=0\nactivation=relu\n",
    "dense layers": conv(4, 3) + "[connected]\noutput=5\nbatch_normalize=1\nactivation=relu\n"
    "[connected]\noutput=4\nactivation=tanh\n[softmax]\n",
    "routes": conv(4) + conv(6) + "[route]\nlayers=-1, 0\n[route]\nlayers=-1\ngroups=2\n"
    "group_id=1\n",
    "shortcut with fewer channels": conv(4) + conv(6) + "[shortcut]\nfrom=-2\nactivation=leaky\n",
    "shortcut with more channels": conv(6) + conv(4) + "[shortcut]\nfrom=0\nactivation=linear\n",
    "scaled shortcut": conv(4) + conv(4) + "[shortcut]\nfrom=-2\nalpha=0.5\nbeta=2\n",
    "squeeze and excite": conv(4) + "[avgpool]\n" + conv(4, 1, 1, "logistic")
    + "[scale_channels]\nfrom=-3\n",
    "attention": conv(4) + conv(4, 1, 1, "logistic") + "[sam]\nfrom=-2\n",
    "crop": "[crop]\ncrop_height=7\ncrop_width=10\n" + conv(3, 3),
    "batch norm alone": conv(4) + "[batchnorm]\n[avgpool]\n[softmax]\ngroups=2\n",
    "what only training knows": conv(4) + "[dropout]\nprobability=.5\n[connected]\noutput=3\n"
    "activation=linear\n[softmax]\ntemperature=2\n[cost]\ntype=sse\n",
}  # fmt: skip


@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS.keys())
def test_a_network_gives_what_darknet_gives(layers: str, make: Make) -> None:
    made = make(layers)
    (y,) = given(made)
    assert y.shape == made.layers[-1].shape
    assert np.allclose(y, made.layers[-1], rtol=1e-4, atol=1e-5)


ACTIVATIONS = (
    "leaky", "relu", "relu6", "relie", "ramp", "elu", "selu", "logistic", "loggy", "tanh",
    "hardtan", "lhtan", "plse", "stair", "mish", "hard_mish", "swish", "gelu",
)  # fmt: skip


def test_every_activation_is_that_of_darknet(make: Make) -> None:
    made = make(conv(4) + "".join(f"[route]\nlayers=0\n{conv(4, a=a)}" for a in ACTIVATIONS))
    names = {a: f"convolutional_{2 + 2 * n}" for n, a in enumerate(ACTIVATIONS)}
    for (activation, name), y in zip(names.items(), given(made, names), strict=True):
        wanted = made.layers[int(name.split("_")[1])]
        assert np.allclose(y, wanted, atol=1e-4), activation


HEADS = {
    "yolo": conv(14) + "[yolo]\nmask=0,1\nclasses=2\nnum=6\nscale_x_y=1.1\n",
    "region": conv(14) + "[region]\nclasses=2\nnum=2\nsoftmax=1\n",
    "detection": "[connected]\noutput=48\nactivation=linear\n[detection]\nside=2\nclasses=2\n"
    "num=2\ncoords=4\nsoftmax=1\n",
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_gives_raw_values_and_says_how_to_get_the_others(kind: str, make: Make) -> None:
    made = make(HEADS[kind])
    reading = darknet_model(made.weights, SourceOptions(architecture=made.cfg))
    assert np.allclose(reading.model(made.x), made.layers[0], atol=1e-5)
    choice = next(choice for choice in reading.choices if choice.what == "outputs")
    assert choice.alternatives == (f"{kind}_1",)
    (activated,) = given(made, {"boxes": choice.alternatives[0]})
    assert np.allclose(activated, made.layers[1], atol=1e-5)


def test_two_heads_are_two_outputs(make: Make) -> None:
    head = "[yolo]\nmask=0\nclasses=2\nnum=2\n"
    made = make(conv(4) + conv(7) + head + "[route]\nlayers=0\n" + conv(7, 3, 2) + head)
    first, second = given(made)
    assert np.allclose(first, made.layers[1], atol=1e-5)
    assert np.allclose(second, made.layers[4], atol=1e-5)


def test_the_oldest_files_hold_dense_kernels_the_other_way_round(make: Make) -> None:
    dense = "[connected]\noutput=5\nactivation=linear\n"
    made = make(dense, header=OLDEST, options={"transposed": True})
    assert np.allclose(given(made)[0], made.layers[-1], atol=1e-4)


def test_a_header_of_five_words_is_told_by_its_version(make: Make) -> None:
    made = make(conv(4, 3), header=LONG)
    assert np.allclose(given(made)[0], made.layers[-1], atol=1e-5)


def test_a_head_that_another_layer_takes_is_refused(make: Make) -> None:
    made = make(conv(7) + "[yolo]\nmask=0\nclasses=2\nnum=2\n" + conv(3))
    with pytest.raises(ConversionError, match=r"takes what a detection head gives, \[yolo\]"):
        given(made)
