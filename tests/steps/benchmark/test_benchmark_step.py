"""The step and `tfconv.benchmark`: what fails is a result, what was measured is not redone."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest

from mlflow_tfconv.artifacts import Audit, Dataset, TensorSpec, Variant, Variants
from mlflow_tfconv.data.examples import serialized_example
from mlflow_tfconv.data.inference import SchemaInference
from mlflow_tfconv.data.manifest import Manifest, write_manifest
from mlflow_tfconv.data.shards import ShardWriter
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.cards import Text
from mlflow_tfconv.engine.codec import decode, encode
from mlflow_tfconv.engine.events import ArtifactFile, Event, Message, Metric, Tag
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.engine.step import StepContext, StepResult
from mlflow_tfconv.errors import BenchmarkError, ConfigError, DeviceError
from mlflow_tfconv.steps.benchmark import stored_examples
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.memory_options import MemoryOptions
from mlflow_tfconv.steps.benchmark.step import BenchmarkStep, benchmark

INPUTS = (TensorSpec(name="x", dtype="float32", shape=(None, 4)),)


def true_classes(inputs: np.ndarray) -> np.ndarray:
    """Those that the noiseless model of the room's fixtures gives."""
    exact = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    return np.argmax(inputs @ exact, axis=1)


def some_inputs(count: int = 30) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 4)).astype(np.float32)


