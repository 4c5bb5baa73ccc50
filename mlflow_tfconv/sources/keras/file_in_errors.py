"""Errors about a layer that also name the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow_tfconv.errors import TfconvError


@contextmanager
def in_file(path: Path) -> Iterator[None]:
    """Puts the file's path before what an error says was received."""
    try:
        yield
    except TfconvError as error:
        error.received = f"{path}: {error.received}"
        raise


@contextmanager
def called_as(place: Path, path: Path) -> Iterator[None]:
    """Calls a file that was unpacked for a moment by the name of what it is from."""
    try:
        yield
    except TfconvError as error:
        error.received = (error.received or "").replace(str(place), str(path))
        raise
