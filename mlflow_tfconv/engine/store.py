"""Results of steps, kept by fingerprint, and what happened last to each step of a profile."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.atomic import replace_folder, write_text
from mlflow_tfconv.engine.cards import Card
from mlflow_tfconv.engine.codec import decode
from mlflow_tfconv.engine.digests import Digests, content_of
from mlflow_tfconv.engine.events import Event, Progress

RESULT_FILE = "result.json"
EVENTS_FILE = "events.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """A finished step's result.

    Attributes:
        step: The step's name.
        fingerprint: What it was made from.
        folder: Where it lies.
        output: The noun.
        card: What a person wants to see.
        content: Digest of the noun with all its files: what later steps hang on.
        seconds: How long the step took.
    """

    step: str
    fingerprint: str
    folder: Path
    output: Any
    card: Card
    content: str
    seconds: float

    def events(self, store: Path) -> Iterator[Event]:
        """What the step said, without its progress."""
        path = self.folder / EVENTS_FILE
        if not path.is_file():
            return
        for line in path.read_text().splitlines():
            event = decode(json.loads(line), self.folder, store)
            if not isinstance(event, Progress):
                yield event


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """What happened last to a step under a profile.

    Attributes:
        status: "running" | "done" | "failed" | "interrupted".
        fingerprint: What was being made.
        started_s: Seconds since the epoch.
        seconds: How long it took, None while it runs.
        error: The first lines of what went wrong.
        log: Its log file.
        ingredients: What the fingerprint was made of, to tell later what has changed.
    """

    status: str
    fingerprint: str
    started_s: float = field(default_factory=time.time)
    seconds: float | None = None
    error: str | None = None
    log: str | None = None
    ingredients: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Store:
    """The folder of a recipe's state.

    Attributes:
        root: `results/<step>/<fingerprint>`, `parts/<step>/<fingerprint>`, `work`, `logs`.
    """

    root: Path

    def work_folder(self, step: str, fingerprint: str) -> Path:
        """Where a step writes until it has succeeded."""
        return self.root / "work" / f"{step}-{fingerprint}"

    def parts_folder(self, step: str) -> Path:
        """Where a step's sub-results are kept."""
        return self.root / "parts" / step

    def result_folder(self, step: str, fingerprint: str) -> Path:
        """Where a finished result lies."""
        return self.root / "results" / step / fingerprint

    def lookup(self, step: str, fingerprint: str, digests: Digests) -> StoredResult | None:
        """The result for this fingerprint, if it is whole and what it read is unchanged."""
        folder = self.result_folder(step, fingerprint)
        try:
            data = json.loads((folder / RESULT_FILE).read_text())
        except (OSError, ValueError):
            return None
        if any(digests.of(Path(path)) != digest for path, digest in data["opened"].items()):
            return None
        try:
            result = self._read(step, fingerprint, data)
        except (KeyError, TypeError):
            # Written by another version of this package.
            return None
        return result if content_of(result.output, digests) == result.content else None

    def commit(self, step: str, fingerprint: str, seconds: float, digests: Digests) -> StoredResult:
        """Puts a finished work folder in place and notes the digest of what is in it."""
        work, folder = self.work_folder(step, fingerprint), self.result_folder(step, fingerprint)
        data = json.loads((work / RESULT_FILE).read_text())
        output = decode(data["output"], work, self.root)
        data |= {"seconds": seconds, "content": content_of(output, digests)}
        data["opened"] = {path: digests.of(Path(path)) for path in data["opened"]}
        write_text(work / RESULT_FILE, json.dumps(data, indent=1))
        replace_folder(work, folder)
        return self._read(step, fingerprint, data)

    def _read(self, step: str, fingerprint: str, data: dict[str, Any]) -> StoredResult:
        folder = self.result_folder(step, fingerprint)
        return StoredResult(
            step=step,
            fingerprint=fingerprint,
            folder=folder,
            output=decode(data["output"], folder, self.root),
            card=decode(data["card"], folder, self.root),
            content=data["content"],
            seconds=data["seconds"],
        )

    def records(self, profile: str) -> dict[str, StepRecord]:
        """What happened last to each step under a profile."""
        try:
            data = json.loads(self._records_file(profile).read_text())
            return {step: StepRecord(**record) for step, record in data.items()}
        except (OSError, ValueError, TypeError):
            return {}

    def record(self, profile: str, step: str, record: StepRecord) -> None:
        """Notes what happened to a step."""
        records = {**self.records(profile), step: record}
        text = json.dumps({name: asdict(item) for name, item in records.items()}, indent=1)
        write_text(self._records_file(profile), text)

    def _records_file(self, profile: str) -> Path:
        return self.root / "profiles" / f"{profile}.json"

    def clean(self, step: str | None) -> int:
        """Frees the results of a step, or all; gives the number of bytes freed."""
        names = [step] if step else [p.name for p in (self.root / "results").glob("*")]
        doomed = [self.root / kind / name for name in names for kind in ("results", "parts")]
        doomed += [p for name in names for p in (self.root / "work").glob(f"{name}-*")]
        freed = sum(p.lstat().st_size for top in doomed for p in top.rglob("*") if p.is_file())
        for folder in doomed:
            shutil.rmtree(folder, ignore_errors=True)
        return freed
