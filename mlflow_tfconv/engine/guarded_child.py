"""Inside a guarded process: calls the function, and says what it does and gives.

Imports little: what the function needs is imported by its own module.
"""

from __future__ import annotations

import atexit
import faulthandler
import gc
import json
import os
import pickle
import random
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TextIO

from mlflow_tfconv.engine.child import FAILURE, describe
from mlflow_tfconv.engine.codec import encode
from mlflow_tfconv.engine.events import Event
from mlflow_tfconv.engine.guarded import die_with
from mlflow_tfconv.engine.user_files import Opened, loaded_modules, watch_opened_files


class Voice:
    """What a guarded function speaks with."""

    def __init__(self, pipe: TextIO) -> None:
        self._pipe, self._at_a_time = pipe, threading.Lock()

    def phase(self, name: str, limit_s: float) -> None:
        """Something begins that may take so long: "reading", "comparing"."""
        self._say({"phase": name, "limit_s": limit_s})

    def emit(self, event: Event) -> None:
        """Passes an event on to the caller."""
        self._say({"event": encode(event, Path())})

    def opened(self, files: Iterable[str], opened: Opened) -> None:
        """Tells which of a user's files and folders were read: they decide about a re-run."""
        self._say({"opened": sorted(files), "listed": sorted(opened.existing_folders())})

    def answer(self, value: Any) -> None:
        """The last word: what the function gave."""
        self._say({"value": encode(value, Path())})

    def fail(self, error: BaseException) -> None:
        """The last word: what the function raised."""
        self._say({FAILURE: describe(error, Path.cwd())})

    def _say(self, what: dict[str, Any]) -> None:
        with self._at_a_time:
            self._pipe.write(json.dumps(what) + "\n")
            self._pipe.flush()


def main() -> None:
    """`PARENT REQUEST_FD EVENTS_FD`: answers the request and ends."""
    parent, request, events = map(int, sys.argv[1:4])
    die_with(parent)
    _leave(_answered(request, events))


def become(parent: int, request: int, log: int, events: int) -> NoReturn:
    """Turns a child that was just forked into the guarded process; never returns."""
    status = 1
    try:
        os.setsid()
        die_with(parent)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout = os.fdopen(1, "w", buffering=1, errors="backslashreplace", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        faulthandler.enable(2)
        atexit._clear()
        random.seed()
        status = _answered(request, events, watch_opened_files(Path.cwd(), ()))
    finally:
        _leave(status)


def _answered(request: int, events: int, opened: Opened | None = None) -> int:
    """The exit status; the request's pickle is our own, from the parent.

    Args:
        request: A file with the request.
        events: Where the voice goes.
        opened: What files this process opens: its parent is told of them.
    """
    with suppress(OSError):  # of all processes the kernel ends this one first when memory is short
        Path("/proc/self/oom_score_adj").write_text("1000")
    with os.fdopen(events, "w") as pipe:
        voice = Voice(pipe)
        try:
            with os.fdopen(request, "rb") as file:
                file.seek(0)
                job = pickle.load(file)  # noqa: S301
            os.environ["TMPDIR"] = tempfile.tempdir = job["scratch"]
            # The caller's folders come last until libraries are imported: a file in one of them
            # must not be taken for a module of TensorFlow's.
            sys.path += [folder for folder in job["path"] if folder not in sys.path]
            function = imported(job["target"])
            sys.path[:] = job["path"]
            value = function(pickle.loads(job["argument"]), voice)  # noqa: S301
            if opened is not None:
                voice.opened({*opened.existing_files(), *loaded_modules()}, opened)
            voice.answer(value)
        except BaseException as error:  # noqa: BLE001 (whatever it is, the parent has to hear of it)
            traceback.print_exc()
            voice.fail(error)
            return 1
    return 0


def imported(target: str) -> Any:
    """The function `module:name`; nobody looks for garbage meanwhile.

    That makes importing TensorFlow a fifth faster.
    """
    module, _, name = target.partition(":")
    gc.disable()
    function = getattr(import_module(module), name)
    gc.freeze()
    gc.enable()
    return function


def _leave(status: int) -> NoReturn:
    """At once: taking TensorFlow down in order takes longer than a small conversion."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
