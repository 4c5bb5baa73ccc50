"""Several GPUs train on parts of the same batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf

from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.events import Emit, Message


@contextlib.contextmanager
def replicated(device: Device, emit: Emit) -> Iterator[None]:
    """Models that are made within have their variables on every GPU of `device`, kept the same.

    `batch_size` is that of all together: each GPU gets its part, and gradients are averaged. On the
    CPU and on one GPU nothing happens.

    Args:
        device: After `apply_to_tensorflow`.
        emit: Hears of it.
    """
    places = _places(device)
    if len(places) < 2:
        yield
        return
    text = f"Every batch is split over {len(places)} GPUs (tf.distribute.MirroredStrategy)."
    emit(Message(text=text))
    with tf.distribute.MirroredStrategy(places).scope():
        yield


def _places(device: Device) -> Sequence[str]:
    """One logical device a GPU that was asked for."""
    return [f"GPU:{number}" for number in range(len(device.indices))]
