"""What can be said of metrics before anything runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mlflow_tfconv.engine.step import MetricSpec
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.benchmark.statistics.metric_rules import check_metrics


def test_built_in_metrics_and_functions_with_a_direction_pass() -> None:
    own = MetricSpec(name="missed", function="missed", greater_is_better=False)
    check_metrics([MetricSpec(name="accuracy"), own])


def test_a_function_without_a_direction_is_told_what_to_write() -> None:
    words = r"whether more of it is better(.|\n)*function: missed, greater_is_better: true"
    with pytest.raises(ConfigError, match=words):
        check_metrics([MetricSpec(name="missed", function="missed")])


def test_a_misspelt_metric_is_told() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'accuracy'"):
        check_metrics([MetricSpec(name="acuracy")])


def test_the_rules_need_neither_numpy_nor_tensorflow() -> None:
    code = (
        "import sys, mlflow_tfconv.steps.benchmark.statistics.metric_rules; "
        "sys.exit(bool({'numpy', 'tensorflow', 'mlflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
