"""Inside a step's process: runs the step, passes on what it says, writes down its result."""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import pickle
import sys
import textwrap
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from mlflow_tfconv.artifacts import NOUN_OF_STEP, NOUNS
from mlflow_tfconv.engine.atomic import write_text
from mlflow_tfconv.engine.codec import encode
from mlflow_tfconv.engine.events import EVENTS, Event, Progress
from mlflow_tfconv.engine.step import Step, StepContext, StepResult
from mlflow_tfconv.engine.store import EVENTS_FILE, RESULT_FILE
from mlflow_tfconv.engine.user_files import (
    Opened,
    is_installed,
    loaded_modules,
    watch_opened_files,
)
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
            pipe.write(json.dumps({FAILURE: describe(error, root)}) + "\n")
            with suppress(OSError, ValueError):  # a full disk, or a stream that the user has closed
                traceback.print_exc()
            sys.exit(1)


def _run(job: StepJob, root: Path, pipe: TextIO) -> None:
    (job.workdir / RESULT_FILE).unlink(missing_ok=True)  # of a run that was killed at its end
    opened = watch_opened_files(root, (job.store, *job.private))
    with (job.workdir / EVENTS_FILE).open("a") as kept:
        if kept.tell():
            kept.write("\n")  # the last line of a killed run may be cut
        result = job.step.run(job.source, job.workdir, _speaking(job, pipe, kept))
        _check_result(job, result)
        _write_result(job, result, opened)


def _speaking(job: StepJob, pipe: TextIO, kept: TextIO) -> StepContext:
    """The context whose `emit` writes to the driver at once and, but for progress, to the file."""
    at_a_time = threading.Lock()

    def emit(event: Event) -> None:
        if type(event).__name__ not in EVENTS:
            raise StepError(
                "A step said something that is no event.",
                received=repr(event),
                expected=f"one of {', '.join(EVENTS)}, from mlflow_tfconv.engine.events",
            )
        line = json.dumps(encode(event, job.workdir, job.store)) + "\n"
        with at_a_time:
            pipe.write(line)
            if not isinstance(event, Progress):
                kept.write(line)
                kept.flush()

    return dataclasses.replace(job.context, emit=emit, own_process=True)


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
    gone = [path for path in _paths_in(output) if not _is_there(path)]
    if gone:
        raise StepError(
            f"{kind}.run names a file that it has not written.",
            received=gone[0],
            expected="paths that exist, in the folder `workdir` or in what came before",
        )


def _is_there(path: Path) -> bool:
    """Whether it is a file, a folder, or the prefix of a checkpoint's files."""
    return path.exists() or any(path.parent.glob(f"{glob.escape(path.name)}.*"))


def _paths_in(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Mapping):
        yield from (path for item in value.values() for path in _paths_in(item))
    elif isinstance(value, list | tuple):
        yield from (path for item in value for path in _paths_in(item))
    elif dataclasses.is_dataclass(value):
        yield from _paths_in([getattr(value, f.name) for f in dataclasses.fields(value)])


def _write_result(job: StepJob, result: StepResult, opened: Opened) -> None:
    data = {
        "output": encode(result.output, job.workdir, job.store),
        "card": encode(result.card, job.workdir, job.store),
        "opened": sorted({*opened.existing_files(), *loaded_modules()}),
        "listed": sorted(opened.existing_folders()),
    }
    write_text(job.workdir / RESULT_FILE, json.dumps(data, indent=1))


def describe(error: BaseException, root: Path) -> dict[str, Any]:
    """An exception as plain values: its parts, and the last line of the user's own code in it."""
    frame = _frame_of(error, root)
    if not isinstance(error, TfconvError):
        return {"kind": None, "parts": {"what": _in_words(error)}, "frame": frame}
    parts: dict[str, Any] = {
        "what": error.what,
        "received": error.received,
        "expected": error.expected,
        "fix": error.fix,
    }
    report = getattr(error, "report", None)
    if type(report).__name__ in NOUNS:
        parts["report"] = encode(report, root)
    return {"kind": type(error).__name__, "parts": parts, "frame": frame}


def _in_words(error: BaseException) -> str:
    """`ValueError: ...`, and of a group all that is in it."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    text = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, BaseExceptionGroup):
        inner = "\n".join(_in_words(one) for one in error.exceptions)
        return f"{text}\n{textwrap.indent(inner, '  ')}"
    return text


def _frame_of(error: BaseException, root: Path) -> dict[str, Any] | None:
    """Where in the user's code it happened: in the error itself, or in what it came from."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        frames = [f for f in _frames(one) if _is_users(Path(f.filename), root)]
        if frames:
            return _plain_frame(frames[-1], root)
        waiting += [one.__cause__, one.__context__]
        waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
    return None


def _frames(error: BaseException) -> Iterator[traceback.FrameSummary]:
    """The frames of a traceback, and what only the exception itself tells of places."""
    yield from traceback.extract_tb(error.__traceback__)
    # TensorFlow runs a translation of the user's functions, and keeps the lines of the original.
    translated = getattr(getattr(error, "ag_error_metadata", None), "translated_stack", ())
    for one in reversed(translated):
        yield traceback.FrameSummary(one.filename, one.lineno, one.function_name, line=one.code)
    if isinstance(error, SyntaxError) and error.filename:
        yield traceback.FrameSummary(
            error.filename, error.lineno, "<module>", lookup_line=False, line=error.text or ""
        )


def _plain_frame(frame: traceback.FrameSummary, root: Path) -> dict[str, Any]:
    name = Path(frame.filename)
    shown = name.relative_to(root) if name.is_relative_to(root) else name
    code = (frame.line or "").strip()
    return {"file": str(shown), "line": frame.lineno, "function": frame.name, "code": code}


def _is_users(file: Path, root: Path) -> bool:
    if file.suffix != ".py" or file.name.startswith("__autograph_generated_file"):
        return False
    inside = file.is_relative_to(root) or file.is_absolute()
    return inside and not is_installed(file)
