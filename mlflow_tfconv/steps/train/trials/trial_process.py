"""Inside a trial's process: trains, and leaves the result in the trial's folder."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import Checkpoint, Dataset
from mlflow_tfconv.engine.atomic import write_text
from mlflow_tfconv.engine.codec import encode
from mlflow_tfconv.engine.digests import Digests, names_in
from mlflow_tfconv.engine.events import Event, Progress
from mlflow_tfconv.engine.guarded_child import Voice
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.engine.user_files import Opened, loaded_modules, watch_opened_files
from mlflow_tfconv.steps.train.batch_size_worker import host_peak_mb
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.one_training import forget_states, one_training

#: The files of a trial's folder that tell of it; paths in them are relative to the folder.
RESULT_FILE, EVENTS_FILE = "result.json", "events.jsonl"
_NO_LIMIT_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTask:
    """What a trial's process is told.

    Attributes:
        source: The examples.
        workdir: The trial's folder; empty, or what a killed process has left.
        context: The surroundings, without `emit`.
        config: How to train.
        private: Folders whose files are nobody's input.
    """

    source: Dataset
    workdir: Path
    context: StepContext
    config: TrainConfig
    private: tuple[Path, ...] = ()


def train_trial(task: TrialTask, voice: Voice) -> dict[str, Any]:
    """Trains; what it says goes to the search at once, and into a file to be said again.

    Returns:
        `host_peak_mb`.

    Raises:
        TfconvError: As `TrainStep.run`.
    """
    voice.phase("training", _NO_LIMIT_S)
    root = task.context.recipe_root or task.workdir
    opened = watch_opened_files(root, (task.workdir, *task.private))
    with (task.workdir / EVENTS_FILE).open("w", encoding="utf-8") as kept:

        def emit(event: Event) -> None:
            voice.emit(event)
            if not isinstance(event, Progress):
                kept.write(json.dumps(encode(event, task.workdir)) + "\n")
                kept.flush()

        context = dataclasses.replace(task.context, emit=emit, parts=None, own_process=True)
        training, card = one_training(task.source, task.workdir, context, task.config)
    peak = host_peak_mb()
    output = Checkpoint(path=training.path, history=training.history)
    result = {
        "output": encode(output, task.workdir),
        "card": encode(card, task.workdir),
        "best_epoch": training.best_epoch,
        "host_peak_mb": peak,
        **_seen(opened),
    }
    write_text(task.workdir / RESULT_FILE, json.dumps(result, indent=1))
    forget_states(task.workdir)
    return {"host_peak_mb": peak}


def _seen(opened: Opened) -> dict[str, Any]:
    """Digests of the user's files and folders that the training hangs on."""
    digests, scratch = Digests(), f"{tempfile.gettempdir()}/"
    files = {*opened.existing_files(), *loaded_modules()}
    # Libraries look through the folders of Python's path for what is installed.
    folders = opened.existing_folders() - set(sys.path)
    return {
        "opened": {p: digests.of(Path(p)) for p in sorted(files) if not p.startswith(scratch)},
        "listed": {p: names_in(Path(p)) for p in sorted(folders) if not p.startswith(scratch)},
    }
