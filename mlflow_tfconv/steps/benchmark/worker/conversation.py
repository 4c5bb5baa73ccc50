"""Commands in, answers out: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TextIO

from mlflow_tfconv.errors import TfconvError
from mlflow_tfconv.steps.benchmark.worker.commands import obeyed
from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel
from mlflow_tfconv.steps.benchmark.worker.out_of_memory import is_out_of_memory

OUT_OF_MEMORY = "OutOfMemory"


def converse(opened: OpenedModel, commands: Iterable[str], answers: TextIO) -> None:
    """Obeys line by line until there are no more."""
    for line in commands:
        if line.strip():
            answers.write(json.dumps(answered(opened, json.loads(line)), default=_plain) + "\n")
            answers.flush()


def answered(opened: OpenedModel, said: dict[str, Any]) -> dict[str, Any]:
    """`{"ok": ...}`, or `{"error": {kind, what, received, expected, fix}}`.

    Args:
        opened: The model, which the command `open` opens.
        said: `command`, and its arguments.
    """
    arguments = dict(said)
    name = str(arguments.pop("command", ""))
    try:
        return {"ok": obeyed(opened, name, arguments)}
    except TfconvError as error:
        return {"error": {**_parts(error), "kind": _kind(error)}}
    except Exception as error:  # noqa: BLE001 (whatever a runtime raises is this variant's result)
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return {"error": {"kind": _kind(error), "what": words[:2000]}}


def _kind(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else None
    short = is_out_of_memory(error) or (cause is not None and is_out_of_memory(cause))
    return OUT_OF_MEMORY if short else type(error).__name__


def _parts(error: TfconvError) -> dict[str, Any]:
    return {
        "what": error.what,
        "received": error.received,
        "expected": error.expected,
        "fix": error.fix,
    }


def _plain(value: Any) -> Any:
    """Numbers of numpy, and paths."""
    return value.item() if hasattr(value, "item") else str(value)
