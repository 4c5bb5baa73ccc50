"""Examples that are left out: counted and listed, up to as many as the recipe allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlflow_tfconv.errors import DataError

_LISTED = 100
_SHOWN = 10


@dataclass(slots=True)
class Skipped:
    """What was left out.

    Attributes:
        count: How many examples.
        texts: A line on each of the first.
    """

    count: int = 0
    texts: list[str] = field(default_factory=list)

    def add(self, error: DataError) -> None:
        """Takes what was wrong with an example."""
        self.count += 1
        if len(self.texts) < _LISTED:
            received = "" if error.received is None else f" Received: {error.received}."
            self.texts.append(f"{error.what}{received}")

    def merge(self, other: Skipped) -> None:
        """Takes what was left out elsewhere."""
        self.count += other.count
        self.texts += other.texts[: _LISTED - len(self.texts)]

    def check(self, most: int) -> None:
        """Refuses more than so many.

        Raises:
            DataError: There are more; lists the first.
        """
        if self.count > most:
            shown = "\n".join(f"    {text}" for text in self.texts[:_SHOWN])
            raise DataError(
                f"More than {most:,} example{'s' * (most != 1)} can't be used.",
                received=f"{self.count:,} so far, the first of them:\n{shown}",
                expected=f"at most {most:,} (`ingest.max_errors`)",
                fix="Mend the data, or set `ingest.max_errors` higher.",
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"count": self.count, "texts": self.texts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Skipped:
        """The inverse of `to_json`."""
        return cls(data["count"], list(data["texts"]))
