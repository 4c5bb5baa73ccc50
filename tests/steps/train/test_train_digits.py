from __future__ import annotations

import dataclasses
from pathlib import Path

from mlflow_tfconv.config.recipe_config import read_recipe
from mlflow_tfconv.engine.events import Metric
from mlflow_tfconv.engine.step import StepContext

DIGITS = Path(__file__).parents[3] / "recipes" / "digits"


def test_the_digits_recipe_reaches_its_accuracy_on_the_real_digits(tmp_path: Path) -> None:
    plan = read_recipe(DIGITS, "local").plan
    ingest, train = plan.steps[:2]
    events: list[object] = []
    context: StepContext = dataclasses.replace(plan.context, emit=events.append)
    (tmp_path / "ingest").mkdir()
    (tmp_path / "train").mkdir()
    dataset = ingest.run(None, tmp_path / "ingest", context).output
    train.run(dataset, tmp_path / "train", context)
    values = {event.name: event.value for event in events if isinstance(event, Metric)}
    assert values["test_accuracy"] >= 0.97
