from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import parse_qs

from mlflow_tfconv.tracking.destination import Destination
from mlflow_tfconv.tracking.links import comparison_link, ui_command


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


def test_the_command_survives_a_shell(tmp_path: Path) -> None:
    here = Destination.resolve(tmp_path / "my recipe", environ={})
    words = shlex.split(str(ui_command(here)))
    assert words == ["mlflow", "ui", "--backend-store-uri", here.tracking_uri]
