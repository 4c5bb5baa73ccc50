"""Loads Keras models with layers of this package: those that older Kerases had and today's has not.

MLflow names this module as the loader of such a model, and imports it where the model is used.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

#: The package under which they are registered, as it stands in a model's config.
_MARK = b"mlflow_tfconv>"


def has_layers_of_old(path: Path) -> bool:
    """Whether a `.keras` file needs layers of this package."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "config.json" in archive.namelist() and _MARK in archive.read("config.json")


def _load_pyfunc(path: str, **options: Any) -> Any:
    """What `mlflow.pyfunc.load_model` calls."""
    import mlflow.tensorflow

    import mlflow_tfconv.runtimes.layers_of_old.registered  # noqa: F401 (registers them with Keras)

    return mlflow.tensorflow._load_pyfunc(path, **options)
