"""Inside a step's process: runs the step, passes on what it says, writes down its result."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from mlflow_tfconv.artifacts import NOUN_OF_STEP
from mlflow_tfconv.engine.atomic import write_text
from mlflow_tfconv.engine.codec import encode
from mlflow_tfconv.engine.events import Event, Progress
from mlflow_tfconv.engine.step import Step, StepContext, StepResult
from mlflow_tfconv.engine.store import EVENTS_FILE, RESULT_FILE
from mlflow_tfconv.engine.user_files import is_installed, watch_opened_files
from mlflow_tfconv.errors import StepError, TfconvError

FAILURE = "$failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepJob:
    """What a step's process is told; travels as a pickle, so the context's `emit` is not in it.

    Attributes:
        step: The step with its config.
        source: The noun of the step before.
        workdir: The folder to write into.
        store: The store of results, for paths that point into it.
        context: The surroundings.
        private: Folders whose files are nobody's input, such as the tracking store.
    """

    step: Step[Any]
    source: Any
    workdir: Path
    store: Path
    context: StepContext
    private: tuple[Path, ...] = ()


def run_step(job_file: str, events: int) -> None:
    """Runs the pickled `StepJob`; a failure is told as the last event and ends with status 1."""
    with os.fdopen(events, "w", buffering=1) as pipe:
        root = Path.cwd()
        try:
            # Our own, from the driver; the modules of a user's own step are imported by it.
            job: StepJob = pickle.loads(Path(job_file).read_bytes())  # noqa: S301
            root = job.context.recipe_root or job.workdir
            _run(job, root, pipe)
        except BaseException as error:  # noqa: BLE001 (whatever it is, the driver has to hear of it)
            traceback.print_exc()
            pipe.write(json.dumps({FAILURE: describe(error, root)}) + "\n")
            sys.exit(1)


def _run(job: StepJob, root: Path, pipe: TextIO) -> None:
    opened = watch_opened_files(root, (job.store, *job.private))
    with (job.workdir / EVENTS_FILE).open("a") as kept:
        result = job.step.run(job.source, job.workdir, _speaking(job, pipe, kept))
        _check_result(job, result)
        _write_result(job, result, opened)


def _speaking(job: StepJob, pipe: TextIO, kept: TextIO) -> StepContext:
    """The context whose `emit` writes to the driver at once and, but for progress, to the file."""

    def emit(event: Event) -> None:
        line = json.dumps(encode(event, job.workdir, job.store)) + "\n"
        pipe.write(line)
        if not isinstance(event, Progress):
            kept.write(line)
            kept.flush()

    return dataclasses.replace(job.context, emit=emit)


def _check_result(job: StepJob, result: Any) -> None:
    """What a step promises: a StepResult with the noun of its name, whose files are there."""
    kind, wanted = type(job.step).__qualname__, NOUN_OF_STEP.get(job.step.name)
    output = result.output if isinstance(result, StepResult) else None
    if output is None or (wanted is not None and not isinstance(output, wanted)):
        raise StepError(
            f"{kind}.run gave something that the recipe can't go on with.",
            received=type(result if output is None else output).__name__,
            expected=f"StepResult(output={wanted.__name__ if wanted else ''}(...), card=Card(...))",
        )
    gone = [path for path in _paths_in(output) if not path.exists()]
    if gone:
        raise StepError(
            f"{kind}.run names a file that it has not written.",
            received=gone[0],
            expected="paths that exist, in the folder `workdir` or in what came before",
        )


def _paths_in(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Mapping):
        yield from (path for item in value.values() for path in _paths_in(item))
    elif isinstance(value, list | tuple):
        yield from (path for item in value for path in _paths_in(item))
    elif dataclasses.is_dataclass(value):
        yield from _paths_in([getattr(value, f.name) for f in dataclasses.fields(value)])


def _write_result(job: StepJob, result: StepResult, opened: Iterable[str]) -> None:
    data = {
        "output": encode(result.output, job.workdir, job.store),
        "card": encode(result.card, job.workdir, job.store),
        "opened": {path: None for path in sorted(opened) if _is_input(Path(path))},
    }
    write_text(job.workdir / RESULT_FILE, json.dumps(data, indent=1))


def _is_input(path: Path) -> bool:
    """Whether a file that was opened belongs to the user, and is still there."""
    return path.is_file() and not is_installed(path)


def describe(error: BaseException, root: Path) -> dict[str, Any]:
    """An exception as plain values: its parts, and the last line of the user's own code in it."""
    frame = _user_frame(error.__traceback__, root)
    if isinstance(error, TfconvError):
        parts = {
            "what": error.what,
            "received": error.received,
            "expected": error.expected,
            "fix": error.fix,
        }
        return {"kind": type(error).__name__, "parts": parts, "frame": frame}
    text = "".join(traceback.format_exception_only(error)).strip()
    return {"kind": None, "parts": {"what": text}, "frame": frame}


def _user_frame(trace: TracebackType | None, root: Path) -> dict[str, Any] | None:
    """The innermost frame in a file of the user's."""
    frames = [f for f in traceback.extract_tb(trace) if f.filename.endswith(".py")]
    ours = [f for f in frames if _is_users(Path(f.filename), root)]
    if not ours:
        return None
    last = ours[-1]
    name = Path(last.filename)
    shown = name.relative_to(root) if name.is_relative_to(root) else name
    return {"file": str(shown), "line": last.lineno, "function": last.name, "code": last.line}


def _is_users(file: Path, root: Path) -> bool:
    return file.is_relative_to(root) or (file.is_absolute() and not is_installed(file))
