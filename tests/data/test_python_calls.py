from __future__ import annotations

import threading
import time

import pytest
import tensorflow as tf

from mlflow_tfconv.data.python_calls import Calls, python_call


def test_streams_call_python_on_arrays() -> None:
    doubled = tf.data.Dataset.range(3).map(lambda n: python_call(lambda x: 2 * x, [n], tf.int64))
    assert [int(n) for n in doubled] == [0, 2, 4]


def test_the_end_waits_for_calls_under_way_and_refuses_those_that_come_later() -> None:
    calls, begun, done = Calls(), threading.Event(), []

    def slow() -> None:
        begun.set()
        time.sleep(0.2)
        done.append("slow")

    thread = threading.Thread(target=calls.made, args=(slow, ()))
    thread.start()
    begun.wait()
    calls.end()
    assert done == ["slow"]
    with pytest.raises(StopIteration):
        calls.made(done.append, ["late"])
    thread.join()


def test_a_call_that_fails_is_no_longer_waited_for() -> None:
    calls = Calls()
    with pytest.raises(ZeroDivisionError):
        calls.made(lambda: 1 // 0, ())
    began = time.monotonic()
    calls.end()
    assert time.monotonic() - began < calls.patience_s
