"""How far a benchmark is: a variant is one unit, half of it for opening and half for timing."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow_tfconv.engine.events import Emit, Progress, ignore

OPENING_SHARE, TIMING_SHARE = 0.5, 0.5


@dataclass(slots=True, kw_only=True)
class Told:
    """Tells how much is done.

    Attributes:
        emit: Who is told.
        total: Number of variants.
        done: So many of them.
    """

    emit: Emit = ignore
    total: int = 0
    done: float = 0.0

    def add(self, share: float, detail: str) -> None:
        """Tells what is done now, and counts it."""
        done = min(self.done, float(self.total))
        self.emit(Progress(label="benchmark", done=done, total=self.total, detail=detail))
        self.done += share

    def finish(self) -> None:
        """All is done."""
        self.emit(Progress(label="benchmark", done=self.total, total=self.total))
