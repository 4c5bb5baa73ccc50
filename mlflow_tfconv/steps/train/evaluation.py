"""What the trained model is worth on the test split."""

from __future__ import annotations

from typing import Any

from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.engine.events import Metric
from mlflow_tfconv.steps.train.job import TrainingJob


def tested(model: Any, job: TrainingJob) -> dict[str, float]:
    """Metric name (`test_loss`, ...) to its value; empty without a test split."""
    if not job.counts.get("test"):
        return {}
    batches = read_dataset(job.manifest, "test", job.batch_size)
    values = model.evaluate(batches, return_dict=True, verbose=0)
    test = {f"test_{name}": float(value) for name, value in values.items()}
    for name, value in test.items():
        job.emit(Metric(name=name, value=value))
    return test
