from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_tfconv.artifacts import Registration, Reports, VariantReport
from mlflow_tfconv.engine.cards import Table
from mlflow_tfconv.engine.events import Event, RegisterModel, Tag
from mlflow_tfconv.engine.step import MetricSpec, StepContext
from mlflow_tfconv.errors import ConfigError, GateError
from mlflow_tfconv.steps.register.config import Criterion, RegisterConfig
from mlflow_tfconv.steps.register.step import RegisterStep

REPORTS = Reports(
    rows=tuple(
        VariantReport(
            run_name=name,
            metrics={"quality/accuracy": accuracy, "latency/p50_ms": latency},
            fingerprint=f"f-{name}",
        )
        for name, accuracy, latency in (
            ("base/keras", 0.98, 9.0),
            ("base/onnx", 0.98, 2.0),
            ("int8/onnx", 0.97, 1.0),
            ("tiny/onnx", 0.80, 0.5),
        )
    )
)
ACCURATE = (Criterion(metric="quality/accuracy", min=0.95),)


def run(tmp_path: Path, events: list[Event], **options: object) -> Registration:
    config = RegisterConfig(**{"model_name": "digits", **options})  # type: ignore[arg-type]
    result = RegisterStep(config).run(REPORTS, tmp_path, StepContext(emit=events.append))
    assert isinstance(result.card.parts[1], Table)
    return result.output


def test_the_fastest_of_those_that_pass_is_registered(tmp_path: Path) -> None:
    events: list[Event] = []
    chosen = run(tmp_path, events, validation_criteria=ACCURATE)
    assert chosen.run_name == "int8/onnx"
    assert chosen.verdicts["tiny/onnx"] == ("quality/accuracy 0.8 is below 0.95",)
    (request,) = [e for e in events if isinstance(e, RegisterModel)]
    assert (request.run, request.model_name, request.alias) == ("int8/onnx", "digits", "champion")
    assert request.tags["tfconv.fingerprint"] == "f-int8/onnx"
    assert "3 of 4" in request.description


def test_every_variant_s_run_gets_its_verdict(tmp_path: Path) -> None:
    events: list[Event] = []
    run(tmp_path, events, validation_criteria=ACCURATE)
    verdicts = {e.run: e.value for e in events if isinstance(e, Tag)}
    assert verdicts["base/onnx"] == "passed"
    assert verdicts["tiny/onnx"].startswith("missed: quality/accuracy")


def test_if_nobody_passes_the_error_says_what_each_missed(tmp_path: Path) -> None:
    events: list[Event] = []
    criteria = (Criterion(metric="quality/accuracy", min=0.99),)
    with pytest.raises(GateError) as caught:
        run(tmp_path, events, validation_criteria=criteria)
    assert "int8/onnx: quality/accuracy 0.97 is below 0.99" in str(caught.value)
    assert not [e for e in events if isinstance(e, RegisterModel)]


def test_a_model_that_did_not_pass_is_let_through_as_challenger_when_asked(tmp_path: Path) -> None:
    events: list[Event] = []
    criteria = (Criterion(metric="quality/accuracy", min=0.99),)
    chosen = run(tmp_path, events, validation_criteria=criteria, allow_non_validated_model=True)
    assert (chosen.run_name, chosen.alias) == ("tiny/onnx", "challenger")
    (request,) = [e for e in events if isinstance(e, RegisterModel)]
    assert request.tags["tfconv.validated"] == "false"


def test_only_the_formats_that_are_allowed_are_chosen(tmp_path: Path) -> None:
    assert run(tmp_path, [], formats=("keras",)).run_name == "base/keras"


def test_the_recipe_s_own_metric_brings_its_direction(tmp_path: Path) -> None:
    config = RegisterConfig(model_name="digits", choose="quality/accuracy")
    context = StepContext(metrics=(MetricSpec(name="accuracy", greater_is_better=False),))
    assert RegisterStep(config).run(REPORTS, tmp_path, context).output.run_name == "tiny/onnx"


def test_the_name_comes_from_the_profile_and_is_needed(tmp_path: Path) -> None:
    context = StepContext(settings={"model_name": "digits"})
    result = RegisterStep(RegisterConfig()).run(REPORTS, tmp_path, context)
    assert result.output.model_name == "digits"
    with pytest.raises(ConfigError, match="no name"):
        RegisterStep(RegisterConfig()).run(REPORTS, tmp_path)


def test_a_metric_nobody_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="latency/p50"):
        run(tmp_path, [], choose="latency/p50")


def test_a_criterion_needs_a_bound_that_can_be_met() -> None:
    with pytest.raises(ConfigError, match="no bound"):
        Criterion(metric="m")
    with pytest.raises(ConfigError, match="No value can pass"):
        Criterion(metric="m", min=2, max=1)
