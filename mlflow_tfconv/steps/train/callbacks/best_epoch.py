"""Knows the best epoch."""

from __future__ import annotations

import keras


class BestEpoch(keras.callbacks.EarlyStopping):  # type: ignore[misc]  # keras carries no types
    """Knows the best epoch so far, as `best_epoch`, counted from 0; never stops anything."""

    def __init__(self, monitor: str, mode: str) -> None:
        super().__init__(monitor=monitor, mode=mode, patience=2**31)
