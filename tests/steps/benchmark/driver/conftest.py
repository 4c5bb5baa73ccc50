"""A bench on a temporary folder, and workers that misbehave on command."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.bench import Bench

#: Runs a line of Python before each answer, with `said`, `opened` and `name` (of the model).
_MISBEHAVING = """
import json, os, signal, sys, time
from pathlib import Path
from mlflow_tfconv.steps.benchmark.worker import __main__ as worker, conversation
own = conversation.answered
def answered(opened, said):
    name = Path(opened.job.model).stem
    {line}
    return own(opened, said)
conversation.answered = answered
worker.main(sys.argv[1:])
"""


@pytest.fixture
def make_bench(tmp_path: Path, quick: BenchmarkConfig) -> Callable[..., Bench]:
    """A bench that keeps what it measures, without the usual stages."""

    settings = {field.name for field in dataclasses.fields(BenchmarkConfig)}

    def make(**changes: Any) -> Bench:
        own = {name: changes.pop(name) for name in settings & set(changes)}
        usual: dict[str, Any] = {
            "config": dataclasses.replace(quick, **own),
            "device": Device(),
            "parts": Parts(tmp_path / "parts"),
            "examples": None,
            "workdir": tmp_path / "work" / str(len(list(tmp_path.glob("work/*")))),
            "stages": (),
        }
        bench = Bench(**{**usual, **changes})
        bench.workdir.mkdir(parents=True)
        return bench

    return make


@pytest.fixture
def misbehaving(tmp_path: Path) -> Callable[[str], tuple[str, ...]]:
    """What starts a worker that runs a line of Python before each answer."""

    def make(line: str) -> tuple[str, ...]:
        script = tmp_path / "misbehaving.py"
        script.write_text(_MISBEHAVING.replace("{line}", line))
        return (sys.executable, str(script))

    return make


@pytest.fixture
def variants(make_model: Any) -> Callable[..., list[Variant]]:
    """One ONNX variant for each name, all of different content."""

    def make(*names: str) -> list[Variant]:
        return [
            Variant(name=name, format="onnx", path=make_model(name), fingerprint=f"of {name}")
            for name in names
        ]

    return make
