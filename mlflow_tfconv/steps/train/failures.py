"""What TensorFlow says of a failure while it trains, in a line that a person can read."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from mlflow_tfconv.engine.user_files import is_installed
from mlflow_tfconv.errors import StepError
from mlflow_tfconv.steps.train.out_of_memory import shortage_in

#: Lines that name places in graphs, of no use to who wrote the model, and such parts of others.
_PLACE = re.compile(
    r'Graph execution error:|Detected at node |File "|<stack traces|Traceback \(|\d+ root error'
)
_PART = re.compile(r"\[\[\{\{.*?\]\]|\{\{(function_)?node [^}]*\}\}|\[Op:[^\]]*\]( name:.*)?")
_LONGEST = 300  # characters; a message may list every label of a batch
_FIXES = (
    (
        "outside the valid range of [0,",
        "Give the last layer one unit for each class, and count the classes from 0.",
    ),
)
_ELSE = "Look into the log: it has the whole message, with the layer or the operation it is from."


@contextlib.contextmanager
def told_in_a_line() -> Iterator[None]:
    """Errors of TensorFlow become a StepError with the reason alone, and so does a full disk.

    Raises:
        StepError: From the error, which has the rest.
        OpError: It is the user's own code, or a lack of memory, of which others tell more.
    """
    try:
        yield
    except (tf.errors.OpError, OSError) as e:
        if disk_is_full(e):
            raise StepError(
                "The disk is full.",
                received=first_reason(str(e)),
                expected="room for the model, the logs, and the states that training goes on from",
                fix="Make room and run the same command again: it goes on after the last epoch.",
            ) from e
        if isinstance(e, OSError):
            raise
        if from_users_code(e) or shortage_in(str(e)) is not None:
            raise
        reason = first_reason(str(e.message or e))
        fix = next((fix for words, fix in _FIXES if words in reason), _ELSE)
        raise StepError(
            f"TensorFlow could not train the model: {reason}", received=type(e).__name__, fix=fix
        ) from e


def disk_is_full(error: Exception) -> bool:
    """Whether something could not be written for lack of room; libraries lose the number."""
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error)


def first_reason(message: str) -> str:
    """The first line that says what went wrong; `Graph execution error:` and places are cut."""
    lines = (_PART.sub("", line).strip() for line in message.splitlines())
    reason = next((line for line in lines if line and not _PLACE.match(line)), "")
    if not reason:
        return "no reason was given"
    return reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]}..."


def from_users_code(error: BaseException) -> bool:
    """Whether code outside of installed packages, such as a layer's `call`, raised it."""
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    return any(file.suffix == ".py" and not is_installed(file) for file in files)
