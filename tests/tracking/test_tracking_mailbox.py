from __future__ import annotations

import threading
import time
from typing import Any

from mlflow_tfconv.tracking.mailbox import Mailbox


def test_things_arrive_in_order_and_in_handfuls() -> None:
    handfuls: list[list[Any]] = []
    box = Mailbox(handfuls.append)
    for number in range(100):
        box.post(number)
    assert box.drain(5)
    assert [n for handful in handfuls for n in handful] == list(range(100))
    assert len(handfuls) <= 3


def test_posting_does_not_wait_for_a_slow_receiver() -> None:
    release = threading.Event()
    box = Mailbox(lambda _: release.wait(5))
    began = time.monotonic()
    for number in range(1000):
        box.post(number)
    assert time.monotonic() - began < 0.5
    assert not box.drain(0.05)
    release.set()
    assert box.drain(5)


def test_an_error_ends_the_delivery_and_is_kept() -> None:
    calls = []

    def fail(items: list[Any]) -> None:
        calls.append(items)
        raise ValueError("no")

    box = Mailbox(fail)
    box.post(1)
    assert box.drain(5)
    box.post(2)
    assert box.drain(5)
    assert calls == [[1]]
    assert isinstance(box.error, ValueError)


def test_nothing_posted_means_nothing_to_wait_for() -> None:
    assert Mailbox(lambda _: None).drain(0)
