"""What an arena takes, on sequences of requests whose answer is plain."""

from __future__ import annotations

import pytest

from mlflow_tfconv.steps.benchmark.estimate.arena_size import arena_size
from mlflow_tfconv.steps.benchmark.estimate.live_set import LiveSet
from mlflow_tfconv.steps.benchmark.estimate.scaled import live_set_at

_MB = 1 << 20


def test_an_arena_grows_by_regions_that_double() -> None:
    size = arena_size([("a", 3 * _MB), ("b", 3 * _MB)], {"a", "b"})
    assert size.reserved == (4 + 4) * _MB
    assert size.touched == 6 * _MB


def test_an_arena_may_grow_by_what_is_asked_for() -> None:
    requests = [("a", 3 * _MB), ("b", 3 * _MB)]
    size = arena_size(requests, {"a", "b"}, strategy="same_as_requested")
    assert size.reserved == size.touched == 6 * _MB


def test_memory_that_was_given_back_is_handed_out_again() -> None:
    requests = [("a", _MB), ("a", _MB), ("b", _MB), ("b", _MB)]
    assert arena_size(requests, ()).touched == _MB


def test_inner_values_get_one_block_in_the_second_run() -> None:
    # 4 MB, then 8 MB after it is given back: the block of both in the second run takes 8 MB more,
    # since the chunk of 8 MB is joined with no other region.
    requests = [("a", 4 * _MB), ("b", 8 * _MB), ("a", 4 * _MB), ("b", 8 * _MB)]
    size = arena_size(requests, (), strategy="same_as_requested")
    assert size.reserved == (4 + 8 + 12) * _MB


def test_a_chunk_that_is_not_twice_too_large_is_not_split() -> None:
    outputs = {"b", "c"}
    requests = [("a", 4 * _MB), ("a", 4 * _MB), ("b", 3 * _MB), ("c", _MB)]
    size = arena_size(requests, outputs | {"a"}, strategy="same_as_requested")
    assert size.reserved == (4 + 1) * _MB


def test_nothing_takes_nothing() -> None:
    assert arena_size([], ()).reserved == 0


def live(size: int, name: str = "a") -> LiveSet:
    """A live set of one value."""
    return LiveSet(size_bytes=size, at="to a", requests=((name, size),))


def test_a_batch_size_between_two_that_are_known_is_not_computed() -> None:
    found = {1: live(110), 32: live(3210)}
    between = live_set_at(11, found, lambda n: pytest.fail(f"computed {n}"))
    assert between.size_bytes == 1110
    assert between.requests == (("a", 1110),)


def test_a_batch_size_is_computed_where_other_operations_run() -> None:
    found = {1: live(110, "a"), 32: live(3210, "b")}
    assert live_set_at(11, found, lambda n: live(n)).size_bytes == 11
