"""The way to the comparison in MLflow's UI."""

from __future__ import annotations

import shlex
from importlib import metadata
from urllib.parse import quote

from mlflow_tfconv.tracking.destination import Destination
from mlflow_tfconv.tracking.server import PARENT_TAG, SUPERSEDED_TAG, without_credentials

#: Where `mlflow ui` listens unless it is told otherwise.
LOCAL_UI = "http://127.0.0.1:5000"


def comparison_link(
    destination: Destination,
    experiment_id: str,
    parent: str,
    *,
    metric: str = "latency/p50_ms",
    ascending: bool = True,
    major: int | None = None,
) -> str:
    """A link that opens the children of a run flat, sorted by a metric, as charts.

    Args:
        destination: Where the runs are.
        experiment_id: The experiment's id there.
        parent: The parent run's id.
        metric: What to sort by; sorting by a metric is what turns the nesting off.
        ascending: Whether the smallest comes first.
        major: MLflow's major version on the server; None takes that of this environment.
    """
    major = major or int(metadata.version("mlflow").partition(".")[0])
    base = without_credentials(destination.tracking_uri) if destination.is_remote else LOCAL_UI
    query = {
        "searchFilter": f"tags.{PARENT_TAG} = '{parent}' and tags.`{SUPERSEDED_TAG}` = 'false'",
        "orderByKey": f"metrics.`{metric}`",
        "orderByAsc": str(ascending).lower(),
        "compareRunsMode": "CHART",
    }
    if major >= 3:
        # Without it MLflow 3 opens the page for language models.
        query["workflowType"] = "machine_learning"
    text = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
    page = f"/experiments/{experiment_id}" + ("/runs" if major >= 3 else "")
    return f"{base.rstrip('/')}/#{page}?{text}"


def ui_command(destination: Destination) -> str | None:
    """The command that starts the UI, quoted for a shell; None where a server has one already."""
    if destination.is_remote:
        return None
    words = ["mlflow", "ui", "--backend-store-uri", destination.tracking_uri]
    if destination.registry_uri not in (None, destination.tracking_uri):
        words += ["--registry-store-uri", str(destination.registry_uri)]
    return shlex.join(words)
