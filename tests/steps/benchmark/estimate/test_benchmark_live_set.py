"""The largest live set, on graphs whose answer is plain."""

from __future__ import annotations

from mlflow_tfconv.steps.benchmark.estimate.live_set import Operation, largest_live_set


def op(reads: str, writes: str, **how: bool | int) -> Operation:
    """An operation of values that are letters."""
    return Operation(name=f"to {writes}", reads=tuple(reads), writes=tuple(writes), **how)  # type: ignore[arg-type]


def largest(*operations: Operation, kept: str, given: str = "", **sizes: int | None) -> int:
    """Bytes of the largest live set."""
    return largest_live_set(operations, sizes, given=tuple(given), kept=tuple(kept)).size_bytes


def test_a_chain_holds_what_is_read_and_what_is_written() -> None:
    chain = (op("w", "a"), op("a", "b"), op("b", "c"))
    assert largest(*chain, kept="c", a=10, b=20, c=5) == 30


def test_a_value_lives_until_its_last_reader() -> None:
    skip = (op("w", "a"), op("a", "b"), op("b", "c"), op("ac", "d"))
    assert largest(*skip, kept="d", a=10, b=20, c=30, d=1) == 60


def test_an_operation_that_may_overwrite_takes_the_place_of_its_input() -> None:
    chain = (op("w", "a"), op("a", "b", overwrites=True), op("b", "c"))
    assert largest(*chain, kept="c", a=10, b=10, c=5) == 15


def test_what_is_needed_later_what_has_another_size_and_what_is_given_is_not_overwritten() -> None:
    needed = (op("w", "a"), op("a", "b", overwrites=True), op("ab", "c"))
    assert largest(*needed, kept="c", a=10, b=10, c=5) == 25
    other = (op("w", "a"), op("a", "b", overwrites=True), op("b", "c"))
    assert largest(*other, kept="c", a=10, b=20, c=5) == 30
    assert (
        largest(op("a", "b", overwrites=True), op("b", "c"), given="a", kept="c", a=10, b=10, c=5)
        == 25
    )


def test_an_output_has_memory_of_its_own_and_is_kept() -> None:
    chain = (op("w", "a"), op("a", "b", overwrites=True), op("b", "c"))
    assert largest(*chain, kept="bc", a=10, b=10, c=5) == 20


def test_a_view_holds_its_source() -> None:
    viewed = (op("w", "a"), op("a", "b", views=True), op("w", "c"), op("b", "d"))
    assert largest(*viewed, kept="d", a=10, b=10, c=7, d=5) == 17


def test_a_view_of_weights_takes_nothing() -> None:
    assert largest(op("w", "b", views=True), op("b", "c"), kept="c", b=10, c=5) == 5


def test_several_views_hold_each_its_source() -> None:
    viewed = (op("w", "ab"), op("ab", "cd", views=True), op("c", "e"), op("de", "f"))
    assert largest(*viewed, kept="f", a=10, b=20, c=10, d=20, e=5, f=1) == 35


def test_results_that_nobody_reads_are_given_back_at_once() -> None:
    assert largest(op("w", "ab"), op("a", "c"), kept="c", a=10, b=20, c=15) == 30


def test_what_a_body_holds_counts_while_it_runs() -> None:
    found = largest_live_set(
        (op("w", "a"), op("a", "b", inner_bytes=100)), {"a": 10, "b": 1}, kept=("b",)
    )
    assert (found.size_bytes, found.at) == (111, "to b")


def test_sizes_that_are_not_known_are_told() -> None:
    found = largest_live_set((op("w", "a"), op("a", "b")), {"a": None, "b": 4}, kept=("b",))
    assert (found.size_bytes, found.unsized) == (4, ("a",))
