"""Runs jobs in fresh processes and says how they ended."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from mlflow_tfconv.engine.forkserver import PACKET_BYTES
from mlflow_tfconv.environment import DEFAULTS

PRELOAD = ("tensorflow", "keras")
_GRACE_S = 3.0
_HOME = Path(__file__).parents[2]
_SERVE = """\
import sys
home = sys.argv.pop(1)
if home not in sys.path:
    sys.path.append(home)
from mlflow_tfconv.environment import DEFAULTS
from mlflow_tfconv.engine.forkserver import main
main()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnd:
    """How a job's process ended.

    Attributes:
        exit_code: Its exit status, or None when a signal ended it.
        signal: The signal, or None.
        peak_mb: Its largest resident memory in MB (10^6 bytes).
        killed_for_memory: Whether the kernel killed something for lack of memory meanwhile.
        server_log: What the server wrote, when it was the server that died; None otherwise.
    """

    exit_code: int | None
    signal: int | None
    peak_mb: float
    killed_for_memory: bool
    server_log: Path | None = None


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
    _rest: bytearray = field(default_factory=bytearray)

    def start(self) -> None:
        """Starts the server, which imports TensorFlow while the caller goes on; idempotent."""
        if self._process is not None:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # -P: a user's file in the current folder must not be taken for a module of TensorFlow's.
        command = [sys.executable, "-P", "-c", _SERVE, str(_HOME), str(theirs.fileno())]
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
        request = {
            "target": target,
            "payload": payload,
            "environ": dict(environ or {}),
            "cwd": str(cwd or Path.cwd()),
            "path": [str(folder) for folder in sys.path],
        }
        deaths = memory_deaths()
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        try:
            try:
                self._send(request, log, writer)
            finally:
                os.close(writer)
            answer = self._follow(reader, on_line)
        finally:
            os.close(reader)
        status = answer["status"]
        return JobEnd(
            exit_code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            peak_mb=answer["peak_kb"] * 1024 / 1e6,
            killed_for_memory=memory_deaths() > deaths,
            server_log=self.log if "server_died" in answer else None,
        )

    def _send(self, request: Mapping[str, Any], log: BinaryIO, events: int) -> None:
        """As a file, because a packet is limited and a request is not."""
        assert self._control is not None  # noqa: S101 (start() made it)
        with tempfile.TemporaryFile() as file:
            file.write(json.dumps(request).encode())
            file.flush()
            # A server that is dead already is found out when its answer is read.
            with suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(self._control, [b"job"], [file.fileno(), log.fileno(), events])

    def _follow(self, reader: int, on_line: Callable[[str], None]) -> dict[str, Any]:
        """Passes on what the job says until it has ended."""
        assert self._control is not None  # noqa: S101 (start() made it)
        pid, answer = None, dict[str, Any]()
        self._rest.clear()
        # Not select(), which can't take the high descriptors of a busy notebook.
        either = select.poll()
        either.register(self._control, select.POLLIN)
        either.register(reader, select.POLLIN)
        try:
            while "status" not in answer:
                ready = [descriptor for descriptor, _ in either.poll()]
                if self._control.fileno() in ready:
                    answer = self._answer()
                    pid = answer.get("pid", pid)
                if not self._pass_on_lines(reader, on_line) and reader in ready:
                    either.unregister(reader)
            return answer
        except BaseException:
            if pid is not None:
                _end_group(pid)
            self.stop()
            raise

    def _answer(self) -> dict[str, Any]:
        assert self._control is not None  # noqa: S101 (start() made it)
        assert self._process is not None  # noqa: S101 (start() made it)
        try:
            data = self._control.recv(PACKET_BYTES)
        except ConnectionResetError:
            data = b""
        if data:
            answer: dict[str, Any] = json.loads(data)
            return answer
        # The server itself died and took the job along; the next job gets another server.
        code = self._process.wait()
        self.stop()
        status = -code if code < 0 else code << 8
        return {"status": status, "peak_kb": 0, "server_died": True}

    def _pass_on_lines(self, reader: int, on_line: Callable[[str], None]) -> bool:
        """Reads what is there; False when everybody has closed the other end."""
        while True:
            try:
                data = os.read(reader, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            if b"\n" not in data:
                self._rest += data
                continue
            *lines, rest = bytes(self._rest + data).split(b"\n")
            self._rest = bytearray(rest)
            for line in lines:
                on_line(line.decode(errors="replace"))

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


def _environment() -> dict[str, str]:
    """What the user has set wins over what we would."""
    return {**DEFAULTS, **os.environ}


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


def memory_deaths() -> int:
    """How many processes of this control group the kernel has killed for lack of memory."""
    for file in _memory_event_files():
        with suppress(OSError):
            words = file.read_text().split()
            if "oom_kill" in words:
                return int(words[words.index("oom_kill") + 1])
    return 0


def _memory_event_files() -> Iterator[Path]:
    """Where it may be counted: version 2 of control groups, version 1, the whole machine.

    In a container the group's own path often is not mounted, but the group itself is, as the root.
    """
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    groups = {kinds: path for _, kinds, path in (line.split(":", 2) for line in lines)}
    for path in (groups.get("", "/"), "/"):
        yield Path(f"/sys/fs/cgroup{path}/memory.events")
    for path in (groups.get("memory", "/"), "/"):
        yield Path(f"/sys/fs/cgroup/memory{path}/memory.oom_control")
    yield Path("/proc/vmstat")
