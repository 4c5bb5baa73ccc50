"""Sub-results of a step, such as one variant, kept by fingerprint."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """A value as JSON gives it back: tuples are lists, what JSON can't hold is text."""
    return json.loads(json.dumps(value, default=_as_json))


def fingerprint_of(ingredients: Mapping[str, Any]) -> str:
    """A short digest of plain values (dataclasses and paths are written as text)."""
    text = json.dumps(ingredients, sort_keys=True, default=_as_json, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _as_json(value: Any) -> Any:
    """A set has another order in every process."""
    return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)


@dataclass(frozen=True, slots=True)
class Parts:
    """A folder of finished sub-results, each under its fingerprint.

    Attributes:
        root: The folder; made when it is first needed.
    """

    root: Path

    def build(self, ingredients: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        """The folder that `make` filled for these ingredients, now or in an earlier run.

        Args:
            ingredients: Plain values that decide the content.
            make: Fills the empty folder it is given. When it raises, nothing is kept.
        """
        done = self.root / fingerprint_of(ingredients)
        if done.is_dir():
            return done
        self.root.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{done.name}-", dir=self.root))
        try:
            make(work)
            work.chmod(0o755)
            work.replace(done)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        return done
