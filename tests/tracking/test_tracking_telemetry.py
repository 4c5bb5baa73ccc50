from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.mlflow


@pytest.mark.parametrize(("said", "reports"), [(None, "None"), ("false", "TelemetryClient")])
def test_a_recipes_process_reports_nothing_unless_the_user_wants_it(said, reports):
    pytest.importorskip("mlflow.telemetry")
    code = (
        "import mlflow, mlflow_tfconv.tracking.telemetry as t; t.switch_off()\n"
        "print(type(mlflow.telemetry.get_telemetry_client()).__name__)"
    )
    # MLflow reports nothing in tests and in CI anyway: here it must not know where it is.
    known = ("CI", "PYTEST_", "MLFLOW_", "GITHUB_", "TF_BUILD")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(known)}
    environ |= {} if said is None else {"MLFLOW_DISABLE_TELEMETRY": said}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip().replace("NoneType", "None") == reports
