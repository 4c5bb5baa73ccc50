"""The architectures that darknet weights may belong to: a `.cfg`, a model of Keras, tiny YOLO v1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.sources.darknet.cfg_text import sections_from_cfg
from mlflow_tfconv.sources.darknet.keras_from_network import keras_from_network
from mlflow_tfconv.sources.darknet.keras_weights import Part, parts_of_keras
from mlflow_tfconv.sources.darknet.network import Network, Shape, Slot
from mlflow_tfconv.sources.darknet.network_from_cfg import network_from_cfg
from mlflow_tfconv.sources.darknet.tiny_yolo import TinyYolo
from mlflow_tfconv.sources.darknet.weights_file import Values, WeightsFile

#: A live model with the values in it, and what was assumed for it.
Build = Callable[[Values], tuple[Any, tuple[Choice, ...]]]

_IN_OUT, _OUT_IN = "(in, out), as Keras has it", "(out, in), as darknet has it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network whose weights are looked for.

    Attributes:
        words: What it is, in words.
        slots: Its weights in the order of the file.
        build: Makes the live model.
        keras_kernels: Whether kernels of dense layers lie as (in, out), as in the tutorials that
            read such files into Keras; None follows the version in the file, as darknet does.
        choices: What was assumed for it.
        warnings: What a user should know.
    """

    words: str
    slots: tuple[Slot, ...]
    build: Build
    keras_kernels: bool | None = None
    choices: tuple[Choice, ...] = ()
    warnings: tuple[str, ...] = field(default_factory=tuple)

    @property
    def parameters(self) -> int:
        """How many weights it has."""
        return sum(slot.size for slot in self.slots)

    def transposed(self, file: WeightsFile) -> tuple[bool, tuple[Choice, ...]]:
        """Whether kernels of dense layers lie as (in, out) in a file; a choice if there are any."""
        transposed = file.transposed if self.keras_kernels is None else self.keras_kernels
        if not any(slot.name == "kernel" and len(slot.shape) == 2 for slot in self.slots):
            return transposed, ()
        why = {
            None: f"darknet reads files of version {file.version[0]}.{file.version[1]} so",
            True: "so the tutorials read them that have these weights in Keras",
        }
        choice = Choice(
            what="kernels of dense layers in the weights file",
            chosen=_IN_OUT if transposed else _OUT_IN,
            alternatives=(_OUT_IN if transposed else _IN_OUT,),
            argument="architecture",
            reason=f"{why[self.keras_kernels]}; a .cfg is read as darknet does, a model of Keras "
            "as its tutorials do",
        )
        return transposed, (choice,)


def cfg_architectures(
    path: Path, outputs: Mapping[str, str] | None, input_shape: Shape | None
) -> tuple[Architecture, ...]:
    """What a `.cfg` may mean: with [batchnorm] layers, their biases may be in the file or not.

    Raises:
        ConversionError: It can't be read.
    """
    sections = sections_from_cfg(path)
    plain = network_from_cfg(sections, input_shape=input_shape)
    first = _of_network(plain, f"the network of {path.name}", outputs)
    if not plain.has("batchnorm"):
        return (first,)
    network = network_from_cfg(sections, input_shape=input_shape, batch_norm_biases=True)
    words = f"{first.words} with biases in [batchnorm]"
    return (first, _of_network(network, words, outputs))


def tiny_yolo_architecture(member: TinyYolo, outputs: Mapping[str, str] | None) -> Architecture:
    """The published tiny YOLO v1, known by the number of its weights."""
    network = member.network()
    reason = f"the file holds exactly its {member.parameters:,} weights"
    choice = Choice(what="architecture", chosen=str(member), argument="architecture", reason=reason)
    return _of_network(network, str(member), outputs, keras_kernels=True, choices=(choice,))


def keras_architecture(
    model: Any,
    words: str,
    *,
    flipped: bool = False,
    choices: tuple[Choice, ...] = (),
    warnings: tuple[str, ...] = (),
) -> Architecture:
    """A model of Keras that is to hold the weights.

    Args:
        model: The `keras.Model`, built; its layers come in the order of the file.
        words: What it is, in words.
        flipped: Whether it was trained on Theano.
        choices: What was assumed for it.
        warnings: What a user should know.

    Raises:
        ConversionError: It has layers that darknet has not.
    """
    parts = parts_of_keras(flat_layers(model))

    def build(values: Values) -> tuple[Any, tuple[Choice, ...]]:
        for part in parts:
            part.assign(values, flipped=flipped)
        return model, ()

    return Architecture(
        words=words,
        slots=_slots(parts),
        build=build,
        keras_kernels=True,
        choices=choices,
        warnings=warnings,
    )


def flat_layers(model: Any) -> list[Any]:
    """The layers of a model, those of models and wrappers inside it in their place."""
    found: list[Any] = []
    for layer in model.layers:
        while isinstance(layer, keras.layers.Wrapper):
            layer = layer.layer
        found.extend(flat_layers(layer) if isinstance(layer, keras.Model) else [layer])
    return found


def _slots(parts: tuple[Part, ...]) -> tuple[Slot, ...]:
    return tuple(slot for part in parts for slot in part.slots)


def _of_network(
    network: Network,
    words: str,
    outputs: Mapping[str, str] | None,
    *,
    keras_kernels: bool | None = None,
    choices: tuple[Choice, ...] = (),
) -> Architecture:
    return Architecture(
        words=words,
        slots=network.slots,
        build=lambda values: keras_from_network(network, values, outputs),
        keras_kernels=keras_kernels,
        choices=choices,
    )
