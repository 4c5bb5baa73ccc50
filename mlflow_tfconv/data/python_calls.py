"""Python functions that streams call, and that have come to an end before Python does."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any

import tensorflow as tf

_QUIET_S = 0.05


class Calls:
    """All calls of this process that streams have made.

    TensorFlow ends a stream by waiting for its threads. A thread that wants to run Python while the
    interpreter is being taken apart never comes back (TensorFlow 2.21, Python 3.11), so a program
    that ended with a stream half read hung for ever. Before that point calls are refused: streams
    stop at the first error.

    Attributes:
        patience_s: How long the end waits for a call.
    """

    patience_s = 10.0

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._last = time.monotonic()
        self._refused = False
        atexit.register(self.end)

    def made(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        """What the function gives.

        Raises:
            StopIteration: The interpreter is about to end.
        """
        with self._changed:
            self._last = time.monotonic()
            if self._refused:
                raise StopIteration
            self._running += 1
        try:
            return function(*arguments)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def end(self) -> None:
        """Refuses calls from now on, and waits for those under way and those that still come."""
        with self._changed:
            self._refused = True
            self._changed.wait_for(lambda: not self._running, timeout=self.patience_s)
        while time.monotonic() - self._last < _QUIET_S:
            time.sleep(_QUIET_S)


@cache
def _calls() -> Calls:
    return Calls()


def python_call(
    function: Callable[..., Any], inputs: Sequence[tf.Tensor], dtypes: Any
) -> tf.Tensor | list[tf.Tensor]:
    """The tensors that a function of arrays gives, wherever TensorFlow runs it.

    Args:
        function: Takes and gives numpy arrays; with the same input it gives the same.
        inputs: Its arguments.
        dtypes: Of what it gives: one, or a list.
    """
    calls = _calls()

    @wraps(function)
    def counted(*arguments: Any) -> Any:
        return calls.made(function, arguments)

    return tf.numpy_function(counted, inputs, dtypes, stateful=False)  # type: ignore[no-any-return]
