from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.engine.executor import Executor
from mlflow_tfconv.engine.jobs import JobServer
from mlflow_tfconv.engine.plan import Plan
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.engine.store import Store

sys.path.insert(0, str(Path(__file__).parent))  # the steps' process imports sample_steps by name

from sample_steps import CountConfig, CountStep, WriteConfig, WriteStep


class Ear:
    """Remembers what a run said."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.events: list[Any] = []
        self.cached: dict[str, bool] = {}
        self.reasons: dict[str, Any] = {}  # of each step, when it started last

    def step_started(self, step: str, why: Any) -> None:
        self.started.append(step)
        self.why = why
        self.reasons[step] = why

    def handle(self, step: str, event: Any) -> None:
        self.events.append(event)

    def step_done(self, result: Any, *, cached: bool) -> None:
        self.cached[result.step] = cached


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A recipe's folder, with a space and a letter beyond ASCII in its name."""
    folder = tmp_path / "my récipe"
    (folder / "steps").mkdir(parents=True)
    (folder / "steps" / "ingest.py").write_text("import words\n")
    (folder / "steps" / "words.py").write_text("WORDS = 1\n")
    (folder / "steps" / "train.py").write_text("def model_fn(spec):\n    return 1 / 0\n")
    return folder


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def run(root: Path, tmp_path: Path, ear: Ear) -> Callable[..., dict[str, Any]]:
    """Runs the two sample steps; keyword arguments are their configs' fields."""

    def run_recipe(listener: Any = None, verify: bool = False, **fields: Any) -> dict[str, Any]:
        write = {k: v for k, v in fields.items() if k in ("text", "read")}
        count = {k: v for k, v in fields.items() if k not in write}
        steps = (WriteStep(WriteConfig(**write)), CountStep(CountConfig(**count)))
        plan = Plan(root=root, profile="local", steps=steps, context=StepContext(recipe_root=root))
        with JobServer(tmp_path / "server.log", preload=()) as jobs:
            executor = Executor(
                plan=plan,
                store=Store(tmp_path / "state"),
                jobs=jobs,
                listener=listener or ear,
                environ=dict,
                before_work=lambda: None,
                verify=verify,
            )
            return executor.run(None)

    return run_recipe
