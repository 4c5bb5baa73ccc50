"""What a failed step tells its user: their own error first, then where to read more."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import mlflow_tfconv.errors as errors
from mlflow_tfconv.engine.codec import decode
from mlflow_tfconv.engine.jobs import JobEnd

_LOG_LINES = 12
_MESSAGE_LINES = 20
_NO_MEMORY = "std::bad_alloc"  # how C++ says that there is none
_LESS_MEMORY = (
    "Use a smaller batch_size (`batch_size: auto` finds one that fits), or a machine with more "
    "memory; the same command goes on from here."
)


def error_of_failure(
    step: str, failure: dict[str, Any], log: Path | None = None
) -> errors.TfconvError:
    """The exception for a failure that the step's process described."""
    parts, frame = {**failure["parts"], "log": log}, failure["frame"]
    first, _, rest = f"{step} failed: {parts['what']}".partition("\n")
    parts["what"] = "\n".join([first, *_place(frame), *_shortened(rest.splitlines())])
    if failure["kind"] is None:
        return errors.StepError(**parts) if frame is None else errors.UserCodeError(**parts)
    kind = getattr(errors, failure["kind"], errors.StepError)
    if "report" in parts:
        parts["report"] = decode(parts["report"], Path())
    return kind(**parts)


def _place(frame: dict[str, Any] | None) -> list[str]:
    """The line of the user's own code, right below the first line of what happened."""
    if frame is None:
        return []
    place = f"  {frame['file']}, line {frame['line']}, in {frame['function']}"
    return [place, f"    {frame['code']}"] if frame["code"] else [place]


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= _MESSAGE_LINES:
        return lines
    return [
        *lines[:_MESSAGE_LINES],
        f"  ... and {len(lines) - _MESSAGE_LINES} more lines in the log",
    ]


def error_of_end(step: str, end: JobEnd, log: Path) -> errors.StepCrashedError:
    """The exception for a process that died without saying why."""
    log = end.server_log or log
    told = last_lines(log)
    last = "\n".join(f"    {line}" for line in told)
    return errors.StepCrashedError(
        f"{step} died: {how_it_ended(end)}",
        received=f"the last lines of its log:\n{last}" if last else None,
        fix=_LESS_MEMORY if any(_NO_MEMORY in line for line in told) else _advice(end),
        log=log,
    )


def how_it_ended(end: JobEnd) -> str:
    """What has become of a process that gave no result, in a sentence."""
    if end.signal is None:
        return f"its process left with status {end.exit_code} without a result."
    name = _name(end.signal)
    peak = f" It had used up to {end.peak_mb:,.0f} MB of memory." if end.peak_mb else ""
    if end.signal == signal.SIGKILL and end.killed_for_memory:
        return f"the kernel killed its process for lack of memory ({name}).{peak}"
    if end.signal == signal.SIGKILL:
        return f"its process was killed from outside ({name}), as the kernel does when memory is short.{peak}"
    if end.signal in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT, signal.SIGFPE):
        return f"its process crashed in native code ({name}: {signal.strsignal(end.signal)}).{peak}"
    return f"its process was ended by {name}.{peak}"


def _name(number: int) -> str:
    known = {int(one): one.name for one in signal.Signals}
    return known.get(number, f"signal {number}")


def _advice(end: JobEnd) -> str:
    if end.signal == signal.SIGKILL:
        return _LESS_MEMORY
    if end.signal == signal.SIGILL:
        return "A library was built for another processor: `tfconv doctor` tells more."
    if end.signal is not None:
        return "The Python line it was at is in the log's last lines; `tfconv doctor` checks the libraries."
    if end.server_log is not None:
        return "The process that imports TensorFlow could not start: `tfconv doctor` tells more."
    return "Something called exit(); raise an exception instead."


def last_lines(log: Path) -> list[str]:
    """What a log ended with; of a crash, where Python was."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return []
    told = [line for line in lines if line.strip()]
    crashes = [n for n, line in enumerate(told) if line.startswith("Fatal Python error")]
    # Below a crash stands where Python was, the innermost line first.
    end = crashes[-1] + _LOG_LINES // 2 if crashes else len(told)
    return told[:end][-_LOG_LINES:]
