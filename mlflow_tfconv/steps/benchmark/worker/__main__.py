"""Measures one variant in a fresh process: `python -m mlflow_tfconv.steps.benchmark.worker JOB`.

The process stays alive and obeys commands, one JSON object a line, each of which it answers with
one line, until its standard input ends. With `--commands FILE` it obeys the lines of a file, writes
`{"answers": [...]}` to result.json in the job's folder and ends with 1 when one of them failed.

For an ONNX file it needs numpy and onnxruntime only, and imports nothing else: neither TensorFlow
nor MLflow is in the measured memory.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # they import numpy, and the driver may be gone by then
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

_PR_SET_PDEATHSIG = 1
_USAGE = """Usage: python -m mlflow_tfconv.steps.benchmark.worker JOB [--commands FILE]

JOB is a JSON file:
  {"model": "model.onnx", "format": "onnx", "folder": "out", "batch_sizes": [1]}
FILE holds a command a line; their answers are written to out/result.json, timings beside it:
  {"command": "open"}
  {"command": "time", "batch_size": 1, "turn": 0, "min_time_s": 1, "min_count": 20,
   "warmup_time_s": 0.1, "warmup_limit_s": 2}      (in one line)
  {"command": "memory"}
Without FILE commands are read from standard input, and each is answered with a line."""


def main(arguments: Sequence[str]) -> int:
    """Opens the conversation on a job, or runs through the commands of a file."""
    job, *rest = arguments or ["-"]
    if job.startswith("-") or rest[:1] not in ([], ["--commands"]) or len(rest) not in (0, 2):
        print(_USAGE, file=sys.stdout if job == "--help" else sys.stderr)
        return 0 if job == "--help" else 2
    return _run_through(_told(job), Path(rest[1])) if rest else _converse(job)


@contextmanager
def _told_what_is_wrong_in(file: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError) as error:
        sys.exit(f"{file} can't be read: {error}\n\n{_USAGE}")


def _converse(job: str) -> int:
    _die_with_parent()
    from mlflow_tfconv.steps.benchmark.worker.conversation import converse

    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # what libraries print goes to the log
        converse(_told(job), sys.stdin, answers)
    return 0


def _told(job: str) -> OpenedModel:
    from mlflow_tfconv.steps.benchmark.worker.job import Job
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

    with _told_what_is_wrong_in(job):
        return OpenedModel.of(Job.read(Path(job)))


def _run_through(opened: OpenedModel, commands: Path) -> int:
    from mlflow_tfconv.steps.benchmark.worker.conversation import answered
    from mlflow_tfconv.steps.benchmark.worker.job import RESULT_FILE

    with _told_what_is_wrong_in(str(commands)):
        lines = commands.read_text(encoding="utf-8").splitlines()
        said_in_turn = [dict(json.loads(line)) for line in lines if line.strip()]
    opened.folder.mkdir(parents=True, exist_ok=True)
    answers = [{"command": s.get("command"), **answered(opened, s)} for s in said_in_turn]
    text = json.dumps({"answers": answers}, indent=1, default=str)
    (opened.folder / RESULT_FILE).write_text(text, encoding="utf-8")
    return 1 if any("error" in answer for answer in answers) else 0


def _die_with_parent() -> None:
    """Has the kernel end this process with the one that talks to it; Ctrl-C is that one's to obey."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):  # where memory is short this one is killed, not the driver
            Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is written, and to take TensorFlow apart would take a second
