from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.tracking.destination import Destination
from mlflow_tfconv.tracking.server import RefusedError, Server, UnreachableError

pytestmark = pytest.mark.mlflow


def server_at(uri: str) -> Server:
    environ = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_NAME": "digits"}
    return Server(Destination.resolve(Path("/recipe"), environ=environ))


def test_a_server_that_is_not_there_is_told_within_seconds() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nobody listens
        server = server_at(f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert server.client is not None
        began = time.monotonic()
        with pytest.raises(UnreachableError, match=r"can't be reached(.*\n)*.*MLFLOW_TRACKING_URI"):
            _ = server.experiment
    assert time.monotonic() - began < 15


def test_only_the_first_request_is_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "33")
    names = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT")
    server = server_at("http://127.0.0.1:9")

    def seen() -> list[Any]:
        return [os.environ.get(name) for name in names]

    assert server.call(seen) == ["2", "33"], "what the user has set stays"
    assert server.call(seen) == [None, "33"]


def test_a_server_that_refuses_has_answered() -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

    def refuse() -> None:
        raise MlflowException("no", error_code=RESOURCE_DOES_NOT_EXIST)

    server = server_at("http://127.0.0.1:9")
    with pytest.raises(RefusedError):
        server.call(refuse)
    assert server.call(lambda: os.environ.get("MLFLOW_HTTP_REQUEST_MAX_RETRIES")) is None


def test_mlflow_s_client_prints_no_links_between_our_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = server_at("http://127.0.0.1:9").client._tracking_client
    monkeypatch.setattr(client.store, "update_run_info", lambda *_, **__: None)
    client.set_terminated("abc")  # would ask the server for the run's name, and print it
    assert capsys.readouterr().out == ""
