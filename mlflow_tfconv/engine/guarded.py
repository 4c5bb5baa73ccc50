"""A function called in a process that may use only so much time and memory, and may crash.

What parses foreign bytes runs in one: whatever happens to it is an error with words. The process
says when it begins a phase and how long that may take; it is ended when it takes longer, when it
uses more memory than it may, when this process ends, and on Ctrl-C.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import mlflow_tfconv.errors as errors
from mlflow_tfconv.engine.child import FAILURE
from mlflow_tfconv.engine.codec import decode
from mlflow_tfconv.engine.events import Emit, ignore
from mlflow_tfconv.engine.failures import how_it_ended, last_lines
from mlflow_tfconv.engine.jobs import JobEnd
from mlflow_tfconv.environment import DEFAULTS

#: Most seconds until a process says that it has begun: importing TensorFlow on a busy machine.
STARTING_S = 300.0
_SHARE_OF_FREE = 0.9
_WATCH_EVERY_S = 0.1
_PR_SET_PDEATHSIG = 1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_HOME = Path(__file__).parents[2]
_RUN = """\
import sys
home = sys.argv.pop(1)
if home not in sys.path:
    sys.path.append(home)
from mlflow_tfconv.engine.guarded_child import main
main()
"""


class Started(Protocol):
    """A process that was started."""

    pid: int

    def wait(self) -> int:
        """Its exit status as `subprocess` gives it, once it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """How to mend it when a process was ended, or has died.

    Attributes:
        memory: It used more than it may.
        time: It took longer than it may.
        crash: It died.
    """

    memory: str = (
        "Give it more with `memory_limit_mb` if the model is that large; a small file that needs "
        "so much is damaged or meant to do harm."
    )
    time: str = (
        "Give it more time with `time_limit_s` if the model is that slow; a loop in it may have no "
        "end."
    )
    crash: str = (
        "The file may be damaged, or meant to do harm; if memory is short, use a machine with more."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Calls functions in processes of their own.

    Attributes:
        what: What they do, as the beginning of a sentence: "Converting m.h5".
        start: "fresh" starts Python anew; "fork" forks this process, which must not have used
            TensorFlow yet, and need not import it again.
        memory_mb: Most memory a process and those it starts may use, in MB (10^6 bytes); None is
            nine tenths of what is free when it starts.
        error: What is raised when a process crashes or goes beyond its limits.
        emit: Takes the events of the process.
        environ: Set in the environment of a fresh process.
        defaults: The same, where the user has not set it.
        advice: What an error says of a way out.
        memory_error: What is raised when memory was the reason; None raises `error`.
        on_memory: Hears ten times a second how much memory is in use, in MB.
    """

    what: str
    start: Literal["fresh", "fork"] = "fresh"
    memory_mb: float | None = None
    error: type[errors.TfconvError] = errors.ConversionError
    emit: Emit = ignore
    environ: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    advice: Advice = Advice()
    memory_error: type[errors.TfconvError] | None = None
    on_memory: Callable[[float], None] | None = None

    def call(self, target: str, argument: bytes, *, scratch: Path | None = None) -> Any:
        """What `module:function` gives for an argument and a `Voice`.

        Args:
            target: Takes the unpickled argument and the voice; gives nouns and plain values.
            argument: A pickle.
            scratch: Where its temporary files go; None makes a folder that goes with the process.

        Raises:
            TfconvError: The function raised it; an error of another kind becomes `error`, and so
                does a process that crashes or goes beyond its limits.
        """
        handle, name = tempfile.mkstemp(prefix="tfconv-", suffix=".log")
        os.close(handle)
        log, keep = Path(name), False
        request = {"target": target, "path": sys.path, "argument": argument}
        try:
            with tempfile.TemporaryDirectory(prefix="tfconv-") as folder:
                return self._called({**request, "scratch": str(scratch or folder)}, log)
        except errors.TfconvError as error:
            keep = error.log is not None
            raise
        finally:
            if not keep:
                log.unlink(missing_ok=True)

    def _called(self, what: dict[str, Any], log: Path) -> Any:
        with ExitStack() as stack:
            request = stack.enter_context(tempfile.TemporaryFile())
            pickle.dump(what, request)
            request.flush()
            output = stack.enter_context(log.open("ab"))
            reader, writer = os.pipe()
            stack.callback(os.close, reader)
            try:
                started = _STARTERS[self.start](self, request, output, writer)
            finally:
                os.close(writer)
            watch = _Watch(self, started, log)
            try:
                watch.follow(reader)
            except BaseException:
                end_group(started.pid)
                raise
            finally:
                # As long as it is a zombie, its number can't be another's.
                os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
                end_group(started.pid)  # what it has started itself
                status = started.wait()
        return watch.answer(status)


class _Forked:
    """A child that `os.fork` gave."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _fresh(guard: Guard, request: BinaryIO, log: BinaryIO, events: int) -> Started:
    # -P: a user's file in the current folder must not be taken for a module of TensorFlow's.
    command = [sys.executable, "-P", "-c", _RUN, str(_HOME)]
    return subprocess.Popen(
        [*command, str(os.getpid()), str(request.fileno()), str(events)],
        pass_fds=[request.fileno(), events],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        env={
            **DEFAULTS,
            **guard.defaults,
            **os.environ,
            **guard.environ,
            "PYTHONFAULTHANDLER": "1",
        },
    )


def _fork(guard: Guard, request: BinaryIO, log: BinaryIO, events: int) -> Started:
    del guard  # the environment is this one's
    from mlflow_tfconv.engine.guarded_child import become

    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # Python 3.12 warns of any native thread; engine/forkserver.py says why these are safe.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        become(parent, request.fileno(), log.fileno(), events)
    return _Forked(pid)


_STARTERS: dict[str, Callable[[Guard, BinaryIO, BinaryIO, int], Started]] = {
    "fresh": _fresh,
    "fork": _fork,
}


class _Watch:
    """Follows a process to its end, or ends it."""

    def __init__(self, guard: Guard, started: Started, log: Path) -> None:
        self._guard, self._started, self._log = guard, started, log
        self._allowed_mb = guard.memory_mb or free_memory_mb() * _SHARE_OF_FREE
        self._phase, self._limit_s = "starting", STARTING_S
        self._begun = time.monotonic()
        self._peak_mb = 0.0
        self._answer: dict[str, Any] = {}
        self._stopped: errors.TfconvError | None = None

    def follow(self, reader: int) -> None:
        """Takes its lines until it closes them, as it does at its end; ends it beyond a limit."""
        poll = select.poll()  # not select(), which can't take high descriptors
        poll.register(reader, select.POLLIN)
        rest = b""
        while self._stopped is None:
            if poll.poll(_WATCH_EVERY_S * 1000):
                data = os.read(reader, 1 << 16)
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._hear(json.loads(line))
            self._check()
        end_group(self._started.pid)

    def _hear(self, said: dict[str, Any]) -> None:
        if "phase" in said:
            self._phase, self._limit_s = said["phase"], said["limit_s"]
            self._begun = time.monotonic()
        elif "event" in said:
            self._guard.emit(decode(said["event"], Path()))
        elif "opened" in said:
            _audit(said["opened"], said["listed"])
        else:
            self._answer = said

    def _check(self) -> None:
        used_mb = sum(_resident_bytes(pid) for pid in _tree(self._started.pid)) / 1e6
        self._peak_mb = max(self._peak_mb, used_mb)
        if self._guard.on_memory is not None:
            self._guard.on_memory(used_mb)
        if used_mb > self._allowed_mb:
            self._stopped = self._error(
                "it used more memory than it may",
                kind=self._guard.memory_error,
                received=f"{used_mb:,.0f} MB",
                expected=f"at most {self._allowed_mb:,.0f} MB",
                fix=self._guard.advice.memory,
            )
        elif time.monotonic() - self._begun > self._limit_s:
            self._stopped = self._error(
                f"it took longer than {self._limit_s:g} s",
                expected=f"an end of {self._phase} within {self._limit_s:g} s",
                fix=self._guard.advice.time,
            )

    def _error(
        self, why: str, *, kind: type[errors.TfconvError] | None = None, **parts: Any
    ) -> errors.TfconvError:
        what = f"{self._guard.what} was stopped while {self._phase}: {why}."
        return (kind or self._guard.error)(what, **parts)

    def answer(self, status: int) -> Any:
        """What the function gave.

        Raises:
            TfconvError: What it raised, or what has become of its process.
        """
        if self._stopped is not None:
            raise self._stopped
        if FAILURE in self._answer:
            raise self._raised(self._answer[FAILURE])
        if "value" not in self._answer:
            raise self._crashed(status)
        return decode(self._answer["value"], Path())

    def _raised(self, failure: dict[str, Any]) -> errors.TfconvError:
        parts = dict(failure["parts"])
        kind = getattr(errors, failure["kind"] or "", None)
        if kind is None:
            what, frame = parts["what"], failure["frame"]
            place = "" if frame is None else f" ({frame['file']}, line {frame['line']})"
            text = f"{self._guard.what} failed while {self._phase}: {what}{place}"
            return self._guard.error(text, log=self._log)
        if "report" in parts:
            parts["report"] = decode(parts["report"], Path())
        error: errors.TfconvError = kind(**parts)
        return error

    def _crashed(self, status: int) -> errors.TfconvError:
        end = JobEnd(
            exit_code=status if status >= 0 else None,
            signal=-status if status < 0 else None,
            peak_mb=self._peak_mb,
            killed_for_memory=False,
        )
        told = last_lines(self._log)
        last = "\n".join(f"    {line}" for line in told)
        # Nobody but the kernel kills one of these so, and it does for lack of memory.
        for_memory = status == -signal.SIGKILL or any("std::bad_alloc" in line for line in told)
        kind = self._guard.memory_error if for_memory else None
        return (kind or self._guard.error)(
            f"{self._guard.what} died while {self._phase}: {how_it_ended(end)}",
            received=f"the last lines of its log:\n{last}" if last else None,
            fix=self._guard.advice.memory if kind else self._guard.advice.crash,
            log=self._log,
        )


def _audit(opened: list[str], listed: list[str]) -> None:
    """Lets whoever watches this process know what its child has read, as if it had done it."""
    for path in opened:
        sys.audit("open", path, None, os.O_RDONLY)
    for folder in listed:
        sys.audit("os.listdir", folder)


def end_group(pid: int) -> None:
    """Ends a process and all that it has started; it gets no chance to do anything else."""
    for end in (os.killpg, os.kill):  # a child that was just forked has no group yet
        with suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)


def die_with(parent: int) -> None:
    """Lets the kernel end this process when its parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it ended before that


def free_memory_mb() -> float:
    """Memory that can be had without swapping, in MB: of the machine or of this control group."""
    free = [_meminfo_bytes("MemAvailable")]
    for folder in _groups():
        with suppress(OSError, ValueError):
            most = int((folder / "memory.max").read_text())
            free.append(most - int((folder / "memory.current").read_text()))
    return max(min(free), 0) / 1e6


def _groups() -> Iterator[Path]:
    """Folders of this process's control group (version 2), in a container and out of one."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::"):
                yield Path("/sys/fs/cgroup") / line[3:].lstrip("/")
    yield Path("/sys/fs/cgroup")


def _meminfo_bytes(name: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return sys.maxsize


def _tree(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0
