"""Several batches in one call of TensorFlow's graph, without reaching into the next epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlflow_tfconv.steps.train.callback_list import Callbacks


def stay_within_epochs(model: Any, callbacks: Callbacks) -> None:
    """Lets the last call of an epoch train on as many batches as are left of it.

    Keras 3 trains on as many in every call. At the end of its stream that is no harm; here one
    stream holds all epochs, one after the other. (tf_keras counts what is left.)

    Args:
        model: Of Keras 3; what makes its training function is replaced.
        callbacks: Those that its `fit` gets, which know where in the epoch it is.
    """
    full, make = model.steps_per_execution, model.make_train_function

    def made(*, force: bool) -> Callable[[Any], Any]:
        model.train_function = None
        make(force=force)
        function: Callable[[Any], Any] = model.train_function
        return function

    def make_whole(force: bool = False) -> Callable[[Any], Any]:
        if model.train_function is not None and not force:
            return model.train_function  # type: ignore[no-any-return]  # Keras carries no types
        functions = {full: made(force=True)}

        def function(iterator: Any) -> Any:
            left = min(callbacks.steps - callbacks.step, full)
            if left not in functions:
                functions[left] = made(force=True)
                model.train_function = function
            # It is read when the function is traced, at its first call.
            model.steps_per_execution = left
            try:
                return functions[left](iterator)
            finally:
                model.steps_per_execution = full

        model.train_function = function
        return function

    model.make_train_function = make_whole
