"""What the stages ask, and what they make of answers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.concurrent_stage import CONCURRENT
from mlflow_tfconv.steps.benchmark.driver.offline_stage import OFFLINE, rates_of_both
from mlflow_tfconv.steps.benchmark.driver.scenario_samples import scenario_samples
from mlflow_tfconv.steps.benchmark.driver.server_stage import SERVER
from mlflow_tfconv.steps.benchmark.driver.stage import Findings
from mlflow_tfconv.steps.benchmark.scenario_options import ServerOptions

CONFIG = BenchmarkConfig()
CALM = {"busy_others": 0.0}
HELD: dict[str, Any] = {
    "max_rate_per_s": 120.0,
    "confirmed": True,
    "why": None,
    "doubts": [],
    "p99_ms": 4.5,
    "bound_ms": 5.0,
    "own_bound": False,
    "quantile": 0.99,
    "threads": 1,
    "batch_size": 1,
}


def offline(**changes: Any) -> dict[str, Any]:
    sizes = [{"batch_size": n, "samples_per_s": 10.0 * n, "count": 9} for n in (1, 2)]
    usual = {"sizes": sizes, "best_batch": 2, "ended": "", "cut_short": False, "conditions": CALM}
    return {**usual, **changes}


@pytest.mark.parametrize("stage", [OFFLINE, SERVER, CONCURRENT])
def test_a_scenario_is_asked_for_by_its_name(stage: Any) -> None:
    asking = dataclasses.replace(CONFIG, scenarios=(stage.name,))
    assert stage.applies(asking, None, None)
    assert not stage.applies(CONFIG, None, None)


@pytest.mark.parametrize("stage", [OFFLINE, SERVER, CONCURRENT])
def test_a_scenario_ends_before_its_worker_would_be_stopped(stage: Any) -> None:
    hurried = dataclasses.replace(CONFIG, time_limit_s=10.0)
    assert stage.ask(hurried, {}).arguments["time_limit_s"] == 5.0


def test_all_variants_are_held_to_the_bound_of_the_reference() -> None:
    known = {"latency/p50_ms": 2.0, "latency/p99_ms": 3.0, "latency/p50_ms_b32": 20.0}
    assert SERVER.ask(CONFIG, known).arguments["latency_bound_ms"] == 10.0
    of_32 = dataclasses.replace(CONFIG, server=ServerOptions(batch_size=32))
    assert SERVER.ask(of_32, known).arguments["latency_bound_ms"] == 100.0
    assert SERVER.ask(CONFIG, {}).arguments["latency_bound_ms"] is None


def test_a_bound_that_was_asked_for_stays() -> None:
    asked = dataclasses.replace(CONFIG, server=ServerOptions(latency_bound_ms=7.0))
    assert SERVER.ask(asked, {"latency/p50_ms": 2.0}).arguments["latency_bound_ms"] == 7.0


def test_a_rate_comes_with_its_bound() -> None:
    found = SERVER.read(HELD, Path())
    assert found.metrics == {"server/max_rate_per_s": 120.0, "server/p99_ms": 4.5}
    assert found.notes == (
        "the server's rate keeps 5 ms for 0.99 of the queries, on one thread and batches of 1",
    )


def test_no_rate_is_no_metric_but_a_note() -> None:
    none = {"max_rate_per_s": None, "why": "no rate keeps 1 ms", "doubts": ["it was busy"]}
    found = SERVER.read({**HELD, **none}, Path())
    assert found.metrics == {}
    assert found.notes == ("no rate of a server was found: no rate keeps 1 ms (it was busy)",)


def test_a_rate_that_is_doubtful_says_so() -> None:
    unsure = {"confirmed": False, "why": "no time", "doubts": ["others ran"], "own_bound": True}
    notes = SERVER.read({**HELD, **unsure}, Path()).notes
    assert "the server's rate was not confirmed: no time" in notes
    assert "the server's rate may be too low, because others ran" in notes
    assert any("bound is its own" in note for note in notes)


def test_the_sweep_gives_every_size_and_the_best() -> None:
    found = OFFLINE.read(offline(), Path())
    assert found.metrics["throughput/samples_per_s_b2"] == 20.0
    assert found.metrics["throughput/best_batch"] == 2
    assert found.notes == ()


def test_a_sweep_that_was_cut_short_or_disturbed_says_so() -> None:
    answer = offline(cut_short=True, ended="too large", conditions={"busy_others": 1.5})
    first, second = OFFLINE.read(answer, Path()).notes
    assert first == "larger batches may be better: too large"
    assert "other processes used 1.5" in second


def test_sizes_that_were_timed_in_turns_keep_their_rates_and_the_best_is_that_of_all() -> None:
    rate = "throughput/samples_per_s"
    turns = {f"{rate}_b1": 12.0, rate: 12.0, "latency/p50_ms": 1.0}
    timed = Findings(metrics=turns, intervals=dict.fromkeys(turns, (0.0, 99.0)))
    found = rates_of_both(timed, OFFLINE.read(offline(), Path()))
    assert found.metrics[f"{rate}_b1"] == 12.0
    assert found.metrics[rate] == found.metrics[f"{rate}_b2"] == 20.0
    assert found.metrics["throughput/best_batch"] == 2
    assert set(found.intervals) == {f"{rate}_b1", "latency/p50_ms"}


def test_a_size_beyond_a_sweep_that_was_cut_short_can_be_the_best() -> None:
    rate = "throughput/samples_per_s"
    timed = Findings(metrics={f"{rate}_b32": 90.0, rate: 90.0})
    found = rates_of_both(timed, OFFLINE.read(offline(cut_short=True), Path()))
    assert (found.metrics[rate], found.metrics["throughput/best_batch"]) == (90.0, 32)


def test_raw_latencies_of_all_scenarios_are_found_again(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([5, 6]))
    np.save(tmp_path / "s.npy", np.array([[10, 12, 19]]))
    np.save(tmp_path / "c.npy", np.array([[1, 10, 13], [0, 11, 15]]))
    stages = {
        "offline": {"sizes": [{"batch_size": 8, "file": "o.npy"}]},
        "server": {"batch_size": 1, "trials": [{"rate_per_s": 100.0, "file": "s.npy"}]},
        "concurrent": {
            "batch_size": 2,
            "rows": [{"count": 2, "sharing": "one_session", "file": "c.npy"}],
        },
    }
    found = [
        (s.part, s.batch_size, s.latency_ns.tolist()) for s in scenario_samples(stages, tmp_path)
    ]
    assert found == [
        ("", 8, [5, 6]),
        ("trial 0 at 100/s", 1, [9]),
        ("x2 one_session", 2, [3, 4]),
    ]


def test_of_each_number_of_streams_the_better_way_counts() -> None:
    rows = [{"count": 2, "samples_per_s": rate, "conditions": CALM} for rate in (30.0, 50.0, 40.0)]
    left_out = ["x4 own_sessions: full", "x9 one_session: slow", "x9 own_sessions: full"]
    found = CONCURRENT.read({"rows": rows, "left_out": left_out}, Path())
    assert found.metrics == {"concurrent/samples_per_s_x2": 50.0}
    assert found.notes == (
        "streams were left out: x4 own_sessions, x9 own_sessions: full",
        "streams were left out: x9 one_session: slow",
    )
