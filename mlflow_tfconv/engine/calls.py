"""A function called in a process of its own, as one calls any function."""

from __future__ import annotations

import json
import os
import tempfile
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.child import FAILURE, describe
from mlflow_tfconv.engine.failures import error_of_end, error_of_failure
from mlflow_tfconv.engine.jobs import JobServer


def call_in_process(jobs: JobServer, target: str, argument: Any, *, log: Path) -> Any:
    """What `module:function` gives for an argument; both are what JSON can carry.

    Raises:
        TfconvError: The function raised, or its process died.
    """
    answers: list[Any] = []
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file, log.open("ab") as output:
        json.dump({"target": target, "argument": argument}, file)
        file.flush()
        end = jobs.run(
            "mlflow_tfconv.engine.calls:answer_call",
            file.name,
            log=output,
            on_line=lambda line: answers.append(json.loads(line)),
        )
    name = target.partition(":")[2].replace("_", " ")
    if not answers:
        raise error_of_end(name, end, log)
    if FAILURE in answers[-1]:
        raise error_of_failure(name, answers[-1][FAILURE], log)
    return answers[-1]["value"]


def answer_call(request_file: str, events: int) -> None:
    """Inside the process: calls the function and passes on what it gives."""
    request = json.loads(Path(request_file).read_text())
    module, _, function = request["target"].partition(":")
    with os.fdopen(events, "w") as pipe:
        try:
            answer = {"value": getattr(import_module(module), function)(request["argument"])}
        except Exception as error:  # noqa: BLE001 (the caller raises it again)
            traceback.print_exc()
            answer = {FAILURE: describe(error, Path.cwd())}
        pipe.write(json.dumps(answer) + "\n")
