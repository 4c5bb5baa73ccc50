"""The course of a benchmark: in turn, in groups, again where in doubt, and never twice for nothing."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.events import Event, Progress
from mlflow_tfconv.errors import DeviceError
from mlflow_tfconv.steps.benchmark.driver import measuring, turns
from mlflow_tfconv.steps.benchmark.driver.bench import Bench
from mlflow_tfconv.steps.benchmark.driver.measurement import Measurement, read_measurement
from mlflow_tfconv.steps.benchmark.driver.measuring import APART, Measuring
from mlflow_tfconv.steps.benchmark.driver.progress import Told
from mlflow_tfconv.steps.benchmark.driver.stage import Findings, Request, Stage
from mlflow_tfconv.steps.benchmark.driver.timings import read_timings
from mlflow_tfconv.steps.benchmark.driver.worker_process import Worker
from mlflow_tfconv.steps.benchmark.statistics.doubts import Doubt
from mlflow_tfconv.steps.benchmark.worker.host_memory import children_of

MakeBench = Callable[..., Bench]
MakeVariants = Callable[..., list[Variant]]


def measure(bench: Bench, variants: list[Variant]) -> Measuring:
    course = Measuring(bench=bench, variants=variants)
    course.run()
    return course


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(model, command) of everything that any worker is asked."""
    said: list[tuple[str, str]] = []
    own = Worker.ask

    def ask(self: Worker, command: str, **arguments: Any) -> dict[str, Any]:
        said.append((Path(self.job.model).stem, command))
        return own(self, command, **arguments)

    monkeypatch.setattr(Worker, "ask", ask)
    return said


def test_variants_are_opened_one_after_the_other_and_timed_in_turn(
    make_bench: MakeBench, variants: MakeVariants, asked: list[tuple[str, str]]
) -> None:
    models, bench = variants("a", "b"), make_bench(batch_sizes=(4,), blocks=3)
    before = measure(bench, models).found
    assert asked[:4] == [("a", "open"), ("a", "predict"), ("b", "open"), ("b", "predict")]
    assert asked[4:] == [("a", "time"), ("b", "time")] * 3
    assert_lies_beside(read(before["b/onnx"]), read(before["a/onnx"]))
    asked.clear()
    course = measure(bench, models)  # nothing is asked again when all is kept
    assert (asked, course.timings) == ([], "all were kept")
    assert course.found == before


def assert_lies_beside(second: Measurement, first: Measurement) -> None:
    """The timings of the reference in the same turns."""
    assert first.beside == {}
    assert {size: len(blocks) for size, blocks in second.beside.items()} == {4: 3}
    assert all(map(np.array_equal, second.beside[4], first.blocks[4]))


