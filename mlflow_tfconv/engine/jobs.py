"""Runs jobs in fresh processes and says how they ended."""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from mlflow_tfconv.engine.forkserver import PACKET_BYTES

PRELOAD = ("tensorflow", "keras")
_GRACE_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnd:
    """How a job's process ended.

    Attributes:
        exit_code: Its exit status, or None when a signal ended it.
        signal: The signal, or None.
        peak_mb: Its largest resident memory in MB (10^6 bytes).
        killed_for_memory: Whether the kernel killed something for lack of memory meanwhile.
    """

    exit_code: int | None
    signal: int | None
    peak_mb: float
    killed_for_memory: bool


@dataclass(slots=True)
class JobServer:
    """Starts jobs `module:function(payload, events_fd)`, each in a forked process of its own.

    Attributes:
        log: Where the server itself writes what goes wrong before a job.
        preload: Modules that it imports once, for all jobs.
    """

    log: Path
    preload: tuple[str, ...] = PRELOAD
    _process: subprocess.Popen[bytes] | None = None
    _control: socket.socket | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def start(self) -> None:
        """Starts the server, which imports TensorFlow while the caller goes on; idempotent."""
        if self._process is not None:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "mlflow_tfconv.engine.forkserver", str(theirs.fileno())]
        with self.log.open("ab") as log, theirs:
            self._process = subprocess.Popen(
                [*command, *self.preload],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=_environment(),
            )

    def run(
        self,
        target: str,
        payload: Any,
        *,
        log: BinaryIO,
        on_line: Callable[[str], None],
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> JobEnd:
        """Runs one job to its end; on an exception here (Ctrl-C too) its processes are ended.

        Args:
            target: `module:function`.
            payload: What JSON can carry.
            log: Where its output goes.
            on_line: Gets every line that the job writes to its events descriptor, as it comes.
            environ: Added to its environment.
            cwd: Its working directory.
        """
        self.start()
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        request = {
            "job": next(self._numbers),
            "target": target,
            "payload": payload,
            "environ": dict(environ or {}),
            "cwd": str(cwd or Path.cwd()),
            "path": sys.path,
        }
        deaths = _memory_deaths()
        assert self._control is not None  # noqa: S101 (start() made it)
        socket.send_fds(self._control, [json.dumps(request).encode()], [log.fileno(), writer])
        os.close(writer)
        try:
            answer = self._follow(reader, on_line)
        finally:
            os.close(reader)
        status = answer["status"]
        return JobEnd(
            exit_code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            peak_mb=answer["peak_kb"] * 1024 / 1e6,
            killed_for_memory=_memory_deaths() > deaths,
        )

    def _follow(self, reader: int, on_line: Callable[[str], None]) -> dict[str, Any]:
        """Passes on what the job says until it has ended."""
        assert self._control is not None  # noqa: S101 (start() made it)
        control = self._control
        pid, rest, answer = None, b"", None
        try:
            while answer is None or "status" not in answer:
                ready, _, _ = select.select([control.fileno(), reader], [], [])
                if control.fileno() in ready:
                    answer = _answer(control)
                    pid = answer.get("pid", pid)
                rest = _pass_on_lines(reader, rest, on_line)
            return answer
        except BaseException:
            if pid is not None:
                _end_group(pid)
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server and with it every job."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        self._process = self._control = None

    def __enter__(self) -> JobServer:
        """The server is started by the first job."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves no process behind."""
        self.stop()


def _answer(control: socket.socket) -> dict[str, Any]:
    data = control.recv(PACKET_BYTES)
    if not data:
        # The server itself died and took the job along.
        return {"status": signal.SIGKILL, "peak_kb": 0}
    answer: dict[str, Any] = json.loads(data)
    return answer


def _environment() -> dict[str, str]:
    """TensorFlow's INFO chatter off, unless the user wants it."""
    return {"TF_CPP_MIN_LOG_LEVEL": "1", **os.environ}


def _pass_on_lines(reader: int, rest: bytes, on_line: Callable[[str], None]) -> bytes:
    """Reads what is there; gives the unfinished last line."""
    while True:
        try:
            data = os.read(reader, 1 << 16)
        except BlockingIOError:
            return rest
        if not data:
            # Everybody has closed it; select would call it ready for ever.
            time.sleep(0.01)
            return rest
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            on_line(line.decode())


def _end_group(pid: int) -> None:
    """Asks the job's processes to end, then makes them."""
    try:
        os.killpg(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while time.monotonic() < deadline and _alive(pid):
            time.sleep(0.05)
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _memory_deaths() -> int:
    """How many processes of this control group the kernel has killed for lack of memory."""
    for line in _own_memory_events():
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return 0


def _own_memory_events() -> list[str]:
    try:
        group = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip()
        return Path(f"/sys/fs/cgroup{group}/memory.events").read_text().splitlines()
    except OSError:
        return []
