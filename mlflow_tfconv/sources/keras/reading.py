"""What reading a Keras model gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.artifacts import Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasReading:
    """A Keras model of any age, as a live one of today.

    Attributes:
        model: The `keras.Model` of Keras 3, with its weights, not compiled.
        source_format: A key of `FORMATS`.
        choices: What the files left open, and what was taken.
        warnings: What a user should know.
    """

    model: Any
    source_format: str
    choices: tuple[Choice, ...] = ()
    warnings: tuple[str, ...] = ()
