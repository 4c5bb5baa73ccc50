"""How the quality of the variants is judged."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityOptions:
    """How the quality of the variants is judged.

    Attributes:
        resamples: How often the examples are drawn anew for the intervals; 0 gives none.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    resamples: int = 1000
