"""Steps without TensorFlow, for tests of the engine."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import Checkpoint, Dataset
from mlflow_tfconv.engine.cards import Card, Table
from mlflow_tfconv.engine.events import Metric, Progress
from mlflow_tfconv.engine.step import Step, StepContext, StepResult
from mlflow_tfconv.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteConfig:
    text: str = "words"
    read: str | None = None


class WriteStep(Step[WriteConfig]):
    """Writes a dataset of one file."""

    name = "ingest"
    config_class = WriteConfig
    user_code = ("steps/ingest.py",)
    libraries = ("rich",)

    def run(self, source: Any, workdir: Path, context: StepContext = StepContext()) -> StepResult:
        text = self.config.text
        if self.config.read:
            text = _read(self.config.read, context.recipe_root)
        (workdir / "manifest.json").write_text(text)
        context.emit(Metric(name="length", value=len(text)))
        dataset = Dataset(manifest=workdir / "manifest.json", digest=text, counts={"train": 1})
        return StepResult(output=dataset, card=Card(title=f"wrote {text}"))

    def inputs(self) -> tuple[Path, ...]:
        return ()


def _read(what: str, root: Path) -> str:
    """A file, all files of a pattern, or what a module of the recipe says."""
    if "*" in what:
        return "".join(file.read_text() for file in sorted(root.glob(what)))
    if "." not in what:
        sys.path.insert(0, str(root / "steps"))
        return importlib.import_module(what).TEXT
    return (root / what).read_text()


@dataclass(frozen=True, slots=True, kw_only=True)
class CountConfig:
    fail: str = ""
    upto: int = 3


class CountStep(Step[CountConfig]):
    """Counts in a file that survives a kill; fails in the ways that steps fail."""

    name = "train"
    config_class = CountConfig
    resumable = True

    def run(self, source: Any, workdir: Path, context: StepContext = StepContext()) -> StepResult:
        counter = workdir / "count"
        for n in range(int(counter.read_text()) if counter.exists() else 0, self.config.upto):
            context.emit(Progress(label="count", done=n, total=self.config.upto))
            counter.write_text(str(n + 1))
            context.emit(Metric(name="count", value=n, step=n))
            if n == 1:
                _fail(self.config.fail, context, workdir)
        card = Card(title="counted", parts=(Table(columns=("n",), rows=(("3",),)),))
        return StepResult(output=Checkpoint(path=counter), card=card)


def _fail(how: str, context: StepContext, workdir: Path) -> None:
    if how == "segfault":
        ctypes.string_at(0)
    if how == "kill-once" and not (workdir / "killed").exists():
        (workdir / "killed").touch()
        os.kill(os.getpid(), 9)
    if how == "kill":
        os.kill(os.getpid(), 9)
    if how == "exit":
        os._exit(3)
    if how == "sleep":
        time.sleep(60)
    if how == "nonsense":
        context.emit("a word")
    if how == "ours":
        raise DataError("the shard is cut", received="12 bytes", expected="16", fix="copy it again")
    if how == "theirs":
        from mlflow_tfconv.data.user_code import user_function

        user_function(context.recipe_root, "steps/train.py", "model_fn")(None)
