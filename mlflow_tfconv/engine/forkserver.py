"""A process that has imported TensorFlow once and forks a fresh child for every job.

Importing TensorFlow takes seconds, forking milliseconds. That is sound as long as the server itself
never touches a device and runs no threads of its own: `import tensorflow` starts none (the BLAS and
jemalloc pools that come with numpy and pyarrow register fork handlers), and no job ever runs in
the server. Children are sessions of their own and die with the server, the server with its client;
what a job started itself is ended with it.

The client speaks over a socket pair of packets: a request is three file descriptors (a file with
one JSON object, the log, the events), the answers are `{"pid"}` and `{"status", "peak_kb"}`.
"""

from __future__ import annotations

import atexit
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
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

PACKET_BYTES = 4096
_PR_SET_PDEATHSIG = 1


def serve(control: socket.socket, preload: tuple[str, ...]) -> None:
    """Imports the modules of `preload`, then forks a child for every request until the end."""
    _import_all(preload)
    waking, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    jobs: set[int] = set()
    server = os.getpid()
    try:
        while True:
            ready, _, _ = select.select([control.fileno(), waking], [], [])
            if waking in ready:
                os.read(waking, 512)
            _report_ended(control, jobs)
            if control.fileno() in ready and not _accept(control, jobs):
                break
    finally:
        if os.getpid() == server:
            for pid in jobs:
                _end_group(pid)
                os.waitpid(pid, 0)


def _leave(*_: object) -> NoReturn:
    """SIGTERM: from the client that stops the server, or from the kernel when the client died."""
    raise SystemExit(0)


def _end_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
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


def _accept(control: socket.socket, jobs: set[int]) -> bool:
    """Starts the job of one request; False when the client is gone."""
    data, descriptors, _, _ = socket.recv_fds(control, PACKET_BYTES, 3)
    if not data:
        return False
    server = os.getpid()
    # What the server has not written yet would be written by every child again.
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # Python 3.12 warns of any native thread; the module's docstring says why these are safe.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        control.close()
        _become_job(server, *descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    jobs.add(pid)
    control.send(json.dumps({"pid": pid}).encode())
    return True


def _report_ended(control: socket.socket, jobs: set[int]) -> None:
    for pid in list(jobs):
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            continue
        # As long as the job is a zombie, its number can't be another's.
        _end_group(pid)
        _, status, usage = os.wait4(pid, 0)
        jobs.remove(pid)
        control.send(json.dumps({"status": status, "peak_kb": usage.ru_maxrss}).encode())


def _become_job(server: int, request: int, log: int, events: int) -> NoReturn:
    """Turns the forked child into the job; never returns to the server's loop."""
    status = 1
    try:
        _detach(server, log)
        status = _run(_read(request), events)
    except BaseException:  # noqa: BLE001 (the last frame of a process: it goes to the log)
        sys.excepthook(*sys.exc_info())
    finally:
        try:
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            # Whatever the job has done to its streams: two servers would be worse.
            os._exit(status)


def _read(request: int) -> dict[str, Any]:
    with os.fdopen(request, "rb") as file:
        file.seek(0)
        found: dict[str, Any] = json.loads(file.read())
    return found


def _run(request: dict[str, Any], events: int) -> int:
    """The exit status."""
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    sys.path[:] = request["path"]
    module, _, function = request["target"].partition(":")
    try:
        getattr(import_module(module), function)(request["payload"], events)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0


def _detach(server: int, log: int) -> None:
    """A session of its own, that dies with the server, with its output in the log."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(1)  # it died before that
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # A crash must not take along what was printed before it.
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    faulthandler.enable(2)
    atexit._clear()  # as multiprocessing does: only what the job itself registers is its own
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def main() -> None:
    """`CONTROL_FD MODULE ...`: serves on a socket, with these modules imported once for all jobs."""
    # A client that is killed must not leave a server that has not yet read its first request.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    faulthandler.enable()
    serve(socket.socket(fileno=int(sys.argv[1])), tuple(sys.argv[2:]))
