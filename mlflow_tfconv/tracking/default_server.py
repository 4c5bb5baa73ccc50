"""MLflow's one default tracking server a process, set for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast


@contextmanager
def default_server(uri: str) -> Iterator[None]:
    """Sets what MLflow's fluent functions, and parts of its client, take as the server.

    The one before comes back afterwards.
    """
    import mlflow

    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    variable = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(cast(str, before))
        if variable is not None:
            os.environ["MLFLOW_TRACKING_URI"] = variable
