"""Where the time of a run goes: medians, shares, and the profiler's own time taken off."""

from __future__ import annotations

import pytest

from mlflow_tfconv.steps.benchmark.worker.operator_calls import Call, Run
from mlflow_tfconv.steps.benchmark.worker.operator_times import (
    is_outweighed,
    operator_times,
    where_time_goes,
    whole_times,
    without_profiler,
)


def _run(duration: float, *calls: tuple[str, str, float, float], thread: int = 1) -> Run:
    made = (
        Call(node=n, operator=o, place="CPU", thread=thread, start_us=start, duration_us=length)
        for n, o, start, length in calls
    )
    return Run(thread=1, start_us=0, duration_us=duration, calls=tuple(made))


def test_medians_of_runs_and_shares_of_the_total_with_time_outside() -> None:
    runs = [
        _run(200, ("a", "Conv", 0, 100), ("b", "Relu", 110, 50)),
        _run(200, ("a", "Conv", 0, 120), ("b", "Relu", 130, 50)),
        _run(900, ("a", "Conv", 0, 800), ("b", "Relu", 810, 50)),  # a disturbed one
    ]
    found = where_time_goes(operator_times(runs), 0.18)
    assert [(row["node"], row["ms"]) for row in found["nodes"]] == [("a", 0.12), ("b", 0.05)]
    assert found["outside_ms"] == pytest.approx(0.03)
    assert found["operators"][0]["share"] == pytest.approx(0.6)
    shares = sum(row["share"] for row in found["operators"]) + found["outside_share"]
    assert shares == pytest.approx(1)


def test_interruptions_of_other_nodes_in_every_run_leave_the_shares_whole() -> None:
    lengths = [(900, 10, 10), (10, 900, 10), (10, 10, 900)]
    runs = [
        _run(
            1000,
            *(
                (name, "Conv", 1000 * n, us)
                for n, (name, us) in enumerate(zip("abc", each, strict=True))
            ),
        )
        for each in lengths
    ]
    found = where_time_goes(operator_times(runs), None)
    assert [(row["operator"], row["ms"]) for row in found["operators"]] == [("Conv", 0.03)]
    assert sum(row["share"] for row in found["operators"]) + found["outside_share"] <= 1


def test_a_machine_that_was_busier_without_the_profiler_is_no_time_outside_of_nodes() -> None:
    found = where_time_goes(operator_times([_run(100, ("a", "Conv", 0, 95))]), 0.16)
    assert found["outside_ms"] == pytest.approx(0.005)


def test_a_loop_with_its_body_is_counted_once() -> None:
    loop = ("loop", "Loop", 0, 90), ("body", "Mul", 10, 20), ("body", "Mul", 50, 20)
    found = where_time_goes(operator_times([_run(100, *loop)]), 0.1)
    assert {row["operator"]: row["ms"] for row in found["operators"]} == {"Loop": 0.05, "Mul": 0.04}
    assert found["nodes"][1]["inside"] == "loop"
    assert found["nodes"][1]["calls"] == 2
    assert found["outside_ms"] == pytest.approx(0.01)


def test_the_whole_time_of_a_node_at_the_top_holds_what_runs_inside() -> None:
    loop = ("loop", "Loop", 0, 90), ("body", "Mul", 10, 20), ("relu", "Relu", 95, 5)
    whole = whole_times(operator_times([_run(110, *loop)]))
    assert {name: times.tolist() for name, times in whole.items()} == {"loop": [90], "relu": [5]}


def test_a_branch_that_few_runs_take_has_no_typical_time() -> None:
    runs = [_run(50, ("a", "Add", 0, 10))] * 3 + [
        _run(90, ("a", "Add", 0, 10), ("b", "Mul", 20, 60))
    ]
    found = where_time_goes(operator_times(runs), 0.05)
    assert {row["node"]: row["ms"] for row in found["nodes"]} == {"a": 0.01, "b": 0}


def test_nodes_side_by_side_add_up_to_more_than_a_run_and_shares_still_to_one() -> None:
    left = Call(node="l", operator="A", place="C", thread=1, start_us=0, duration_us=90)
    right = Call(node="r", operator="B", place="C", thread=2, start_us=0, duration_us=90)
    run = Run(thread=1, start_us=0, duration_us=100, calls=(left, right))
    found = where_time_goes(operator_times([run]), 0.1)
    assert found["outside_ms"] == pytest.approx(0.01)
    assert [row["share"] for row in found["operators"]] == pytest.approx([90 / 190, 90 / 190])


def test_the_profilers_own_time_in_small_nodes_is_taken_off() -> None:
    calls = [(f"n{i}", "Add", 10.0 * i, 6.0) for i in range(10)]
    times = without_profiler(operator_times([_run(100, *calls)]), 0.02)
    assert times.profiler_us == pytest.approx(4, abs=0.01)
    assert [node.own_us[0] for node in times.nodes] == pytest.approx([2] * 10, abs=0.01)
    assert times.busy_us[0] == pytest.approx(20, abs=0.1)


def test_nothing_is_taken_off_where_runs_are_as_quick_with_the_profiler() -> None:
    times = operator_times([_run(100, ("a", "Conv", 0, 95))])
    assert without_profiler(times, 0.1).nodes[0].own_us[0] == 95


def test_recording_what_runs_inside_is_taken_off_the_loop() -> None:
    body = [("mul", "Mul", 10.0 + 10 * i, 2.0) for i in range(8)]
    times = operator_times([_run(110, ("loop", "Loop", 0, 100), *body)])
    found = without_profiler(times, 0.04)
    assert found.busy_us[0] <= 40
    assert sum(node.own_us[0] for node in found.nodes) <= 40


def test_the_body_of_a_long_loop_is_not_inflated_by_being_recorded() -> None:
    """Each round of 10 us is 1 us of work, 4 us of recording in its own time and 5 us around it."""
    body = [("mul", "Mul", 10.0 * i, 5.0) for i in range(100)]
    loop = ("loop", "Loop", 0.0, 1000.0)
    found = without_profiler(operator_times([_run(1000, loop, *body)]), 0.1)
    own = {node.node: node.own_us[0] for node in found.nodes}
    assert sum(own.values()) <= 111
    assert own["mul"] == pytest.approx(110, abs=2)
    assert not is_outweighed(found, 0.1)


def test_operators_that_the_profiler_outweighs_are_left_as_they_are() -> None:
    calls = [("small", "Add", 0.0, 3.0), ("large", "Conv", 10.0, 80.0)]
    times = operator_times([_run(100, *calls)])
    found = without_profiler(times, 0.02)
    assert [node.own_us[0] for node in found.nodes] == [3, 80]
    assert is_outweighed(found, 0.02)
    assert not is_outweighed(found, 0.08)


def test_no_more_is_taken_off_than_the_quickest_node_takes() -> None:
    calls = [("small", "Add", 0.0, 3.0), ("large", "Conv", 10.0, 80.0)]
    found = without_profiler(operator_times([_run(100, *calls)]), 0.0701)
    assert found.profiler_us == pytest.approx(3, abs=0.1)
    assert found.nodes[1].own_us[0] == pytest.approx(77, abs=0.1)


def test_disturbed_runs_do_not_change_what_the_profiler_costs() -> None:
    quick = [(f"n{i}", "Add", 10.0 * i, 6.0) for i in range(10)]
    slow = [(f"n{i}", "Add", 100.0 * i, 90.0) for i in range(10)]
    times = operator_times([_run(100, *quick), _run(990, *slow), _run(990, *slow)])
    assert without_profiler(times, 0.02).profiler_us == pytest.approx(4, abs=0.01)
