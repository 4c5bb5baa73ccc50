"""Results of steps, kept by fingerprint, and what happened last to each step of a profile."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.atomic import replace_folder, write_text
from mlflow_tfconv.engine.cards import Card
from mlflow_tfconv.engine.codec import decode
from mlflow_tfconv.engine.digests import Digests, content_of, names_in
from mlflow_tfconv.engine.events import Event, Progress
from mlflow_tfconv.errors import StepError

RESULT_FILE = "result.json"
EVENTS_FILE = "events.jsonl"
_KEPT = ("results", "parts")
# A file that another process is writing just now, without the lock, is younger than this.
_TEMPORARY_S = 3600


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
        for line in path.read_text(errors="replace").splitlines():
            try:
                event = decode(json.loads(line), self.folder, store)
            except ValueError:  # a run that was killed in the middle of a line
                continue
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
        file = self.result_folder(step, fingerprint) / RESULT_FILE
        try:
            data = json.loads(file.read_text())
            result = self._read(step, fingerprint, data)
            seen = {"opened": data["opened"], "listed": data["listed"]}
        except (OSError, ValueError, KeyError, TypeError):
            # There is none, or it was written by another version of this package.
            return None
        unchanged = seen == _seen(data, digests)
        return (
            result if unchanged and content_of(result.output, digests) == result.content else None
        )

    def why_not(self, step: str, fingerprint: str, digests: Digests) -> tuple[str, ...]:
        """Why `lookup` does not give a result that was made for this fingerprint, in words."""
        folder = self.result_folder(step, fingerprint)
        try:
            data = json.loads((folder / RESULT_FILE).read_text())
            seen, now = {kind: data[kind] for kind in ("opened", "listed")}, _seen(data, digests)
        except (OSError, ValueError, KeyError, TypeError):
            return (f"the result of {step} can't be read",) if folder.is_dir() else ()
        return tuple(
            path if kind == "opened" else f"the files in {path}"
            for kind in seen
            for path in seen[kind]
            if seen[kind][path] != now[kind][path]
        ) or (f"the files that {step} made",)

    def commit(self, step: str, fingerprint: str, seconds: float, digests: Digests) -> StoredResult:
        """Puts a finished work folder in place and notes the digest of what is in it.

        Raises:
            StepError: The step's process has left no result there.
        """
        work, folder = self.work_folder(step, fingerprint), self.result_folder(step, fingerprint)
        if not (work / RESULT_FILE).is_file():
            raise StepError(
                f"{step} died: its process left with status 0 without a result.",
                fix="Something called os._exit(); let `run` return.",
            )
        data = json.loads((work / RESULT_FILE).read_text())
        output = decode(data["output"], work, self.root)
        data |= {"seconds": seconds, "content": content_of(output, digests)}
        data |= _seen(data, digests)
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
        self._write_records(profile, {**self.records(profile), step: record})

    def _write_records(self, profile: str, records: Mapping[str, StepRecord]) -> None:
        text = json.dumps({name: asdict(item) for name, item in records.items()}, indent=1)
        write_text(self._records_file(profile), text)

    def _records_file(self, profile: str) -> Path:
        return self.root / "profiles" / f"{profile}.json"

    def clean(self, step: str | None) -> int:
        """Frees the results of a step, or all; gives the number of bytes freed."""
        results = [p for kind in _KEPT for p in (self.root / kind).glob(step or "*")]
        doomed = [*results, *(self.root / "work").glob(f"{step}-*" if step else "*")]
        files = {f for top in doomed for f in (top, *top.rglob("*")) if f.is_file()}
        # Variants are links to their parts: what has two names takes its room once.
        sizes = {(s := f.lstat()).st_ino: s.st_size for f in files}
        for path in doomed:
            _remove(path)
        for profile in self._profiles():
            self._forget(profile, step)
        return sum(sizes.values())

    def _forget(self, profile: str, step: str | None) -> None:
        """A freed step counts as one that has not run."""
        left = {} if step is None else self.records(profile)
        left.pop(step or "", None)
        self._write_records(profile, left)

    def sweep(self) -> None:
        """Removes what killed runs have left and nobody will ask for again.

        For the holder of the recipe's lock only. The work folder that a step of some profile would
        go on from is kept.
        """
        wanted = {
            f"{step}-{record.fingerprint}"
            for profile in self._profiles()
            for step, record in self.records(profile).items()
        }
        work = [p for p in (self.root / "work").glob("*") if p.name not in wanted]
        halves = [p for kind in _KEPT for p in (self.root / kind).glob("*/.*")]
        old = time.time() - _TEMPORARY_S
        loose = [*self.root.glob(".*"), *(self.root / "profiles").glob(".*")]
        for path in (*work, *halves, *(p for p in loose if p.lstat().st_mtime < old)):
            _remove(path)

    def _profiles(self) -> list[str]:
        return [path.stem for path in (self.root / "profiles").glob("*.json")]


def _seen(data: Mapping[str, Any], digests: Digests) -> dict[str, Any]:
    """The present digests of what a step has opened and listed."""
    return {
        "opened": {path: digests.of(Path(path)) for path in data["opened"]},
        "listed": {path: names_in(Path(path)) for path in data["listed"]},
    }


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
