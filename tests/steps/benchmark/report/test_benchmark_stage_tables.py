"""What the stages found is shown as tables; what a stage lacks leaves no hole."""

from __future__ import annotations

from typing import Any

import pytest

from mlflow_tfconv.steps.benchmark.report.grids import grid, percent
from mlflow_tfconv.steps.benchmark.report.stage_tables import stage_details, stage_grids

PROFILE = {
    "batch_size": 1,
    "outside_share": 0.25,
    "operators": [
        {"operator": "Conv", "place": "CPU", "nodes": 2, "ms": 0.61234, "share": 0.613},
        {"operator": "Relu", "place": "CPU", "nodes": 2, "ms": 0.012, "share": 0.012},
    ],
    "nodes": [{"node": "conv1", "operator": "Conv", "ms": 0.4, "share": 0.4}],
}


def tables(**stages: Any) -> dict[str, Any]:
    return {table.title: table for table in stage_grids({"stages": stages})}


def test_operators_are_shown_with_their_shares() -> None:
    found = tables(profile=PROFILE)
    operators = found["Where the time goes"]
    assert operators.columns == ("operator", "nodes", "ms a run", "share")
    assert operators.rows[0] == ("Conv", "2", "0.612", "61 %")
    assert operators.right == (False, True, True, True)
    assert "25 % of a run" in operators.note
    assert found["Nodes that take the most time"].rows == (("conv1", "Conv", "0.400", "40 %"),)


def test_where_several_devices_compute_the_place_is_told() -> None:
    mixed = [{**PROFILE["operators"][0], "place": "CUDA"}, PROFILE["operators"][1]]  # type: ignore[index]
    assert tables(profile={"operators": mixed})["Where the time goes"].columns[-1] == "where"


def test_scenarios_are_shown_trial_by_trial() -> None:
    found = tables(
        offline={
            "sizes": [{"batch_size": 1, "samples_per_s": 1e3, "p50_ms": 1.0, "gain": None}],
            "best_batch": 1,
            "ended": "all sizes were timed",
        },
        server={
            "bound_ms": 5.0,
            "quantile": 0.99,
            "trials": [
                {"rate_per_s": 200.0, "queries": 50, "late": 7, "held": False},
                {"rate_per_s": 100.0, "queries": 50, "late": 0, "held": True},
            ],
        },
        concurrent={"rows": [{"count": 2, "sharing": "own_sessions", "samples_per_s": 1500.0}]},
    )
    assert found["Offline: batch after batch"].rows == (("1", "1,000", "1.00"),)
    server = found["Server: queries at random times"]
    assert [row[0] for row in server.rows] == ["100", "200"]
    assert server.note == "Bound: 5 ms for 99 % of the queries."
    assert found["Concurrent: several streams at once"].rows == (("2", "own sessions", "1,500"),)


def test_memory_is_shown_with_what_was_allowed_and_how_it_was_measured() -> None:
    found = tables(
        memory={
            "gpu_limit_bytes": 1_024_000_000,
            "gpu": {"peak_bytes": 2_099_000_000},
            "phases": [{"name": "load", "host_peak_bytes": 5_000_000}],
            "method": {"host": "VmHWM", "gpu": "nvml"},
        },
        memory_estimate={"peak_mb": {"32": 12.0}, "method": "weights + live set"},
    )
    assert found["Memory: allowed and used"].rows == (("GPU memory", "1,024", "2,099"),)
    assert found["Memory by phase"].note == "Measured by host: VmHWM, gpu: nvml."
    assert found["Memory, told from the shapes"].rows == (("32", "12.0"),)


def test_layers_and_classes_are_shown() -> None:
    found = tables(
        layers={
            "reference": "base/onnx",
            "slower": [{"name": "conv1", "reference_ms": 0.1, "ms": 0.2, "operators": ("Cast",)}],
        },
        quality={"per_class": {"3": {"count": 7, "accuracy": 0.5, "low": 0.25, "high": 0.75}}},
    )
    slower = found["Layers that became slower than in base/onnx"]
    assert slower.rows == (("conv1", "0.100", "0.200", "Cast"),)
    assert found["Each class"].rows == (("3", "7", "0.500", "0.250 to 0.750"),)


@pytest.mark.parametrize("details", [{}, {"stages": {}}, {"stages": {"profile": {}}}])
def test_nothing_known_is_no_table(details: dict[str, Any]) -> None:
    assert list(stage_grids(details)) == []
    assert stage_details(details, "profile") == {}


def test_empty_tables_are_left_out() -> None:
    empty = {"profile": {"operators": []}, "server": {"trials": None}, "memory": {"phases": []}}
    assert tables(**empty) == {}


def test_columns_without_a_value_are_left_out() -> None:
    assert grid("t", ("a", "b"), [[None, 1], ["", 2.5]]).rows == (("1",), ("2.50",))


@pytest.mark.parametrize(
    ("share", "text"), [(None, ""), (0.0, "0 %"), (0.0123, "1.2 %"), (0.5, "50 %")]
)
def test_shares_are_short(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_places_are_shown_where_there_are_several() -> None:
    places = [{"place": name, "nodes": 5, "node_share": 0.5, "ms": 1.0} for name in ("CUDA", "CPU")]
    one, two = ({"placement": {"places": p, "copies": {"nodes": 2}}} for p in (places[:1], places))
    assert tables(profile=one) == {}
    found = tables(profile=two)["Which device ran it"]
    assert found.rows[1] == ("CPU", "5", "50 %", "1.00")
    assert found.note == "2 copies between devices in a run."


def test_what_a_gpu_tells_is_shown() -> None:
    found = tables(
        gpu_before={"clocks": {"sm_mhz": 1980}},
        gpu_after={"clocks": {"sm_mhz": 1200}, "throttled": ["heat"]},
        bound={"percentiles": {"latency/p50_ms_bound": 0.5}},
        energy={"sizes": [{"batch_size": 1, "j_per_1000": 12.0}]},
    )
    assert found["The GPU"].rows == (("clocks.sm_mhz", "1,980", "1,200"), ("throttled", "", "heat"))
    assert found["Energy"].rows == (("1", "12.0"),)
    assert len(found) == 3
