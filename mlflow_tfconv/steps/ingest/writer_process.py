"""Inside a process that reads and writes: does tasks until nobody has any more."""

from __future__ import annotations

import json
import os
import pickle
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.child import FAILURE, describe
from mlflow_tfconv.engine.guarded import die_with
from mlflow_tfconv.engine.user_files import Opened, loaded_modules, watch_opened_files


def main() -> None:
    """`PARENT JOB_FD REQUESTS_FD EVENTS_FD`: answers every line of requests."""
    parent, job, requests, events = map(int, sys.argv[1:5])
    die_with(parent)
    with suppress(OSError):  # of all processes the kernel ends this one first when memory is short
        Path("/proc/self/oom_score_adj").write_text("1000")
    with os.fdopen(events, "w") as pipe, os.fdopen(requests) as lines:

        def say(what: dict[str, Any]) -> None:
            pipe.write(json.dumps(what) + "\n")
            pipe.flush()

        bench, opened, root = _prepared(job, say)
        for line in lines:
            try:
                bench.do(json.loads(line))
            except BaseException as error:  # noqa: BLE001 (whatever it is, the parent has to hear of it)
                _tell_error(error, root, say)
                break
            _tell_opened(opened, say)
            say({"done": True})
    sys.stdout.flush()
    sys.stderr.flush()


def _prepared(job: int, say: Any) -> tuple[Any, Opened, Path]:
    """The workbench; the job is a pickle of our own, from the parent."""
    # Imported here: it takes a moment, in which the parent's end must be seen already.
    from mlflow_tfconv.steps.ingest.tasks import Workbench

    with os.fdopen(job, "rb") as file:
        file.seek(0)
        setup = pickle.load(file)  # noqa: S301
    # The caller's folders count from here on, when libraries are imported.
    sys.path[:] = setup["path"]
    found = setup["job"]
    opened = watch_opened_files(found.root, (found.folder, found.output))
    return Workbench(found, say), opened, found.root


def _tell_error(error: BaseException, root: Path, say: Any) -> None:
    failure = describe(error, root)
    if failure["kind"] is None:
        traceback.print_exc()
    say({FAILURE: failure})


def _tell_opened(opened: Opened, say: Any) -> None:
    """What was read since the last time: it decides about a re-run of the step."""
    files = sorted({*opened.existing_files(), *loaded_modules()})
    say({"opened": files, "listed": sorted(opened.existing_folders())})
    opened.files.clear()
    opened.folders.clear()
