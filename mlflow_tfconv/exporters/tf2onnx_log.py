"""Reads tf2onnx's log, where it says what it can't convert instead of raising an error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def errors_noted() -> Iterator[list[str]]:
    """Collects what tf2onnx logs as errors, and keeps its log to itself."""
    noted: list[str] = []
    logger = logging.getLogger("tf2onnx")
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: noted.append(record.getMessage())  # type: ignore[method-assign]
    propagate, handlers = logger.propagate, logger.handlers
    logger.propagate, logger.handlers = False, [handler]
    try:
        yield noted
    finally:
        logger.propagate, logger.handlers = propagate, handlers
