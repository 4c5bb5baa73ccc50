"""The memory of every epoch is logged, and growth that does not end is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras

from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.steps.train.leak import leak_in, leak_in_words
from mlflow_tfconv.steps.train.memory import HostMemory, resident_bytes, take_device_mb

#: What these metrics begin with; they say nothing of the model.
PREFIX = "training/"
_TIMES = 2  # in a row: once may be chance
HOST_PEAK, HOST = f"{PREFIX}host_peak_mb", f"{PREFIX}host_mb"
DEVICE_PEAK, DEVICE = f"{PREFIX}device_peak_mb", f"{PREFIX}device_mb"


@dataclass(slots=True)
class _Held:
    """What this process has held at the end of its epochs; another process begins anew.

    Attributes:
        where: "host" or "GPU".
        first: Number of the first of these epochs, counted from 1.
        values_mb: One an epoch.
        seen: Epochs in a row in which it was a leak.
    """

    where: str
    first: int = 0
    values_mb: list[float] = field(default_factory=list)
    seen: int = 0


class WatchMemory(keras.callbacks.Callback):  # type: ignore[misc]  # keras carries no types
    """Puts peaks, and what is held at the end of an epoch, among its metrics."""

    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self._emit = emit
        self._host = HostMemory()
        self._held = {HOST: _Held(where="host"), DEVICE: _Held(where="GPU")}

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins to look."""
        del logs  # Keras passes it
        self._host.start()
        take_device_mb()

    def on_train_end(self, logs: Any = None) -> None:
        """Ends it."""
        del logs  # Keras passes it
        self._host.stop()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Logs, and tells of a leak once."""
        found: dict[str, float] = {}
        peak, now = self._host.take_peak_mb(), resident_bytes()
        if peak is not None and now is not None:
            found |= {HOST_PEAK: peak, HOST: now / 1e6}
        device = take_device_mb()
        if device is not None:
            found |= {DEVICE_PEAK: device[0], DEVICE: device[1]}
        if logs is not None:
            logs.update(found)
        for name in found.keys() & self._held.keys():
            self._judge(self._held[name], found[name], epoch + 1)

    def _judge(self, held: _Held, now_mb: float, epoch: int) -> None:
        held.first = held.first or epoch
        held.values_mb.append(now_mb)
        leak = leak_in(held.values_mb, held.first)
        held.seen = held.seen + 1 if leak is not None else 0
        if leak is not None and held.seen == _TIMES:
            self._emit(Message(text=leak_in_words(leak, held.where), level="warning"))
