"""What the trained model is worth on the test split."""

from __future__ import annotations

from typing import Any

from mlflow_tfconv.engine.events import Metric
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.libraries import is_compiled
from mlflow_tfconv.steps.train.stream import evaluation_stream, on_device


def tested(model: Any, job: TrainingJob) -> dict[str, float]:
    """Metric name (`test_loss`, ...) to its value; empty without a test split, or without a loss."""
    if not job.counts.get("test") or not is_compiled(model):
        return {}
    batches = on_device(evaluation_stream(job, "test"), job)
    values = model.evaluate(batches, return_dict=True, verbose=0)
    test = {f"test_{name}": float(value) for name, value in values.items()}
    for name, value in test.items():
        job.emit(Metric(name=name, value=value))
    return test
