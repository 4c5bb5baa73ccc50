"""Streams at a time: all at work together, and counted only while all are."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.worker.streams import Streams, streamed


def test_each_stream_makes_its_fewest_calls_in_a_thread_of_its_own() -> None:
    idents: list[set[int]] = [set(), set(), set()]
    calls = [[lambda n=n: idents[n].add(threading.get_ident())] for n in range(3)]
    found = streamed(calls, min_time_s=0, min_count=7)  # type: ignore[arg-type]
    assert all(len(found.of(n)) >= 7 for n in range(3))
    assert len(set.union(*idents)) == 3


def test_no_stream_stops_before_the_slowest_is_ready() -> None:
    calls = [[lambda: time.sleep(0.0005)], [lambda: time.sleep(0.004)]]
    found = streamed(calls, min_time_s=0, min_count=5)
    ends = [found.times_ns[found.times_ns[:, 0] == n, 2].max() for n in (0, 1)]
    fourth = np.sort(found.times_ns[found.times_ns[:, 0] == 1, 2])[3]
    assert ends[0] > fourth


def test_calls_beyond_the_common_time_count_by_their_part() -> None:
    times = np.array([[0, 0, 100], [0, 100, 200], [1, 50, 150], [1, 150, 250]])
    found = Streams(times_ns=times)
    assert found.calls_per_s == pytest.approx((0.5 + 1 + 1 + 0.5) / 150e-9)
    assert found.latencies_ns.tolist() == [100] * 4


def test_slow_streams_end_at_the_limit_with_fewer_calls() -> None:
    found = streamed([[lambda: time.sleep(0.02)]] * 2, min_time_s=0, min_count=10**6, limit_s=0.05)
    assert 1 <= len(found.of(0)) < 100


def test_an_error_in_one_stream_ends_all() -> None:
    def fails() -> None:
        raise ValueError("lost the device")

    with pytest.raises(ValueError, match="lost the device"):
        streamed([[lambda: None], [fails]], min_time_s=30, min_count=1)


def test_streams_can_be_tied_to_processors() -> None:
    last = max(os.sched_getaffinity(0))
    seen: list[set[int]] = []
    call = [lambda: seen.append(os.sched_getaffinity(0))]
    streamed([call], min_time_s=0, min_count=1, processors=[(last,)])
    assert seen[0] == {last}
