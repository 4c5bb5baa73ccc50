"""The worker as a person calls it: how it is used is told, and what is wrong in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlflow_tfconv.steps.benchmark.worker.__main__ import main
from mlflow_tfconv.steps.benchmark.worker.job import Job


@pytest.mark.parametrize("words", [[], ["-x"], ["job.json", "--commands"], ["job.json", "more"]])
def test_a_wrong_call_is_told_how_it_is_used(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert "JOB [--commands FILE]" in capsys.readouterr().err


def test_the_help_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert '{"command": "open"}' in capsys.readouterr().out


def test_a_job_needs_a_model_its_format_and_a_folder(tmp_path: Path) -> None:
    file, needed = tmp_path / "job.json", {"model": "m.onnx", "format": "onnx", "folder": "out"}
    file.write_text(json.dumps(needed), encoding="utf-8")
    assert Job.read(file) == Job(model="m.onnx", format="onnx", folder="out")


@pytest.mark.parametrize(
    ("job", "commands", "wrong"),
    [
        (None, "", "No such file"),
        ("{", "", "job.json can't be read"),
        ('{"model": "m.onnx"}', "", "'format'"),
        ('{"model": "m", "format": "onnx", "folder": "f"}', "open", "commands can't be read"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(
    tmp_path: Path, job: str | None, commands: str, wrong: str
) -> None:
    if job is not None:
        (tmp_path / "job.json").write_text(job, encoding="utf-8")
    (tmp_path / "commands").write_text(commands, encoding="utf-8")
    with pytest.raises(SystemExit, match=wrong):
        main([str(tmp_path / "job.json"), "--commands", str(tmp_path / "commands")])
