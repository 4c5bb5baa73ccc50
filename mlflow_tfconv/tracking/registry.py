"""Model versions of what the gate chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.engine.events import RegisterModel
from mlflow_tfconv.tracking.default_server import default_server
from mlflow_tfconv.tracking.server import RefusedError, Server, no_chatter


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """A version of a registered model.

    Attributes:
        name: The registered model.
        version: Its version.
        alias: The alias that was moved to it.
        run_name: The variant, `<variant>/<format>`.
        run_id: The variant's run.
        model_uri: The logged model that it was made from.
    """

    name: str
    version: str
    alias: str
    run_name: str
    run_id: str
    model_uri: str

    @property
    def uri(self) -> str:
        """What `mlflow.pyfunc.load_model` takes."""
        return f"models:/{self.name}/{self.version}"


def register(
    server: Server,
    request: RegisterModel,
    *,
    run_id: str,
    model: Mapping[str, Any],
    known: RegisteredVersion | None,
) -> RegisteredVersion:
    """Makes the model a version and moves the alias; a model that is one already keeps it.

    Args:
        server: Where.
        request: What the step `register` asked for.
        run_id: The child run of the chosen variant.
        model: The variant's logged model: `uri`, `model_id`.
        known: The version that came out of this parent run before, or None.
    """
    client = server.client
    _ensure_registered_model(server, request.model_name)
    version = _still_there(server, request, model, known)
    if version is None:
        version = _create_version(server, request, run_id, model)
    for name, value in request.tags.items():
        _tag(server, request.model_name, version, name, value)
    server.call(
        lambda: client.update_model_version(
            request.model_name, version, description=request.description
        )
    )
    server.call(
        lambda: client.set_registered_model_alias(request.model_name, request.alias, version)
    )
    return RegisteredVersion(
        name=request.model_name,
        version=version,
        alias=request.alias,
        run_name=request.run,
        run_id=run_id,
        model_uri=str(model["uri"]),
    )


def _tag(server: Server, model_name: str, version: str, name: str, value: str) -> None:
    server.call(lambda: server.client.set_model_version_tag(model_name, version, name, value))


def _ensure_registered_model(server: Server, name: str) -> None:
    try:
        server.call(lambda: server.client.get_registered_model(name))
    except RefusedError:
        server.call(lambda: server.client.create_registered_model(name))


def _still_there(
    server: Server,
    request: RegisterModel,
    model: Mapping[str, Any],
    known: RegisteredVersion | None,
) -> str | None:
    """The version of before, when it is of the same model and nobody deleted it."""
    if known is None or (known.name, known.model_uri) != (request.model_name, model["uri"]):
        return None
    try:
        found = server.call(lambda: server.client.get_model_version(known.name, known.version))
    except RefusedError:
        return None
    return str(found.version)


def _create_version(
    server: Server, request: RegisterModel, run_id: str, model: Mapping[str, Any]
) -> str:
    """A version that points at the logged model on MLflow 3, at the run's artifacts on 2.22."""
    more = {} if model["model_id"] is None else {"model_id": model["model_id"]}
    source = _source(server, run_id, model)
    # The registry looks for the logged model on the default server, whatever its client was told.
    with default_server(server.destination.tracking_uri), no_chatter():
        made = server.call(
            lambda: server.client.create_model_version(
                request.model_name,
                source,
                run_id=run_id,
                description=request.description,
                **more,
            )
        )
    return str(made.version)


def _source(server: Server, run_id: str, model: Mapping[str, Any]) -> str:
    """Where the model is, as `mlflow.register_model` writes it."""
    if model["model_id"] is not None:
        return str(model["uri"])
    artifacts = server.call(lambda: server.client.get_run(run_id)).info.artifact_uri
    return f"{artifacts}/{str(model['uri']).rpartition('/')[2]}"
