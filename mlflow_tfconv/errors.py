"""The errors that a user of mlflow_tfconv can meet.

TfconvError
├── ConfigError            a recipe, a profile or an argument can't be used as it is
├── DataError              a source, a shard or an example is damaged or unfit
├── DeviceError            the device that was asked for is not there or was not used
├── ConversionError        a model can't be read or converted
│   └── ParityError        an exported model disagrees with its source (`.report`)
├── CompressionError       a variant can't be made
│   └── AuditError         a variant is not what its name says
├── BenchmarkError         a variant can't be measured
├── GateError              no variant passed the validation criteria
├── StepError              a step of a recipe failed
│   ├── UserCodeError      code of the recipe's owner raised an exception
│   ├── OutOfMemoryError   training needs more memory than there is, or than it may take
│   └── StepCrashedError   the process of a step died (signal, out of memory)
├── BusyError              another run of the same recipe is under way
├── TrackingError          the tracking server or the model registry refused
└── MissingLibraryError    an optional library is not installed
"""

from __future__ import annotations

from typing import Any


class TfconvError(Exception):
    """The base of all errors of this package: what happened, what was received, how to mend it.

    Attributes:
        what: What happened, and where.
        received: The value that was met, or None when there is nothing to show.
        expected: What would have been right, in words, or None.
        fix: How to mend it, or None.
        log: The file with the whole story, or None.
    """

    def __init__(
        self,
        what: str,
        *,
        received: object = None,
        expected: object = None,
        fix: str | None = None,
        log: object = None,
    ) -> None:
        self.what = what
        self.received = None if received is None else str(received)
        self.expected = None if expected is None else str(expected)
        self.fix = fix
        self.log = None if log is None else str(log)
        super().__init__(what)

    def __str__(self) -> str:
        """The whole message, one part a line."""
        lines = [self.what]
        if self.received is not None:
            lines.append(f"  Received: {self.received}")
        if self.expected is not None:
            lines.append(f"  Expected: {self.expected}")
        if self.fix is not None:
            lines.append(f"  Fix: {self.fix}")
        if self.log is not None:
            lines.append(f"  Log: {self.log}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keyword-only parts survive pickling."""
        return (_rebuild, (type(self), self.__dict__.copy()))


def _rebuild(kind: type[TfconvError], state: dict[str, Any]) -> TfconvError:
    error = kind.__new__(kind)
    Exception.__init__(error, state["what"])
    error.__dict__.update(state)
    return error


class ConfigError(TfconvError, ValueError):
    """Raised when a recipe, a profile or an argument can't be used as it is."""


class DataError(TfconvError):
    """Raised when a source, a shard or an example is damaged or unfit."""


class DeviceError(TfconvError):
    """Raised when the device that was asked for is not there or was not used."""


class ConversionError(TfconvError):
    """Raised when a model can't be read or converted."""


class ParityError(ConversionError):
    """Raised when an exported model disagrees with its source.

    Attributes:
        report: The `ParityReport` that failed.
    """

    def __init__(self, what: str, *, report: object = None, **parts: Any) -> None:
        super().__init__(what, **parts)
        self.report = report


class CompressionError(TfconvError):
    """Raised when a variant can't be made."""


class AuditError(CompressionError):
    """Raised when a variant is not what its name says, such as int8 with float weights."""


class BenchmarkError(TfconvError):
    """Raised when a variant can't be measured."""


class GateError(TfconvError):
    """Raised when no variant passed the validation criteria."""


class StepError(TfconvError):
    """Raised when a step of a recipe failed."""


class UserCodeError(StepError):
    """Raised when code of the recipe's owner raised an exception."""


class OutOfMemoryError(StepError):
    """Raised when training needs more memory than there is, or than it may take."""


class StepCrashedError(StepError):
    """Raised when the process of a step died: by a signal, or for lack of memory."""


class BusyError(TfconvError):
    """Raised when another run of the same recipe is under way."""


class TrackingError(TfconvError):
    """Raised when the tracking server or the model registry refused."""


class MissingLibraryError(TfconvError):
    """Raised when an optional library is not installed."""
