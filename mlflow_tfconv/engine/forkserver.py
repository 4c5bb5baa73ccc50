"""A process that has imported TensorFlow once and forks a fresh child for every job.

Importing TensorFlow takes seconds, forking milliseconds. That is sound as long as the server itself
never touches a device and runs no threads of its own: `import tensorflow` starts none (the BLAS and
jemalloc pools that come with numpy and pyarrow register fork handlers), and no job ever runs in
the server. Children are sessions of their own and die with the server, the server with its client.

The client speaks over a socket pair of packets: a request is one JSON object with two file
descriptors (log, events), the answers are `{"job", "pid"}` and `{"job", "status", "peak_kb"}`.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import json
import os
import random
import select
import signal
import socket
import sys
import warnings
from importlib import import_module
from typing import Any, NoReturn

PACKET_BYTES = 65_536
_PR_SET_PDEATHSIG = 1


def serve(control: socket.socket, preload: tuple[str, ...]) -> None:
    """Imports the modules of `preload`, then forks a child for every request until the end."""
    _import_all(preload)
    waking, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    jobs: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), waking], [], [])
        if waking in ready:
            os.read(waking, 512)
        _report_ended(control, jobs)
        if control.fileno() in ready and not _accept(control, jobs):
            break
    for pid in jobs:
        os.killpg(pid, signal.SIGKILL)


def _import_all(names: tuple[str, ...]) -> None:
    """Imports; nobody looks for garbage in what was imported, neither here nor in the jobs.

    That makes importing TensorFlow a fifth faster, and the jobs share a quarter more of its memory.
    """
    gc.disable()
    for name in names:
        try:
            import_module(name)
        except Exception as error:  # noqa: BLE001 (the step that needs it will raise it again, in its own log)
            print(f"{name} could not be imported ahead of time: {error!r}", file=sys.stderr)
    gc.freeze()
    gc.enable()


def _accept(control: socket.socket, jobs: dict[int, int]) -> bool:
    """Starts the job of one request; False when the client is gone."""
    data, descriptors, _, _ = socket.recv_fds(control, PACKET_BYTES, 2)
    if not data:
        return False
    request = json.loads(data)
    with warnings.catch_warnings():
        # Python 3.12 warns of any native thread; the module's docstring says why these are safe.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        control.close()
        _become_job(request, *descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    jobs[pid] = request["job"]
    control.send(json.dumps({"job": request["job"], "pid": pid}).encode())
    return True


def _report_ended(control: socket.socket, jobs: dict[int, int]) -> None:
    for pid in list(jobs):
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            answer = {"job": jobs.pop(pid), "status": status, "peak_kb": usage.ru_maxrss}
            control.send(json.dumps(answer).encode())


def _become_job(request: dict[str, Any], log: int, events: int) -> NoReturn:
    """Turns the forked child into the job; never returns to the server's loop."""
    status = 1
    try:
        _detach(log)
        os.environ.update(request["environ"])
        os.chdir(request["cwd"])
        sys.path[:] = request["path"]
        module, _, function = request["target"].partition(":")
        getattr(import_module(module), function)(request["payload"], events)
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001 (the last frame of a process: it goes to the log)
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _detach(log: int) -> None:
    """A session of its own, that dies with the server, with its output in the log."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable(2)
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def main() -> None:
    """`python -m mlflow_tfconv.engine.forkserver CONTROL_FD MODULE ...`."""
    # A client that is killed must not leave a server that has not yet read its first request.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    serve(socket.socket(fileno=int(sys.argv[1])), tuple(sys.argv[2:]))


if __name__ == "__main__":
    main()
