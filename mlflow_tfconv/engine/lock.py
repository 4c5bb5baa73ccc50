"""One run of a recipe at a time."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow_tfconv.errors import BusyError


@contextmanager
def only_run(state: Path) -> Iterator[None]:
    """Holds the recipe's lock; the system lets go of it however this process ends.

    Raises:
        BusyError: Another process holds it.
    """
    state.mkdir(parents=True, exist_ok=True)
    path = state / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                "Another run of this recipe is under way.",
                received=_holder(path),
                fix=f"Wait for it or stop it. The results are in {state}.",
            ) from error
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "since": time.strftime("%F %T")}))
        file.flush()
        yield


def _holder(path: Path) -> str | None:
    try:
        holder = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return f"process {holder['pid']}, since {holder['since']}"
