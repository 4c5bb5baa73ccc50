"""Doubts, their likely reasons, and what to do about them."""

from __future__ import annotations

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.statistics.doubts import (
    Doubt,
    doubt,
    retry_advice,
    soundest,
    unstable_note,
)
from mlflow_tfconv.steps.benchmark.statistics.likely_reasons import likely_reasons

CALM = [{"steady": True, "busy_others": 0.0}]
SHORT = "there were only 30 runs"


def turn(*values: float) -> np.ndarray:
    """Nanoseconds from milliseconds."""
    return (np.array(values) * 1e6).astype(np.int64)


def said(blocks: list[np.ndarray], conditions: list[dict] = CALM) -> str:
    return str(doubt(blocks, conditions, processors=2))


def test_even_timings_raise_no_doubt() -> None:
    assert doubt([turn(*[1.0, 1.01] * 100)], CALM, processors=2) is None
    assert doubt([turn(1.0)], CALM, processors=2) is None
    assert doubt([], [], processors=2) is None


def test_interrupted_runs_and_a_spread_of_the_models_own_raise_no_doubt() -> None:
    interrupted = turn(*[0.03] * 80, *[0.9] * 20, *[0.03] * 80)
    assert doubt([interrupted], CALM, processors=2) is None
    assert doubt([turn(*[1.0, 2.0, 3.0] * 100)], CALM, processors=2) is None


def test_a_wide_spread_is_told_with_its_reason() -> None:
    busy = [{"steady": True, "busy_others": 1.4}]
    assert said([turn(*[1.0, 2.0, 3.0] * 10)], busy).startswith(
        "the middle half of the timings lies between 1 and 3 ms, "
    )
    assert f"other processes used 1.4 of 2 processors, {SHORT}" in said(
        [turn(*[1.0, 2.0, 3.0] * 10)], busy
    )


def test_a_median_that_comes_and_goes_or_drifts_is_told() -> None:
    wandering = [*[1.0] * 30, *[1.4] * 30] * 4
    assert "their median wandered by 33%" in said([turn(*wandering)])
    assert "they drifted by 18%" in said([turn(*[1.0] * 60), turn(*[1.2] * 60)])


def test_turns_that_disagree_leave_the_median_unknown() -> None:
    blocks = [turn(*[value] * 40) for value in (1.0, 2.0, 1.0, 2.0)]
    assert "their median is known to" in said(blocks)


def test_a_warm_up_that_was_too_short_for_most_turns_is_told() -> None:
    steady = [turn(*[1.0] * 50)] * 3
    told = [{"steady": False}, {"steady": False}, {"steady": True}]
    assert said(steady, told) == "they were still falling after the warm-up"
    assert doubt(steady, told[1:], processors=2) is None


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ([{"busy_others": 0.1}, {"busy_others": 0.9}], "other processes used 0.5 of 4 processors"),
        ([{"stolen": 0.5}], "the hypervisor took 0.5 of 4 processors"),
        ([{"major_faults": 80}], "memory was short: 80 pages had to be read from disk"),
        ([{"throttled_s": 0.2}] * 2, "the CPU limit of its container stopped it for 0.4 s"),
        ([{"thermal_throttles": 3}], "the processors slowed down because of heat"),
        (
            [{"mhz": 3400.0}, {"mhz": 2100.0}, {"mhz": None}],
            "the processors' clock went between 2,100 and 3,400 MHz",
        ),
        ([{"mhz": 1000.0, "limit_mhz": 3000.0}], "the processors ran at 1,000 of 3,000 MHz"),
        (
            [{"gpu": {"throttle_reasons": ["GpuIdle", "SwPowerCap"]}}],
            "the GPU slowed down (SwPowerCap)",
        ),
        (
            [{"gpu": {"clock_mhz": 1900}}, {"gpu": {"clock_mhz": 1200}}],
            "the GPU's clock went between 1,200 and 1,900 MHz",
        ),
        ([{"gpu": {"others": 1}}], "another process used the GPU"),
        ([{"gpu": {"others": 2}}, {"gpu": None}], "2 other processes used the GPU"),
    ],
)
def test_each_reason_is_told_in_words(conditions: list[dict], reason: str) -> None:
    assert [one.text for one in likely_reasons(conditions, runs=500, processors=4)] == [reason]


def test_what_nobody_knows_and_what_is_harmless_is_no_reason() -> None:
    quiet = [{"busy_others": None, "mhz": 2600.0, "gpu": {"throttle_reasons": ["GpuIdle"]}}, {}]
    assert likely_reasons(quiet, runs=100, processors=4) == ()


def test_what_is_in_doubt_is_tried_again_after_a_wait_and_longer() -> None:
    loaded = Doubt(signs=("a",), reasons=("b",), severity=2.0, passing=True, short=True)
    advice = retry_advice({1: None, 32: loaded})
    assert advice is not None
    assert (advice.batch_sizes, advice.wait_s > 0, advice.longer > 1) == ((32,), True, True)
    plain = retry_advice({1: Doubt(signs=("a",), reasons=(), severity=1.0)})
    assert plain is not None
    assert (plain.wait_s, plain.longer) == (0.0, 1.0)
    assert retry_advice({1: None}) is None


def test_the_soundest_attempt_is_the_one_with_the_least_doubt() -> None:
    bad, worse = (Doubt(signs=("a",), reasons=(), severity=s) for s in (1.5, 3.0))
    assert soundest([worse, bad, worse]) == 1
    assert soundest([worse, bad, None, None]) == 2


def test_one_note_names_all_batch_sizes_in_doubt() -> None:
    drifted = Doubt(signs=("they drifted by 20%",), reasons=(SHORT,), severity=2.0)
    assert unstable_note({1: None, 32: drifted}) == (
        f"may be unstable, because they drifted by 20%, {SHORT} (batch 32)",
    )
    assert unstable_note({1: None}) == ()
