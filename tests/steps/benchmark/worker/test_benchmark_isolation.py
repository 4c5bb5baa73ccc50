"""Where only numpy and onnxruntime are installed, the worker obeys every command there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlflow_tfconv
from mlflow_tfconv.steps.benchmark.examples import store_batch
from mlflow_tfconv.steps.benchmark.worker.commands import COMMANDS
from mlflow_tfconv.steps.benchmark.worker.job import Job

#: Runs the worker where nothing but these can be imported, and prints what was.
_RUN_BARE = """
import importlib.abc, json, sys

class Bare(importlib.abc.MetaPathFinder):
    known = {"numpy", "onnxruntime", "mlflow_tfconv", "cython_runtime", *sys.stdlib_module_names}

    def find_spec(self, name, path=None, target=None):
        standard = name.startswith("_sysconfigdata")  # the library's own, with a name for each system
        if name.partition(".")[0] not in self.known and not standard:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Bare())
from mlflow_tfconv.steps.benchmark.worker.__main__ import main
code = main(sys.argv[1:])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
sys.exit(code)
"""
_HEAVY = {"tensorflow", "keras", "mlflow", "onnx", "pandas", "pyarrow", "pydantic", "psutil"}
_OF_A_GPU = {"energy"}
_SHORT = {"min_time_s": 0.02, "min_count": 2, "time_limit_s": 1.0}
_UNTIMED = {"warmup_time_s": 0.0, "warmup_limit_s": 0.0}
#: Command to arguments with which it is quick.
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "prove": {},
    "open": {},
    "predict": {},
    "time": {"batch_size": 2, "turn": 0, "min_time_s": 0.01, "min_count": 3, **_UNTIMED},
    "bound": {"min_time_s": 0.01, "min_count": 3, **_UNTIMED},
    "offline": {"batch_sizes": [1, 2], **_SHORT},
    "server": {"min_time_s": 0.02, "time_limit_s": 0.5},
    "concurrent": {"counts": [1, 2], **_SHORT},
}


@pytest.fixture
def job(tmp_path: Path, make_model: Any) -> Path:
    examples, folder = tmp_path / "examples", tmp_path / "work"
    examples.mkdir()
    folder.mkdir()
    store_batch(examples, 0, {"x": np.ones((3, 4), np.float32)})
    told = {"model": str(make_model()), "format": "onnx", "folder": str(folder)}
    Job(**told, examples=str(examples), batch_sizes=(1, 2)).write(tmp_path / "job.json")
    return tmp_path / "job.json"


def commands_file(folder: Path) -> Path:
    first = ("prove", "open")
    names = [*first, *sorted(set(COMMANDS) - {*first, *_OF_A_GPU})]
    lines = [json.dumps({"command": name, **_ARGUMENTS.get(name, {})}) for name in names]
    file = folder / "commands.jsonl"
    file.write_text("\n".join(lines))
    return file


def test_every_command_is_obeyed_with_numpy_and_onnxruntime_alone(
    job: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _RUN_BARE, job, "--commands", commands_file(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(mlflow_tfconv.__file__).parents[1]), "PATH": os.defpath},
    )
    answers = json.loads((tmp_path / "work" / "result.json").read_text())["answers"]
    failed = {a["command"]: a["error"]["what"] for a in answers if "error" in a}
    assert failed == {"estimate": "The memory can't be estimated without the package onnx."}
    assert {answer["command"] for answer in answers} == set(COMMANDS) - _OF_A_GPU
    assert not set(json.loads(done.stdout.splitlines()[-1])) & _HEAVY
