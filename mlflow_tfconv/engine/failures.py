"""What a failed step tells its user: their own error first, then where to read more."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import mlflow_tfconv.errors as errors
from mlflow_tfconv.engine.jobs import JobEnd

_LOG_LINES = 12


def error_of_failure(
    step: str, failure: dict[str, Any], log: Path | None = None
) -> errors.TfconvError:
    """The exception for a failure that the step's process described."""
    parts, frame = {**failure["parts"], "log": log}, failure["frame"]
    parts["what"] = f"{step} failed: {parts['what']}"
    if failure["kind"] is not None:
        kind = getattr(errors, failure["kind"], errors.StepError)
        return kind(**parts)
    if frame is None:
        return errors.StepError(**parts)
    place = f"  {frame['file']}, line {frame['line']}, in {frame['function']}\n    {frame['code']}"
    return errors.UserCodeError(**{**parts, "what": f"{parts['what']}\n{place}"})


def error_of_end(step: str, end: JobEnd, log: Path) -> errors.StepCrashedError:
    """The exception for a process that died without saying why."""
    last = "\n".join(f"    {line}" for line in _last_lines(log))
    return errors.StepCrashedError(
        f"{step} died: {_how(end)}",
        received=f"the last lines of its log:\n{last}" if last else None,
        fix=_advice(end),
        log=log,
    )


def _how(end: JobEnd) -> str:
    if end.signal is None:
        return f"its process left with status {end.exit_code} without a result."
    name = signal.Signals(end.signal).name
    peak = f" It had used up to {end.peak_mb:,.0f} MB of memory." if end.peak_mb else ""
    if end.signal == signal.SIGKILL and end.killed_for_memory:
        return f"the kernel killed its process for lack of memory ({name}).{peak}"
    if end.signal == signal.SIGKILL:
        return f"its process was killed from outside ({name}), as the kernel does when memory is short.{peak}"
    if end.signal in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT, signal.SIGFPE):
        return f"its process crashed in native code ({name}: {signal.strsignal(end.signal)}).{peak}"
    return f"its process was ended by {name}.{peak}"


def _advice(end: JobEnd) -> str:
    if end.signal == signal.SIGKILL:
        return "Use a smaller batch_size, or a machine with more memory; the same command goes on from here."
    if end.signal == signal.SIGILL:
        return "A library was built for another processor: `tfconv doctor` tells more."
    if end.signal is not None:
        return "The Python line it was at is in the log's last lines; `tfconv doctor` checks the libraries."
    return "Something called exit(); raise an exception instead."


def _last_lines(log: Path) -> list[str]:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-_LOG_LINES:]
