"""How far the stream of examples is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any

from mlflow_tfconv.engine.events import Emit, Progress

_EVERY_S = 0.25


def counted(examples: Iterable[Any], emit: Emit, label: str = "examples") -> Iterator[Any]:
    """The same examples; now and then, and at the end, a Progress event tells their number."""
    total = len(examples) if isinstance(examples, Sized) else None
    done, told = 0, time.monotonic()
    for example in examples:
        yield example
        done += 1
        if time.monotonic() - told > _EVERY_S:
            emit(Progress(label=label, done=done, total=total))
            told = time.monotonic()
    emit(Progress(label=label, done=done, total=done))