def test_timings_are_kept_while_the_reference_is_as_fast_as_it_was(
    make_bench: MakeBench,
    variants: MakeVariants,
    asked: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = variants("a", "b", "new", "newer")
    before = measure(make_bench(), models[:2]).found
    asked.clear()
    monkeypatch.setattr(measuring, "agrees", lambda _now, _before: True)
    course = measure(make_bench(), models[:3])
    assert course.timings.startswith("some were kept")
    assert {name: course.found[name] for name in before} == before
    assert not [said for said in asked if said[0] == "b"]
    assert ("a", "predict") not in asked

    monkeypatch.setattr(measuring, "agrees", lambda _now, _before: False)
    course = measure(make_bench(), [*models[:2], models[3]])
    assert course.timings.startswith("all were timed again")
    assert ("b", "time") in asked
    assert ("b", "predict") not in asked  # what does not depend on the moment is kept
    for name, found in before.items():
        assert course.found[name].opened == found.opened
        assert course.found[name].timing != found.timing
    assert measure(make_bench(), [*models[:2], models[3]]).timings == "all were kept"


def test_a_crash_while_it_is_timed_is_one_variants_result(
    make_bench: MakeBench, variants: MakeVariants, misbehaving: Any
) -> None:
    line = "name == 'bad' and said['command'] == 'time' and os.kill(os.getpid(), signal.SIGSEGV)"
    bench = make_bench(command=misbehaving(line))
    course = measure(bench, variants("good", "bad", "fine"))
    assert "SIGSEGV" in str(course.found["bad/onnx"].failure)
    assert (bench.workdir / "logs" / "bad_onnx.log").is_file()
    for name in ("good/onnx", "fine/onnx"):
        assert course.found[name].failure is None
        assert len(read_measurement(course.found[name], ()).blocks[4]) == 2


def test_a_reference_that_fails_hands_over_to_the_next(
    make_bench: MakeBench, variants: MakeVariants, misbehaving: Any
) -> None:
    line = "name == 'bad' and os._exit(3)"
    course = measure(make_bench(command=misbehaving(line)), variants("bad", "good", "fine"))
    assert "exit code 3" in str(course.found["bad/onnx"].failure)
    assert read_measurement(course.found["good/onnx"], ()).beside == {}
    assert read_measurement(course.found["fine/onnx"], ()).beside


def test_variants_that_do_not_fit_together_are_timed_in_groups_beside_the_reference(
    make_bench: MakeBench,
    variants: MakeVariants,
    asked: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measuring, "has_room", lambda _variant, pids, _device: len(pids) < 2)
    course = measure(make_bench(), variants("a", "b", "c"))
    found = {name: read_measurement(one, ()) for name, one in course.found.items()}
    assert asked.index(("c", "open")) > asked.index(("b", "time"))
    assert asked.count(("a", "open")) == 1
    assert len(found["c/onnx"].beside[1]) == 2
    assert not any(APART in one.notes for one in found.values())
    # What the reference was timed with later has not touched what was kept of it.
    assert len(found["a/onnx"].blocks[1]) == 2


def test_a_variant_that_needs_all_memory_is_timed_alone_and_the_others_beside_the_reference(
    make_bench: MakeBench, variants: MakeVariants, misbehaving: Any
) -> None:
    flag = "/".join(("{Path(opened.job.folder).parent}", "alone"))
    line = (
        f"name == 'big' and said['command'] == 'open' and not Path(f'{flag}').exists() and "
        f"(Path(f'{flag}').touch(), os.kill(os.getpid(), signal.SIGKILL))"
    )
    course = measure(make_bench(command=misbehaving(line)), variants("a", "big", "c"))
    found = {name: read_measurement(one, ()) for name, one in course.found.items()}
    assert APART in found["big/onnx"].notes
    assert found["big/onnx"].beside == {}
    assert found["c/onnx"].beside
    assert APART not in found["c/onnx"].notes


def test_what_runs_out_of_memory_beside_others_while_it_is_timed_is_tried_alone(
    make_bench: MakeBench, variants: MakeVariants, misbehaving: Any
) -> None:
    flag = "/".join(("{Path(opened.job.folder).parent}", "alone"))
    line = (
        f"name == 'big' and said['command'] == 'time' and not Path(f'{flag}').exists() and "
        f"(Path(f'{flag}').touch(), os.kill(os.getpid(), signal.SIGKILL))"
    )
    course = measure(make_bench(command=misbehaving(line)), variants("a", "big", "c"))
    assert all(one.failure is None for one in course.found.values())
    assert APART in read_measurement(course.found["big/onnx"], ()).notes


def test_an_unstable_timing_is_tried_again_for_longer_beside_the_reference(
    make_bench: MakeBench,
    variants: MakeVariants,
    asked: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shaky = Doubt(signs=("they jump",), reasons=(), severity=2.0)

    def doubt(blocks: Any, conditions: Any, **_: Any) -> Doubt | None:
        is_first = conditions[0]["attempt"] == 0 and conditions[0]["batch_size"] == 4
        return shaky if is_first and "b" in conditions[0]["file"] else None

    monkeypatch.setattr(turns, "doubt", doubt)
    course = measure(make_bench(retries=1), variants("a", "b"))
    timings = read_timings(course.found["b/onnx"].timing or Path())
    assert timings.about["tries"] == {1: 1, 4: 2}
    assert timings.doubts == {1: None, 4: None}
    assert len(timings.beside[4]) == 2
    assert asked.count(("b", "time")) == 6


def test_a_device_that_disappears_ends_the_timing_and_keeps_what_is_complete(
    make_bench: MakeBench,
    variants: MakeVariants,
    misbehaving: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "is_gone", lambda _device: True)
    line = "name == 'b' and said.get('turn') == 1 and os._exit(1)"
    course = measure(make_bench(command=misbehaving(line)), variants("a", "b"))
    for name in ("a/onnx", "b/onnx"):
        notes = read_measurement(course.found[name], ()).notes
        assert any(note.endswith("turns only: the device disappeared") for note in notes)


def test_a_device_that_disappears_at_once_is_the_failure_of_all_that_is_not_timed(
    make_bench: MakeBench,
    variants: MakeVariants,
    misbehaving: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "is_gone", lambda _device: True)
    line = "said['command'] == 'time' and os._exit(1)"
    course = measure(make_bench(command=misbehaving(line)), variants("a", "b"))
    assert all(isinstance(one.failure, DeviceError) for one in course.found.values())


def test_ctrl_c_ends_all_workers(make_bench: MakeBench, variants: MakeVariants) -> None:
    def press(event: Event) -> None:
        if isinstance(event, Progress) and "turn 2" in event.detail:
            raise KeyboardInterrupt

    before = set(children_of(os.getpid()))
    bench = make_bench(progress=Told(emit=press, total=2))
    with pytest.raises(KeyboardInterrupt):
        measure(bench, variants("a", "b"))
    assert set(children_of(os.getpid())) <= before


def stage(command: str, **changes: Any) -> Stage:
    usual: dict[str, Any] = {
        "name": "extra",
        "when": "opened",
        "applies": lambda _config, _variant, _device: True,
        "ask": lambda _config, _reference: Request(command=command),
        "read": lambda _answer, _folder: Findings(),
    }
    return Stage(**{**usual, **changes})


def test_a_stage_that_fails_or_crashes_is_a_note(
    make_bench: MakeBench, variants: MakeVariants, misbehaving: Any
) -> None:
    line = "said['command'] == 'crash' and os.kill(os.getpid(), signal.SIGSEGV)"
    stages = tuple(
        stage(command, when=when, name=f"{when} {command}")
        for when in ("opened", "alone", "timed")
        for command in ("juggle", "crash")
    )
    course = measure(make_bench(stages=stages, command=misbehaving(line)), variants("a"))
    found = read_measurement(course.found["a/onnx"], stages)
    assert found.metrics["latency/p50_ms"] > 0
    said = [note.partition(":")[0] for note in found.notes[-6:]]
    assert said == [f"has no {one.name}" for one in stages]


def test_a_stage_adds_what_it_reads_and_one_of_the_timing_knows_the_reference(
    make_bench: MakeBench, variants: MakeVariants
) -> None:
    known: list[float] = []

    def ask(_config: Any, reference: Any) -> Request:
        known.extend(reference.values())
        return Request(command="predict")

    stages = tuple(
        stage("", when=when, name=when, ask=ask, read=lambda told, _: Findings(details=told))
        for when in ("opened", "alone", "timed")
    )
    course = measure(make_bench(stages=stages), variants("a"))
    found = read_measurement(course.found["a/onnx"], stages)
    details = found.details["stages"]
    assert [when for when, told in details.items() if told["outputs"]] == list(details)
    assert list(details) == ["opened", "alone", "timed"]
    assert found.metrics["latency/p50_ms"] in known


def test_the_same_model_three_times_is_measured_three_times(
    make_bench: MakeBench, variants: MakeVariants
) -> None:
    known: list[float] = []

    def ask(_config: Any, reference: Any) -> Request:
        known.append(reference["latency/p50_ms"])
        return Request(command="predict")

    (model,) = variants("a")
    twins = [dataclasses.replace(model, name=name) for name in "bc"]
    bench = make_bench(stages=(stage("", when="timed", ask=ask),))
    course = measure(bench, [model, *twins])
    assert len({found.timing for found in course.found.values()}) == 3
    assert len({found.opened for found in course.found.values()}) == 3
    assert known == [read(course.found["a/onnx"]).metrics["latency/p50_ms"]] * 3


def test_the_minutes_are_kept(make_bench: MakeBench, variants: MakeVariants) -> None:
    bench = make_bench(min_time_s=60.0, min_count=10**9, minutes=0.5 / 60, retries=3)
    course = measure(bench, variants("a", "b"))
    assert all(read(found).samples[1].sum() < 0.5e9 for found in course.found.values())


def read(found: measuring.Found) -> Measurement:
    return read_measurement(found, ())


def test_the_cpu_never_disappears() -> None:
    assert not turns.is_gone(Device())
