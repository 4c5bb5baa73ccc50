"""Recipes with a generator of their own."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.engine.events import Event
from mlflow_tfconv.engine.step import StepContext, StepResult
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.step import IngestStep

Ingest = Callable[..., StepResult]


@pytest.fixture
def events() -> list[Event]:
    """What the step said."""
    return []


@pytest.fixture
def ingest(tmp_path: Path, events: list[Event]) -> Iterator[Ingest]:
    """Runs the step on the code of a steps/ingest.py, into a new folder unless one is given."""
    path = list(sys.path)

    def run(
        code: str = "", *, root: Path | None = None, workdir: Path | None = None, **config: Any
    ) -> StepResult:
        number = len(list(tmp_path.glob("run-*")))
        home = root or tmp_path / f"recipe-{number}"
        workdir = workdir or tmp_path / f"run-{number}"
        workdir.mkdir(exist_ok=True)
        (home / "steps").mkdir(parents=True, exist_ok=True)
        if code:
            (home / "steps" / "ingest.py").write_text(textwrap.dedent(code))
        context = StepContext(recipe_root=home, emit=events.append)
        return IngestStep(IngestConfig(**config)).run(None, workdir, context)

    yield run
    sys.path[:] = path
    for name in [name for name in sys.modules if name.split(".")[0] == "steps"]:
        del sys.modules[name]
