"""A thread that takes things from a queue, so that whoever puts them in never waits."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

_TOGETHER_S = 0.3  # things that come within this time travel together
_MOST = 2000


class Mailbox:
    """Hands over what is posted, in order and in handfuls, on a thread of its own.

    Args:
        deliver: Gets each handful. An exception of its is kept and ends the delivery.
    """

    def __init__(self, deliver: Callable[[list[Any]], None]) -> None:
        self._deliver = deliver
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._hurry = threading.Event()
        self.error: Exception | None = None

    def post(self, item: Any) -> None:
        """Puts a thing in and returns at once."""
        self._queue.put(item)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tfconv-tracking", daemon=True)
            self._thread.start()

    def drain(self, timeout_s: float | None = None) -> bool:
        """Waits until everything posted so far has been delivered; False when time ran out."""
        if self._thread is None:
            return True
        arrived = threading.Event()
        self._hurry.set()
        self._queue.put(arrived)
        done = arrived.wait(timeout_s)
        self._hurry.clear()
        return done

    def _work(self) -> None:
        while True:
            handful = self._handful()
            marks = [item for item in handful if isinstance(item, threading.Event)]
            items = [item for item in handful if not isinstance(item, threading.Event)]
            if items and self.error is None:
                try:
                    self._deliver(items)
                except Exception as error:  # noqa: BLE001 (told by whoever looks after the run)
                    self.error = error
            for mark in marks:
                mark.set()

    def _handful(self) -> list[Any]:
        """The next thing and what comes right after it."""
        items = [self._queue.get()]
        deadline = time.monotonic() + _TOGETHER_S
        while len(items) < _MOST:
            rest_s = 0.0 if self._hurry.is_set() else max(0.0, deadline - time.monotonic())
            try:
                # Short looks, so that somebody who begins to wait for the rest is not kept waiting.
                items.append(
                    self._queue.get(timeout=min(rest_s, 0.05))
                    if rest_s
                    else self._queue.get_nowait()
                )
            except queue.Empty:
                if rest_s == 0.0:
                    break
        return items
