"""Where results are logged: the profile's word, and the environment's over it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow_tfconv.errors import ConfigError

_SQLITE = "sqlite:///"
_DEFAULT_URI = "sqlite:///metadata/mlflow.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A tracking server or file, and a place on it.

    Attributes:
        tracking_uri: What MLflow takes; paths in it are absolute.
        experiment_name: The experiment; made when it is first needed.
        experiment_id: The experiment's id when the environment names it so, else None.
        artifact_location: Where a new experiment keeps its artifacts; None lets the server choose.
        registry_uri: The model registry, or None where it is the tracking server.
        run_id: A run that the environment says to log into, or None.
    """

    tracking_uri: str
    experiment_name: str
    experiment_id: str | None = None
    artifact_location: str | None = None
    registry_uri: str | None = None
    run_id: str | None = None

    @classmethod
    def resolve(
        cls,
        root: Path,
        *,
        experiment: Mapping[str, Any] | None = None,
        model_registry: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Destination:
        """The destination of a recipe.

        MLFLOW_TRACKING_URI, MLFLOW_REGISTRY_URI, MLFLOW_EXPERIMENT_NAME, MLFLOW_EXPERIMENT_ID and
        MLFLOW_RUN_ID win over the profile. Without a word from either it is an SQLite file in the
        recipe's folder, which both majors of MLflow can write, and an experiment named after it.

        Args:
            root: The recipe's folder; relative paths start there.
            experiment: The profile's `experiment`: name, tracking_uri, artifact_location.
            model_registry: The profile's `model_registry`: uri.
            environ: Environment variables; None takes those of the process.

        Raises:
            ConfigError: The folder's name can't be part of an SQLite URI.
        """
        experiment, env = experiment or {}, os.environ if environ is None else environ
        own_uri = _absolute_uri(experiment.get("tracking_uri") or _DEFAULT_URI, root)
        uri = _absolute_uri(env.get("MLFLOW_TRACKING_URI") or own_uri, root)
        # A path of the profile means nothing to a server that the profile does not know.
        location = experiment.get("artifact_location") if uri == own_uri else None
        registry = env.get("MLFLOW_REGISTRY_URI") or (model_registry or {}).get("uri")
        experiment_name = env.get("MLFLOW_EXPERIMENT_NAME")
        return cls(
            tracking_uri=uri,
            experiment_name=experiment_name or experiment.get("name") or root.name,
            experiment_id=None if experiment_name else env.get("MLFLOW_EXPERIMENT_ID"),
            artifact_location=_absolute_location(location, root) or _beside_database(uri),
            registry_uri=_absolute_uri(registry, root) if registry else None,
            run_id=env.get("MLFLOW_RUN_ID"),
        )

    @property
    def key(self) -> str:
        """Names where results are logged, without credentials."""
        parts = (self.tracking_uri, self.experiment_id or self.experiment_name)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def is_remote(self) -> bool:
        """Whether a server is spoken to over the network."""
        return urlsplit(self.tracking_uri).scheme in {"http", "https", "databricks"}

    @property
    def database(self) -> Path | None:
        """The SQLite file, or None."""
        return _database(self.tracking_uri)

    def make_folders(self) -> None:
        """Makes what has to exist before MLflow writes there."""
        for uri in (self.tracking_uri, self.registry_uri or ""):
            file = _database(uri)
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)


def _database(uri: str) -> Path | None:
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def _absolute_uri(uri: str, root: Path) -> str:
    """SQLite files and plain folders below the recipe's folder; everything else as it is."""
    if uri.startswith(_SQLITE):
        if "?" in str(root):
            raise ConfigError(
                "An SQLite file can't be named in a folder with a question mark in its name.",
                received=root,
                fix="Rename the folder, or set experiment.tracking_uri to a tracking server.",
            )
        return f"{_SQLITE}{root / uri.removeprefix(_SQLITE)}"
    if "://" in uri or uri.startswith("file:") or uri in {"databricks", "databricks-uc"}:
        return uri
    return (root / uri).resolve().as_uri()


def _absolute_location(location: str | None, root: Path) -> str | None:
    if not location or "://" in location or location.startswith(("file:", "mlflow-artifacts:")):
        return location or None
    return (root / location).resolve().as_uri()


def _beside_database(uri: str) -> str | None:
    """MLflow's own default is a folder of the current directory, wherever that happens to be."""
    file = _database(uri)
    return None if file is None else (file.parent / "artifacts").resolve().as_uri()
