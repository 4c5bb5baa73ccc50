"""MLflow 3 reports its use to its makers; a recipe's processes do not, unless the user says so."""

from __future__ import annotations

import os
import sys

SWITCH = "MLFLOW_DISABLE_TELEMETRY"


def switch_off() -> None:
    """Ends the reporting of this process, and of those it starts, where nothing else is said."""
    os.environ.setdefault(SWITCH, "true")
    if "mlflow.telemetry" in sys.modules:
        # MLflow has started it on import; asked again, it looks at the environment again.
        sys.modules["mlflow.telemetry"].set_telemetry_client()
