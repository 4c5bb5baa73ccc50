"""The step: all variants of a recipe."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from mlflow_tfconv.artifacts import ConvertedModel, Dataset, Variants
from mlflow_tfconv.engine.events import Metric, ModelFile, Progress, VariantRun
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.engine.step import StepContext, StepResult
from mlflow_tfconv.steps.compress.config import CompressConfig, PruneConfig, VariantConfig
from mlflow_tfconv.steps.compress.step import CompressStep

PRUNE = PruneConfig(sparsity=0.5, epochs=2, batch_size=16)
FP16 = VariantConfig(name="fp16", quantize="float16")
INT8 = VariantConfig(name="int8", quantize="static_int8")
PRUNED = VariantConfig(name="pruned50", prune=PRUNE)
PRUNED_INT8 = VariantConfig(name="pruned50-int8", prune=PRUNE, quantize="static_int8")

Run = Callable[..., tuple[StepResult, list[Any]]]


@pytest.fixture(scope="module")
def run(
    converted: ConvertedModel, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """Runs the step on the tiny network, with parts that are kept between runs."""
    parts = Parts(tmp_path_factory.mktemp("parts"))

    def run(*variants: VariantConfig, **surroundings: Any) -> tuple[StepResult, list[Any]]:
        events: list[Any] = []
        workdir = tmp_path_factory.mktemp("work")
        context = StepContext(
            **{"dataset": dataset, "parts": parts, "emit": events.append, **surroundings}
        )
        step = CompressStep(CompressConfig(variants=variants))
        return step.run(converted, workdir, context), events

    return run


@pytest.fixture(scope="module")
def all_four(run: Run) -> tuple[StepResult, list[Any]]:
    return run(FP16, INT8, PRUNED, PRUNED_INT8)


def by_name(result: StepResult) -> dict[str, Any]:
    assert isinstance(result.output, Variants)
    return {variant.run_name: variant for variant in result.output.variants}


def test_the_base_comes_first_and_the_variants_in_their_order(all_four: Any) -> None:
    assert list(by_name(all_four[0])) == [
        "base/keras",
        "base/onnx",
        "fp16/onnx",
        "int8/onnx",
        "pruned50/onnx",
        "pruned50-int8/onnx",
    ]


def test_each_variant_is_what_it_says(all_four: Any) -> None:
    found = by_name(all_four[0])
    assert found["fp16/onnx"].audit.weights_bytes.keys() >= {"float16"}
    assert found["int8/onnx"].audit.quantized_nodes == 4
    assert found["int8/onnx"].audit.float_nodes == {}
    assert found["pruned50/onnx"].audit.sparsity == 0.5
    assert found["pruned50-int8/onnx"].audit.sparsity >= 0.5


def test_variants_are_smaller_than_the_base(all_four: Any) -> None:
    found = by_name(all_four[0])
    size = {name: variant.audit.size_bytes for name, variant in found.items()}
    packed = {name: variant.audit.compressed_bytes for name, variant in found.items()}
    assert size["fp16/onnx"] < 0.6 * size["base/onnx"]
    assert size["int8/onnx"] < 0.5 * size["base/onnx"]
    assert packed["pruned50/onnx"] < 0.7 * packed["base/onnx"]


def test_variants_give_nearly_the_outputs_of_the_base(all_four: Any, images: Any) -> None:
    found = by_name(all_four[0])

    def predict(name: str) -> Any:
        session = onnxruntime.InferenceSession(
            str(found[name].path), providers=["CPUExecutionProvider"]
        )
        return session.run(None, {"image": images[0]})[0]

    base = predict("base/onnx")
    assert np.abs(predict("fp16/onnx") - base).max() < 0.01
    assert np.abs(predict("int8/onnx") - base).max() < 0.1
    assert (predict("pruned50-int8/onnx").argmax(1) == images[1]).mean() > 0.95


def test_a_pruned_variant_carries_the_verdict_on_its_own_export(all_four: Any) -> None:
    found = by_name(all_four[0])
    assert found["pruned50/onnx"].parity.passed
    assert found["pruned50/onnx"].parity.reference.is_file()
    assert found["pruned50-int8/onnx"].parity is None


def test_every_run_is_announced_before_anything_is_logged_to_it(all_four: Any) -> None:
    announced = {"base/keras", "base/onnx"}
    for event in all_four[1]:
        if isinstance(event, VariantRun):
            announced.add(event.run)
        elif isinstance(event, Metric | ModelFile):
            assert event.run in announced


def test_sizes_sparsity_parity_and_fine_tuning_are_logged(all_four: Any) -> None:
    metrics = {(e.run, e.name, e.step) for e in all_four[1] if isinstance(e, Metric)}
    for name in ("footprint/size_mb", "footprint/compressed_mb", "footprint/weights_mb"):
        assert {(run, name, 0) for run in by_name(all_four[0])} <= metrics
    assert ("pruned50/onnx", "parity/max_abs_error", 0) in metrics
    assert ("pruned50-int8/onnx", "training/finetune_loss", 1) in metrics
    assert ("pruned50/onnx", "training/finetune_accuracy", 0) in metrics


def test_progress_is_shown_for_variants_and_inside_fine_tuning(all_four: Any) -> None:
    progress = [event for event in all_four[1] if isinstance(event, Progress)]
    assert [p.done for p in progress if p.label == "compress"] == [0, 1, 2, 3, 4]
    tuning = [p for p in progress if p.label == "fine-tune pruned50"]
    assert (tuning[-1].done, tuning[-1].total) == (12, 12)


def test_files_of_a_result_lie_in_its_own_folder(all_four: Any) -> None:
    made = [v for v in by_name(all_four[0]).values() if v.name != "base"]
    assert all(v.path == made[0].path.parents[1] / v.name / "model.onnx" for v in made)
    assert not list(made[0].path.parents[1].rglob("facts.json"))


def test_the_card_shows_every_variant(all_four: Any) -> None:
    table = all_four[0].card.parts[0]
    assert [row[0] for row in table.rows] == list(by_name(all_four[0]))
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert "pruned50, pruned50-int8: fine-tuned for 2 epochs" in all_four[0].card.parts[1].text


def test_the_pruning_is_done_once_for_both_variants(all_four: Any) -> None:
    labels = {event.label for event in all_four[1] if isinstance(event, Progress)}
    assert labels == {"compress", "fine-tune pruned50"}


def test_a_variant_that_is_added_does_not_redo_the_others(
    all_four: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (made.append(Path(b)), replace(a, b)))
    result, events = run(
        FP16,
        INT8,
        PRUNED,
        PRUNED_INT8,
        VariantConfig(name="pruned50-fp16", prune=PRUNE, quantize="float16"),
    )
    assert len(made) == 1
    assert not any(isinstance(e, Progress) and "fine-tune" in e.label for e in events)
    before, after = by_name(all_four[0]), by_name(result)
    assert all(after[name].fingerprint == variant.fingerprint for name, variant in before.items())


def test_a_recipe_without_data_still_gets_what_needs_none(run: Run) -> None:
    result, _ = run(VariantConfig(name="fp16", quantize="float16"), dataset=None)
    assert by_name(result)["fp16/onnx"].audit is not None
