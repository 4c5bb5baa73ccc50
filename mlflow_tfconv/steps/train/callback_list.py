"""The callbacks of one training, which may take several calls of `fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras

from mlflow_tfconv.steps.train.libraries import library_of, tf_keras_if_used

#: The methods that Keras calls, in all of which logs come last.
_METHODS = (
    *(f"on_{what}_{when}" for what in ("train", "test", "predict") for when in ("begin", "end")),
    *(
        f"on_{what}_batch_{when}"
        for what in ("train", "test", "predict")
        for when in ("begin", "end")
    ),
    *("on_epoch_begin", "on_epoch_end"),
)


class Callbacks(Protocol):
    """What calls the callbacks: a CallbackList of Keras that knows where training is.

    Attributes:
        steps: Batches that the call of `fit` at work trains on in an epoch.
        step: Batches of them that were begun before this one.
    """

    steps: int
    step: int

    def going_on(self, after: int, steps: int) -> None:
        """A call of `fit` follows, whose epochs begin after so many batches."""

    def finish(self) -> None:
        """Training is over."""


class _Whole:
    """Begins and ends training once, and counts batches from the begin of the epoch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.step = self.steps = self._before = 0
        self._begun = False
        self._last_logs: Any = None

    def going_on(self, after: int, steps: int) -> None:
        self._before, self.steps = after, steps

    def finish(self) -> None:
        super().on_train_end(self._last_logs)  # type: ignore[misc]  # of Keras' own list

    def on_train_begin(self, logs: Any = None) -> None:
        if not self._begun:
            self._begun = True
            super().on_train_begin(logs)  # type: ignore[misc]

    def on_train_end(self, logs: Any = None) -> None:
        self._last_logs = logs

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.step = batch
        super().on_train_batch_begin(batch + self._before, logs)  # type: ignore[misc]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # Keras 3 counts a last call for several batches as if it were for as many as the others.
        last = min(batch, self.steps - 1)
        super().on_train_batch_end(last + self._before, logs)  # type: ignore[misc]


class _KerasCallbacks(_Whole, keras.callbacks.CallbackList):  # type: ignore[misc]
    """Those of Keras 3."""


def callback_list(model: Any, callbacks: Sequence[Any], *, epochs: int, steps: int) -> Any:
    """The callbacks for `fit` of the model's own library.

    Args:
        model: Of Keras 3 or of tf_keras.
        callbacks: Of Keras 3, or of the model's library.
        epochs: Of the whole training.
        steps: Batches of an epoch.
    """
    if library_of(model) == "keras":
        return _KerasCallbacks(list(callbacks), model=model, epochs=epochs, steps=steps, verbose=0)
    fitting = [_adapted(callback) for callback in callbacks]
    return _tf_keras_list()(fitting, model=model, epochs=epochs, steps=steps, verbose=0)


def _tf_keras_list() -> Any:
    legacy: Any = tf_keras_if_used()

    class TfKerasCallbacks(_Whole, legacy.callbacks.CallbackList):  # type: ignore[misc]
        pass

    return TfKerasCallbacks


def _adapted(callback: Any) -> Any:
    """A callback of tf_keras that hands everything on to one of Keras 3."""
    if library_of(callback) == "tf_keras":
        return callback
    legacy: Any = tf_keras_if_used()

    class Adapted(legacy.callbacks.Callback):  # type: ignore[misc]
        def set_model(self, model: Any) -> None:
            super().set_model(model)
            callback.set_model(model)

        def set_params(self, params: Mapping[str, Any]) -> None:
            super().set_params(params)
            callback.set_params(params)

    for name in _METHODS:
        if getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name):
            setattr(Adapted, name, _handing_on(getattr(callback, name)))
    return Adapted()


def _handing_on(method: Any) -> Any:
    def hand_on(self: Any, *args: Any, **kwargs: Any) -> None:
        del self  # the other callback has its own
        method(*args, **kwargs)

    return hand_on
