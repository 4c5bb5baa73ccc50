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
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # they import numpy, and the driver may be gone by then
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> int:
    """Opens the conversation on a job, or runs through the commands of a file."""
    if arguments[1:2] == ["--commands"]:
        return _run_through(_told(arguments[0]), Path(arguments[2]))
    _die_with_parent()
    from mlflow_tfconv.steps.benchmark.worker.conversation import converse

    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # what libraries print goes to the log
        converse(_told(arguments[0]), sys.stdin, answers)
    return 0


def _told(job: str) -> OpenedModel:
    from mlflow_tfconv.steps.benchmark.worker.job import Job
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

    return OpenedModel.of(Job.read(Path(job)))


def _run_through(opened: OpenedModel, commands: Path) -> int:
    from mlflow_tfconv.steps.benchmark.worker.conversation import answered
    from mlflow_tfconv.steps.benchmark.worker.job import RESULT_FILE

    lines = commands.read_text(encoding="utf-8").splitlines()
    answers = []
    for line in filter(str.strip, lines):
        said = json.loads(line)
        answers.append({"command": said.get("command"), **answered(opened, said)})
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