class Course(NamedTuple):
    """One run of the step, its folder, and what it has told."""

    result: StepResult
    workdir: Path
    events: list[Event]

    @property
    def metrics(self) -> dict[str, Mapping[str, float]]:
        return {row.run_name: row.metrics for row in self.result.output.rows}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Thirty labelled examples in the split "test"."""
    home = tmp_path_factory.mktemp("dataset")
    inference = SchemaInference(("kind",))
    inputs = some_inputs()
    with ShardWriter(home, "test", 10_000) as writer:
        for x, kind in zip(inputs, true_classes(inputs), strict=True):
            writer.write(serialized_example(inference.check({"x": x, "kind": int(kind)}, "here")))
    manifest = Manifest(schema=inference.schema(None), splits={"test": writer.shards}, folder=home)
    write_manifest(manifest, home)
    return Dataset(manifest=home / "manifest.json", digest=manifest.digest, counts=manifest.counts)


@pytest.fixture(scope="module")
def models(write_model: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Variant]:
    """What is measured here: good ones, one that gives NaN, one that is no model, and no file."""
    home = tmp_path_factory.mktemp("models")
    audit = Audit(size_bytes=2_000_000, compressed_bytes=1, weights_bytes={"int8": 5}, sparsity=0.5)
    (home / "no.onnx").write_text("hello")
    made = (
        onnx_variant("base", write_model(home, "base")),
        onnx_variant("noisy", write_model(home, "noisy", noise=0.5), audit=audit),
        onnx_variant("other", write_model(home, "other")),
        onnx_variant("nan", write_model(home, "nan", then="Log")),
        onnx_variant("no", home / "no.onnx"),
        onnx_variant("gone", home / "gone.onnx"),
    )
    return {variant.name: variant for variant in made}


@pytest.fixture(scope="module")
def first(
    quick: BenchmarkConfig,
    models: dict[str, Variant],
    dataset: Dataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> Course:
    """All but one of them, with every stage that there is by default."""
    home = tmp_path_factory.mktemp("first")
    variants = [models[name] for name in ("noisy", "base", "nan", "no", "gone")]
    config = dataclasses.replace(quick, profile=True, memory=MemoryOptions())
    return run(config, variants, home / "work", context_of(dataset, home / "parts"))


@pytest.fixture
def context(dataset: Dataset, tmp_path: Path) -> StepContext:
    """With no parts yet."""
    return context_of(dataset, tmp_path / "parts")


def context_of(dataset: Dataset, parts: Path) -> StepContext:
    """With parts that stay between runs, and events in `context.settings["events"]`."""
    events: list[Event] = []
    return StepContext(
        dataset=dataset, parts=Parts(parts), emit=events.append, settings={"events": events}
    )


def run(
    config: BenchmarkConfig, variants: list[Variant], workdir: Path, context: StepContext
) -> Course:
    workdir.mkdir()
    source = Variants(variants=tuple(variants), inputs=INPUTS)
    result = BenchmarkStep(config).run(source, workdir, context)
    return Course(result, workdir, context.settings["events"])


def onnx_variant(name: str, path: Path, **more: Any) -> Variant:
    return Variant(name=name, format="onnx", path=path, fingerprint=f"of {name}", **more)


def test_variants_are_compared_with_the_base(first: Course) -> None:
    metrics, environment = first.metrics, first.result.output.environment
    assert list(metrics)[:2] == ["noisy/onnx", "base/onnx"]
    assert environment["reference"] == "base/onnx"
    assert metrics["base/onnx"]["quality/accuracy"] == 1.0
    lost = 1.0 - metrics["noisy/onnx"]["quality/accuracy"]
    assert metrics["noisy/onnx"]["quality/accuracy_drop"] == pytest.approx(lost)
    assert metrics["noisy/onnx"]["quality/agreement"] == pytest.approx(1.0 - lost)
    assert metrics["noisy/onnx"]["footprint/size_mb"] == 2.0
    assert metrics["noisy/onnx"]["sparsity"] == 0.5


def test_memory_is_estimated_and_where_time_goes_is_told_unless_asked_otherwise(
    first: Course,
) -> None:
    assert first.metrics["base/onnx"]["footprint/estimated_peak_mb"] > 0
    told = first.result.output.environment["variants"]["base/onnx"]["stages"]["profile"]
    assert {row["operator"] for row in told["operators"]} == {"MatMul"}


def test_what_is_measured_is_told_and_left_behind(first: Course) -> None:
    told = {(e.run, e.name) for e in first.events if isinstance(e, Metric)}
    assert {("base/onnx", "latency/p50_ms"), ("noisy/onnx", "footprint/host_peak_mb")} <= told
    files = {e.path.name for e in first.events if isinstance(e, ArtifactFile)}
    assert {"report.json", "raw_samples.parquet", "quality_against_latency.png"} <= files
    assert "trace.json" in files
    table = pq.read_table(first.workdir / "raw_samples.parquet")
    assert set(table.column("variant").to_pylist()) == {"base/onnx", "noisy/onnx"}
    plain = json.loads(json.dumps(encode(first.result.output, first.workdir)))
    assert decode(plain, first.workdir).rows == first.result.output.rows


def test_variants_that_fail_are_results_and_warnings_and_the_others_are_measured(
    first: Course,
) -> None:
    noisy, base, nan, no, gone = first.result.output.rows
    assert (noisy.failure, base.failure) == (None, None)
    assert "NaN in the output 'y'" in str(nan.failure)
    assert "latency/p50_ms" not in nan.metrics
    assert "can't load this file" in str(no.failure)
    assert gone.failure
    said = [e for e in first.events if isinstance(e, Message)]
    assert [e.level for e in said] == ["warning"] * 3 + ["info"]
    assert said[-1].text.startswith("ONNX Runtime ")
    card = first.result.card
    assert card is not None
    assert card.title == "2 of 5 variants measured on cpu; 3 failed"


def test_tags_tell_the_state_of_a_variant_and_take_away_an_earlier_one(first: Course) -> None:
    tags = {(e.run, e.name): e.value for e in first.events if isinstance(e, Tag)}
    assert tags["base/onnx", "tfconv.unstable"] in ("true", "false")
    assert tags["base/onnx", "tfconv.benchmark_failure"] == ""
    assert "NaN" in tags["nan/onnx", "tfconv.benchmark_failure"]
    assert tags["nan/onnx", "tfconv.benchmark_notes"] == tags["nan/onnx", "tfconv.unstable"] == ""


def test_a_new_variant_or_config_does_not_have_all_measured_again(
    quick: BenchmarkConfig, models: dict[str, Variant], context: StepContext, tmp_path: Path
) -> None:
    base, other = models["base"], models["other"]
    before = run(quick, [base], tmp_path / "first", context)
    after = run(quick, [base, other], tmp_path / "second", context)
    kept = ("quality/accuracy", "footprint/host_peak_mb", "startup/load_ms")
    assert_same(kept, before, after)
    timings = after.result.output.environment["timings"]
    assert timings.startswith(("some were kept", "all were timed again"))
    assert after.result.card is not None
    assert after.result.card.title == "2 variants measured on cpu"
    said = [part.text for part in after.result.card.parts if isinstance(part, Text)]
    assert f"Of the timings {timings}." in said
    longer = dataclasses.replace(quick, min_count=6)
    last = run(longer, [base], tmp_path / "third", context)
    assert last.result.output.environment["timings"] == "all were timed now"
    assert_same(kept, before, last)  # how it is timed changes neither memory nor outputs


def assert_same(names: tuple[str, ...], one: Course, other: Course) -> None:
    found = [course.metrics["base/onnx"] for course in (one, other)]
    assert [found[0][name] for name in names] == [found[1][name] for name in names]


def test_when_all_fail_the_step_fails(
    quick: BenchmarkConfig, models: dict[str, Variant], context: StepContext, tmp_path: Path
) -> None:
    nan, gone = models["nan"], models["gone"]
    with pytest.raises(BenchmarkError, match="nan/onnx could not be measured: It gives NaN"):
        run(quick, [nan], tmp_path / "work", context)
    with pytest.raises(BenchmarkError, match="None of the variants") as error:
        run(quick, [nan, gone], tmp_path / "again", context)
    assert "nan/onnx: It gives NaN in the output 'y'. (NaN for 28 examples)\n" in str(error.value)
    assert str(error.value).count("Received:") == 1


def test_a_missing_gpu_fails_before_anything_is_measured(
    quick: BenchmarkConfig, make_model: Any, context: StepContext, tmp_path: Path
) -> None:
    on_gpu = dataclasses.replace(context, device=Device.parse("cuda:63"))
    with pytest.raises(DeviceError, match="cuda:63"):
        run(quick, [onnx_variant("base", make_model())], tmp_path / "work", on_gpu)
    assert not (tmp_path / "parts").exists()


def test_a_split_without_examples_is_an_error(
    quick: BenchmarkConfig, make_model: Any, context: StepContext, tmp_path: Path
) -> None:
    config = dataclasses.replace(quick, split="validation")
    with pytest.raises(BenchmarkError, match="'validation' has no examples"):
        run(config, [onnx_variant("base", make_model())], tmp_path / "work", context)


def test_a_sample_of_the_split_can_be_asked_for(
    quick: BenchmarkConfig, make_model: Any, context: StepContext, tmp_path: Path
) -> None:
    config = dataclasses.replace(quick, examples=7)
    course = run(config, [onnx_variant("base", make_model())], tmp_path / "work", context)
    assert course.result.output.environment["examples"] == 7


def test_files_are_compared_without_a_recipe(quick: BenchmarkConfig, make_model: Any) -> None:
    inputs = some_inputs()
    report = benchmark(
        {"old": make_model("old"), "new": make_model("new", noise=0.5)},
        samples={"x": inputs},
        labels=true_classes(inputs),
        config=quick,
    )
    frame = report.to_dataframe()
    assert list(frame.index) == ["old/onnx", "new/onnx"]
    assert frame.loc["old/onnx", "quality/accuracy"] == 1.0
    assert frame["latency/p50_ms"].gt(0).all()
    assert json.loads(report.to_json())["rows"][0]["metrics"]["quality/agreement"] == 1.0
    assert "new/onnx" in report.to_html()


def test_without_samples_only_speed_and_memory_are_measured(
    quick: BenchmarkConfig, make_model: Any
) -> None:
    path = make_model("twin")
    rows = benchmark([path, path], config=quick).rows
    assert [row.run_name for row in rows] == ["twin/onnx", "twin-2/onnx"]
    assert not [name for name in rows[0].metrics if name.startswith("quality/")]
    assert rows[0].notes[0].startswith("was timed with made-up inputs")


def test_labels_have_to_be_as_many_as_samples(quick: BenchmarkConfig, make_model: Any) -> None:
    with pytest.raises(ConfigError, match="do not belong together"):
        benchmark(make_model(), samples={"x": some_inputs(3)}, labels=[0], config=quick)


def test_a_full_disk_is_told_with_what_to_do(
    quick: BenchmarkConfig, make_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(stored_examples, "from_samples", full)
    with pytest.raises(BenchmarkError, match="no room") as caught:
        benchmark(make_model(), config=quick)
    assert "TMPDIR" in str(caught.value)


def test_one_batch_size_one_metric_and_one_array_are_taken_as_such(
    quick: BenchmarkConfig, make_model: Any
) -> None:
    inputs = some_inputs(6)
    (row,) = benchmark(
        make_model(),
        batch_sizes=2,
        samples=inputs.astype(np.float64),
        labels=true_classes(inputs),
        metrics="f1",
        config={"min_time_s": 0.01, "min_count": 3, "blocks": 1, "profile": False},
    ).rows
    assert row.metrics["quality/f1"] == 1.0
    assert "latency/p50_ms_b2" in row.metrics


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"labels": [0]}, "no samples that they belong to"),
        ({"metrics": "f1"}, "compare what a model gives with labels"),
        ({"samples": [{"z": [[0.0] * 4]}]}, "not those of the model's inputs"),
        ({"batch_sizes": "many"}, "`batch_sizes` can't be used"),
        ({"models": []}, "no model to measure"),
        ({"models": [3]}, "no model that can be used"),
    ],
)
def test_arguments_that_can_not_be_used_are_told(
    make_model: Any, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        benchmark(**{"models": make_model(), **wrong})


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' export
def test_a_live_model_and_a_saved_model_are_measured_beside_onnx(
    quick: BenchmarkConfig, make_model: Any, tmp_path: Path
) -> None:
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3)], name="live")
    model.export(tmp_path / "saved", verbose=False)
    models = [model, tmp_path / "saved", make_model()]
    live, saved, onnx = benchmark(models, samples=some_inputs(), config=quick).rows
    assert [row.failure for row in (live, saved, onnx)] == [None] * 3
    assert (live.run_name, live.path) == ("live/keras", None)  # as a file that is gone by now
    assert saved.metrics["quality/agreement"] == 1.0
    assert live.metrics["footprint/host_peak_mb"] > 300  # TensorFlow itself
    assert live.metrics["footprint/host_peak_above_baseline_mb"] < 300
    assert onnx.metrics["footprint/host_peak_mb"] < 300


@pytest.mark.gpu
def test_a_file_is_measured_on_a_real_gpu(quick: BenchmarkConfig, make_model: Any) -> None:
    (row,) = benchmark(make_model(), device="cuda:0", config=quick).rows
    assert row.metrics["footprint/gpu_peak_mb"] > 0
