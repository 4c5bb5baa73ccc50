from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from mlflow_tfconv.tracking.destination import Destination
from mlflow_tfconv.tracking.links import comparison_link, run_link, ui_command


def test_the_link_opens_children_flat_sorted_as_charts(tmp_path: Path) -> None:
    here = Destination.resolve(tmp_path, environ={})
    link = comparison_link(here, "7", "abc", metric="latency/p50_ms", major=3)
    page, _, query = link.partition("?")
    assert page == "http://127.0.0.1:5000/#/experiments/7/runs"
    fields = parse_qs(query)
    assert fields["searchFilter"][0].startswith("tags.mlflow.parentRunId = 'abc'")
    assert fields["orderByKey"] == ["metrics.`latency/p50_ms`"]
    assert fields["workflowType"] == ["machine_learning"]


def test_the_link_of_mlflow_2_has_its_own_page(tmp_path: Path) -> None:
    link = comparison_link(Destination.resolve(tmp_path, environ={}), "7", "abc", major=2)
    assert link.startswith("http://127.0.0.1:5000/#/experiments/7?")
    assert "workflowType" not in link


def test_a_server_s_link_carries_no_password(tmp_path: Path) -> None:
    environ = {"MLFLOW_TRACKING_URI": "https://me:secret@host/"}
    there = Destination.resolve(tmp_path, environ=environ)
    assert comparison_link(there, "7", "abc").startswith("https://host/#/experiments/7")
    assert ui_command(there) is None


def test_a_run_has_a_page_of_its_own(tmp_path: Path) -> None:
    environ = {"MLFLOW_TRACKING_URI": "https://me:secret@host/"}
    there = Destination.resolve(tmp_path, environ=environ)
    assert run_link(there, "7", "abc") == "https://host/#/experiments/7/runs/abc"


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of programs of an environment with MLflow that is not activated."""
    folder = tmp_path / "venv/bin"
    executable(folder / "mlflow")
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    return folder


def command(folder: Path) -> str:
    return shlex.split(str(ui_command(Destination.resolve(folder, environ={}))))[0]


def test_the_command_is_found_where_the_environment_is_not_activated(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(tmp_path) == "venv/bin/mlflow"
    executable(tmp_path / "other/mlflow")
    assert command(tmp_path) == "venv/bin/mlflow"
    monkeypatch.chdir(environment)
    assert command(tmp_path) == "./mlflow"
    (environment / "mlflow").unlink()
    assert command(tmp_path) == str(environment / "python")


def test_an_activated_environment_needs_no_path(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(environment), "/usr/bin"]))
    assert command(tmp_path) == "mlflow"


def test_the_command_survives_a_shell(environment: Path, tmp_path: Path) -> None:
    here = Destination.resolve(tmp_path / "my recipe", environ={})
    words = shlex.split(str(ui_command(here)))
    assert words[1:] == ["ui", "--backend-store-uri", here.tracking_uri]
