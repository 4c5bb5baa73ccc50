"""Processes that read and write side by side.

Each is a fresh Python that imports no TensorFlow. It takes tasks as lines of JSON and answers with
such lines; what it makes lies in the work folder. It ends when this process does, however that ends.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import mlflow_tfconv.errors as errors
from mlflow_tfconv.engine.child import FAILURE
from mlflow_tfconv.engine.failures import how_it_ended
from mlflow_tfconv.engine.guarded import end_group
from mlflow_tfconv.engine.jobs import JobEnd, memory_deaths
from mlflow_tfconv.environment import DEFAULTS
from mlflow_tfconv.steps.ingest.reading_job import ReadingJob
from mlflow_tfconv.steps.ingest.tasks import Task, Tasks

_HOME = Path(__file__).parents[3]
_RUN = """\
import sys
home = sys.argv.pop(1)
if home not in sys.path:
    sys.path.append(home)
from mlflow_tfconv.steps.ingest.writer_process import main
main()
"""


class WriterProcesses:
    """Does tasks in processes, which are started when they are first needed.

    Used as a context manager; leaving it ends them all.
    """

    def __init__(self, job: ReadingJob) -> None:
        self._job = job
        self._writers: list[_Writer] = []
        self._memory_deaths = memory_deaths()

    def do(self, tasks: Tasks, number: int) -> None:
        """All tasks, so many at a time; they are handed out in order and may end in any.

        Raises:
            TfconvError: A task raised it; an exception of the user's code becomes a UserCodeError.
            StepCrashedError: A process died.
        """
        poll = select.poll()  # not select(), which can't take high descriptors
        while self._hand_out(tasks, number, poll):
            for descriptor, _ in poll.poll():
                writer = next(w for w in self._writers if w.reader == descriptor)
                for said in writer.hear():
                    self._hear(writer, said, tasks)
                if writer.gone:
                    raise self._crashed(writer, tasks)

    def _hand_out(self, tasks: Tasks, number: int, poll: select.poll) -> bool:
        """Keeps so many busy; False when nothing is under way any more."""
        while sum(writer.task is not None for writer in self._writers) < number:
            task = tasks.next()
            if task is None:
                break
            idle = [writer for writer in self._writers if writer.task is None]
            if not idle:
                idle = [_Writer(self._job)]
                self._writers += idle
            idle[0].start(task)
        for writer in self._writers:
            poll.register(writer.reader, select.POLLIN)
        return any(writer.task is not None for writer in self._writers)

    def _hear(self, writer: _Writer, said: Mapping[str, Any], tasks: Tasks) -> None:
        task = writer.task
        if task is None:
            return
        if "opened" in said:
            _audit(said["opened"], said["listed"])
        elif FAILURE in said:
            raise _raised(said[FAILURE], tasks.name(task))
        elif "done" in said:
            writer.task = None
            tasks.done(task)
        else:
            tasks.hear(task, said)

    def _crashed(self, writer: _Writer, tasks: Tasks) -> errors.StepCrashedError:
        status = writer.process.wait()
        end = JobEnd(
            exit_code=status if status >= 0 else None,
            signal=-status if status < 0 else None,
            peak_mb=0,
            killed_for_memory=memory_deaths() > self._memory_deaths,
        )
        doing = "starting" if writer.task is None else tasks.name(writer.task)
        return errors.StepCrashedError(
            f"A process that writes the data died while {doing}: {how_it_ended(end)}",
            fix="If memory is short, set `ingest.writers` lower, or `writers: 1`. A damaged file can "
            "crash the library that reads it: look at this one. What is done is kept; the same "
            "command goes on from there.",
        )

    def __enter__(self) -> WriterProcesses:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for writer in self._writers:
            writer.end()


class _Writer:
    """One process, and what it is doing."""

    def __init__(self, job: ReadingJob) -> None:
        self.task: Task | None = None
        self.gone = False
        self._rest = b""
        self.reader, events = os.pipe()
        requests, self._requests = os.pipe()
        with tempfile.TemporaryFile() as file:
            pickle.dump({"job": job, "path": sys.path}, file)
            file.flush()
            descriptors = (file.fileno(), requests, events)
            # -P: a user's file in the current folder must not be taken for a library's module.
            command = [sys.executable, "-P", "-c", _RUN, str(_HOME), str(os.getpid())]
            try:
                self.process = subprocess.Popen(
                    [*command, *map(str, descriptors)],
                    pass_fds=descriptors,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    env={**DEFAULTS, **os.environ},
                )
            finally:
                os.close(requests)
                os.close(events)

    def start(self, task: Task) -> None:
        """Gives it something to do."""
        self.task = task
        data = json.dumps(task).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._requests, data) :]
        except BrokenPipeError:
            pass  # it died meanwhile, which its end of the other pipe tells

    def hear(self) -> list[dict[str, Any]]:
        """What it has said since; `gone` is set when it will say no more."""
        data = os.read(self.reader, 1 << 16)
        self.gone = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def end(self) -> None:
        """Ends it and what it has started."""
        end_group(self.process.pid)
        self.process.wait()
        os.close(self.reader)
        os.close(self._requests)


def _audit(opened: list[str], listed: list[str]) -> None:
    """Lets whoever watches this process know what a writer has read, as if it had done it."""
    for path in opened:
        sys.audit("open", path, None, os.O_RDONLY)
    for folder in listed:
        sys.audit("os.listdir", folder)


def _raised(failure: Mapping[str, Any], doing: str) -> errors.TfconvError:
    """The error that a writer described."""
    kind = getattr(errors, failure["kind"] or "", None)
    if kind is not None:
        error: errors.TfconvError = kind(**failure["parts"])
        return error
    frame = failure["frame"]
    place = None if frame is None else f"{frame['file']}, line {frame['line']}: {frame['code']}"
    return errors.UserCodeError(f"{failure['parts']['what']}\n  while {doing}", received=place)
