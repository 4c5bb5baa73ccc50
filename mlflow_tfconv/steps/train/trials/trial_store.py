"""Where trials are kept: those at work in the step's folder, finished ones by their fingerprint.

A finished trial's result outlives the search, so that a search over more settings does not train it
again. Its model is kept as long as none is better: a hundred models would fill a disk.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.atomic import replace_folder, write_text
from mlflow_tfconv.engine.codec import decode
from mlflow_tfconv.engine.digests import Digests, names_in
from mlflow_tfconv.engine.events import Event
from mlflow_tfconv.steps.train.trials.trial import Trial
from mlflow_tfconv.steps.train.trials.trial_process import EVENTS_FILE, RESULT_FILE

_TELLING = frozenset({RESULT_FILE, EVENTS_FILE})


@dataclass(frozen=True, slots=True)
class TrialStore:
    """The folders of a search.

    Attributes:
        work: Of this search: a record and a folder a trial; gone when the search is done.
        parts: Of all searches: finished trials by fingerprint.
    """

    work: Path
    parts: Path

    def folder(self, trial: Trial) -> Path:
        """Where a trial writes while it trains."""
        return self.work / f"{trial.number:04d}"

    def begin(self, trial: Trial) -> Path:
        """Notes what a trial tries, so that it goes on with the same after a kill."""
        folder = self.folder(trial)
        folder.mkdir(parents=True, exist_ok=True)
        self._note(trial)
        return folder

    def begun(self, number: int) -> Trial | None:
        """The trial of this number that was begun before, or None."""
        try:
            data = json.loads(self._record(number).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return Trial(**data)

    def done(self, trial: Trial) -> None:
        """Puts a finished trial under its fingerprint."""
        self.parts.mkdir(parents=True, exist_ok=True)
        replace_folder(self.folder(trial), self.part(trial.fingerprint))
        self._note(trial)

    def take_finished(self, trial: Trial) -> None:
        """Does what a kill has left undone: the trial's process has ended, its search with it."""
        if (self.folder(trial) / RESULT_FILE).is_file():
            self.done(trial)

    def given_up(self, trial: Trial) -> None:
        """Notes that a trial was pruned or has failed, and frees its folder."""
        shutil.rmtree(self.folder(trial), ignore_errors=True)
        self._note(trial)

    def part(self, fingerprint: str) -> Path:
        """Where a finished trial lies."""
        return self.parts / fingerprint

    def result(self, fingerprint: str) -> dict[str, Any] | None:
        """What a finished trial gave, if all that it read is as it was; else None."""
        try:
            data = json.loads((self.part(fingerprint) / RESULT_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        digests = Digests()
        same = all(digests.of(Path(path)) == seen for path, seen in data["opened"].items())
        same = same and all(names_in(Path(f)) == seen for f, seen in data["listed"].items())
        return data if same else None

    def has_model(self, fingerprint: str) -> bool:
        """Whether the trained model is there still."""
        data = self.result(fingerprint)
        if data is None:
            return False
        path: Path = decode(data["output"], self.part(fingerprint)).path
        return path.exists()

    def drop_model(self, fingerprint: str) -> None:
        """Frees all but what tells of a trial."""
        for path in self.part(fingerprint).glob("*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in _TELLING:
                path.unlink()

    def events(self, fingerprint: str) -> Iterator[Event]:
        """What a finished trial has said."""
        return self.events_in(fingerprint, self.part(fingerprint))

    def events_in(self, fingerprint: str, home: Path) -> Iterator[Event]:
        """The same, with the paths of a folder into which its files were put."""
        text = (self.part(fingerprint) / EVENTS_FILE).read_text(encoding="utf-8")
        for line in text.splitlines():
            yield decode(json.loads(line), home)

    def clear(self) -> None:
        """Frees what belongs to this search alone."""
        shutil.rmtree(self.work, ignore_errors=True)

    def _note(self, trial: Trial) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        write_text(self._record(trial.number), json.dumps(dataclasses.asdict(trial), indent=1))

    def _record(self, number: int) -> Path:
        return self.work / f"{number:04d}.json"
