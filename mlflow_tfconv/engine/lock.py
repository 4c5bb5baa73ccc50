"""One run of a recipe at a time."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from mlflow_tfconv.errors import BusyError

_NAME = "lock"
_PATIENCE_S = 0.3


@contextmanager
def only_run(state: Path, what: str = "run of this recipe") -> Iterator[None]:
    """Holds the lock of a folder; the system lets go of it however this process ends.

    Args:
        state: The folder.
        what: What there may be one of at a time.

    Raises:
        BusyError: Another process holds it.
    """
    state.mkdir(parents=True, exist_ok=True)
    path = state / _NAME
    with path.open("a+") as file:
        if not _taken(file, _PATIENCE_S):
            raise BusyError(
                f"Another {what} is under way.",
                received=_holder(path),
                fix=f"Wait for it or stop it. The results are in {state}.",
            )
        file.truncate(0)
        now = {"pid": os.getpid(), "since": time.strftime("%F %T"), "since_s": time.time()}
        file.write(json.dumps(now))
        file.flush()
        yield


def running_since(state: Path) -> float | None:
    """Since when a run is under way, in seconds since the epoch; None when there is none."""
    path = state / _NAME
    if not path.is_file():
        return None
    with path.open() as file:
        if _taken(file, 0):
            return None
    try:
        return float(_read(path)["since_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return time.time()  # it has just begun


def _taken(file: TextIO, patience_s: float) -> bool:
    """Takes the lock if it is free; one who only looks holds it for a moment."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _holder(path: Path) -> str | None:
    try:
        holder = _read(path)
        return f"process {holder['pid']}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None
