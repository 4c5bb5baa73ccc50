"""A worker's process: started, spoken to, and told in words how it died, when it does."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mlflow_tfconv.environment import DEFAULTS
from mlflow_tfconv.errors import BenchmarkError, DeviceError
from mlflow_tfconv.steps.benchmark.worker.conversation import OUT_OF_MEMORY
from mlflow_tfconv.steps.benchmark.worker.job import Job

WORKER = (sys.executable, "-m", "mlflow_tfconv.steps.benchmark.worker")
LOG_FILE = "worker.log"
_LAST_LINES = 6
_CRASH, _NO_NEWS = "Fatal Python error", "Extension modules:"  # as faulthandler writes
_QUIET = {**DEFAULTS, "TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
_ENDS_WITHIN_S = 2.0


class ShortOfMemoryError(BenchmarkError):
    """Raised when a worker could not get the memory it needs, or was killed for it."""


@dataclass(slots=True, kw_only=True)
class Worker:
    """A worker that is alive until it is closed, or dies.

    Attributes:
        job: What it measures.
        time_limit_s: It is killed when a command takes longer than this.
        command: What starts it; the job's file is added.
        environment: Variables that it gets besides the usual ones.
    """

    job: Job
    time_limit_s: float
    command: tuple[str, ...] = WORKER
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _rest: bytes = b""
    _log: Path = field(default_factory=Path)

    def __enter__(self) -> Self:
        """Starts the process."""
        folder = Path(self.job.folder)
        job_file, self._log = folder / "job.json", folder / LOG_FILE
        self.job.write(job_file)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.command, str(job_file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**_environment(self.job), **self.environment},
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether it can be spoken to."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._running().pid

    @property
    def log(self) -> Path:
        """What its libraries printed."""
        return self._log

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Its answer to one command.

        Raises:
            DeviceError: The worker says that the device is not there or was not used.
            ShortOfMemoryError: There was too little memory.
            BenchmarkError: It failed otherwise, crashed, or took too long.
        """
        said = json.dumps({"command": command, **arguments}) + "\n"
        process = self._running()
        with suppress(BrokenPipeError):  # how it died is found out below
            assert process.stdin is not None  # noqa: S101 (a pipe, as started)
            process.stdin.write(said.encode())
            process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._line(process))
        if "error" in answer:
            raise _told(answer["error"])
        result: dict[str, Any] = answer["ok"]
        return result

    def close(self) -> None:
        """Ends it, and waits until its memory is free."""
        process = self._process
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            process.wait(timeout=0 if self._rest else _ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        except BaseException:  # Ctrl-C while waiting
            process.kill()
            process.wait()
            raise
        with suppress(OSError):  # it names folders that will have moved
            (Path(self.job.folder) / "job.json").unlink()

    def kill(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            self._process.kill()
        self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise BenchmarkError("The worker was not started.")
        return self._process

    def _line(self, process: subprocess.Popen[bytes]) -> bytes:
        """The next line that it writes."""
        assert process.stdout is not None  # noqa: S101 (a pipe, as started)
        ends, poll = time.monotonic() + self.time_limit_s, select.poll()
        poll.register(process.stdout, select.POLLIN)
        while b"\n" not in self._rest:
            left = ends - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise self._too_slow()
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                raise self._died(process)
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _too_slow(self) -> BenchmarkError:
        words = _last_words(self._log)
        self.kill()
        return BenchmarkError(
            f"It took longer than {self.time_limit_s:g} s and was stopped.",
            received=words,
            expected=f"a result within {self.time_limit_s:g} s",
            fix="Set steps.benchmark.time_limit_s higher if the model is just slow.",
        )

    def _died(self, process: subprocess.Popen[bytes]) -> BenchmarkError:
        try:
            code = process.wait(timeout=_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:  # it has closed its output, and nothing else
            self.kill()
            code = 0
        kind = ShortOfMemoryError if -code == signal.SIGKILL else BenchmarkError
        return kind(_how_it_ended(code), received=_last_words(self._log), fix=_advice(code))


def _environment(job: Job) -> dict[str, str]:
    home = str(Path(__file__).parents[4])
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    hidden: Mapping[str, str] = {"CUDA_VISIBLE_DEVICES": "-1"} if job.device == "cpu" else {}
    return {**_QUIET, **os.environ, **hidden, "PYTHONPATH": path, "PYTHONFAULTHANDLER": "1"}


def _told(error: dict[str, Any]) -> DeviceError | BenchmarkError:
    kind = error.pop("kind")
    words = {"fix": None, **error}
    if kind == OUT_OF_MEMORY:
        received = words.get("received") or words["what"]
        return ShortOfMemoryError("It ran out of memory.", received=received, fix=_MORE_MEMORY)
    error_class = DeviceError if kind == "DeviceError" else BenchmarkError
    return error_class(words.pop("what"), **words)


_MORE_MEMORY = "Use smaller batch_sizes, or a machine with more memory."


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"Its process left with exit code {code} and without a result."
    name = signal.Signals(-code).name
    if -code == signal.SIGKILL:
        return f"Its process was killed ({name}), as the kernel does when memory is short."
    return f"Its process crashed inside the runtime ({name}: {signal.strsignal(-code)})."


def _advice(code: int) -> str:
    if -code == signal.SIGKILL:
        return _MORE_MEMORY
    return "Load the file by hand in the same runtime; another version of it may do better."


def _last_words(log_file: Path) -> str | None:
    """The end of the log; of a crash what was said just before, and where it was."""
    text = log_file.read_text(errors="replace") if log_file.is_file() else ""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(_NO_NEWS)]
    crashes = [number for number, line in enumerate(lines) if line.startswith(_CRASH)]
    end = crashes[-1] + _LAST_LINES // 2 if crashes else len(lines)
    return "\n".join(lines[max(end - _LAST_LINES, 0) : end]) or None
