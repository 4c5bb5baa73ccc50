"""The way to the comparison in MLflow's UI."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

from mlflow_tfconv.tracking.destination import Destination
from mlflow_tfconv.tracking.server import (
    KIND_TAG,
    PARENT_TAG,
    SUPERSEDED_TAG,
    without_credentials,
)

#: Where `mlflow ui` listens unless it is told otherwise.
LOCAL_UI = "http://127.0.0.1:5000"


def comparison_link(
    destination: Destination,
    experiment_id: str,
    parent: str,
    *,
    metric: str = "latency/p50_ms",
    ascending: bool = True,
    kind: str = "variant",
    major: int | None = None,
) -> str:
    """A link that opens the children of a run flat, sorted by a metric, as charts.

    Args:
        destination: Where the runs are.
        experiment_id: The experiment's id there.
        parent: The parent run's id.
        metric: What to sort by; sorting by a metric is what turns the nesting off.
        ascending: Whether the smallest comes first.
        kind: "variant" or "trial": which of the children.
        major: MLflow's major version on the server; None takes that of this environment.
    """
    major = major or int(metadata.version("mlflow").partition(".")[0])
    query = {
        "searchFilter": f"tags.{PARENT_TAG} = '{parent}' and tags.`{SUPERSEDED_TAG}` = 'false' "
        f"and tags.`{KIND_TAG}` = '{kind}'",
        "orderByKey": f"metrics.`{metric}`",
        "orderByAsc": str(ascending).lower(),
        "compareRunsMode": "CHART",
    }
    if major >= 3:
        # Without it MLflow 3 opens the page for language models.
        query["workflowType"] = "machine_learning"
    text = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
    page = f"/experiments/{experiment_id}" + ("/runs" if major >= 3 else "")
    return f"{_ui(destination)}/#{page}?{text}"


def run_link(destination: Destination, experiment_id: str, run_id: str) -> str:
    """A link to the page of one run, the same in MLflow 2.22 and 3."""
    return f"{_ui(destination)}/#/experiments/{experiment_id}/runs/{run_id}"


def _ui(destination: Destination) -> str:
    uri = without_credentials(destination.tracking_uri) if destination.is_remote else LOCAL_UI
    return uri.rstrip("/")


def ui_command(destination: Destination) -> str | None:
    """The command that starts the UI, quoted for a shell; None where a server has one already."""
    if destination.is_remote:
        return None
    words = [*_mlflow(), "ui", "--backend-store-uri", destination.tracking_uri]
    if destination.registry_uri not in (None, destination.tracking_uri):
        words += ["--registry-store-uri", str(destination.registry_uri)]
    return shlex.join(words)


def _mlflow() -> list[str]:
    """How a shell finds the MLflow of this environment, be it activated or not."""
    beside = Path(sys.executable).with_name("mlflow")
    if not beside.is_file():
        return [sys.executable, "-m", "mlflow"]
    found = shutil.which("mlflow")
    if found is not None and Path(found).resolve() == beside.resolve():
        return ["mlflow"]
    near = Path(os.path.relpath(beside))
    # A word without a slash is looked for on the PATH.
    return [min((str(beside), f"./{near}" if near.parent == Path() else str(near)), key=len)]
