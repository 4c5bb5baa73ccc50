"""Calls within runs: what is nested is counted once."""

from __future__ import annotations

from mlflow_tfconv.steps.benchmark.worker.operator_calls import Call, busy_us, own_times


def _call(node: str, start: float, duration: float, thread: int = 1) -> Call:
    return Call(
        node=node,
        operator=node.title(),
        place="CPU",
        thread=thread,
        start_us=start,
        duration_us=duration,
    )


def test_the_body_of_a_loop_is_taken_off_the_loop() -> None:
    found = own_times([_call("body", 20, 30), _call("loop", 10, 100), _call("body", 60, 20)])
    assert [(f.call.node, f.own_us, f.outermost, f.inside) for f in found] == [
        ("loop", 50, "loop", 2),
        ("body", 30, "loop", 0),
        ("body", 20, "loop", 0),
    ]


def test_loops_in_loops_are_taken_off_the_nearest_one() -> None:
    calls = [_call("outer", 0, 100), _call("inner", 10, 50), _call("mul", 20, 30)]
    found = {f.call.node: (f.own_us, f.outermost) for f in own_times(calls)}
    assert found == {"outer": (50, "outer"), "inner": (20, "outer"), "mul": (30, "outer")}


def test_neighbours_are_not_nested_though_clocks_are_rounded_down() -> None:
    found = own_times([_call("a", 10, 5), _call("b", 15, 0), _call("c", 15, 7)])
    assert {f.call.node: f.own_us for f in found} == {"a": 5, "b": 0, "c": 7}
    assert {f.outermost for f in found} == {"a", "b", "c"}


def test_what_ends_after_the_call_around_it_takes_no_more_than_that_has() -> None:
    found = {f.call.node: f.own_us for f in own_times([_call("if", 0, 10), _call("add", 4, 7)])}
    assert found == {"if": 4, "add": 7}


def test_calls_of_other_threads_run_beside_each_other() -> None:
    calls = [_call("a", 0, 100, thread=1), _call("b", 10, 50, thread=2)]
    assert {f.call.node: f.own_us for f in own_times(calls)} == {"a": 100, "b": 50}
    assert busy_us(calls) == 100


def test_gaps_between_calls_are_not_busy() -> None:
    assert busy_us([_call("a", 0, 10), _call("b", 5, 10), _call("c", 40, 2)]) == 17
    assert busy_us([]) == 0
