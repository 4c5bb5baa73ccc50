"""What has been logged where: a JSON file that saves asking the server.

The runs on the server are the truth, this is a note of them: losing it makes results be logged
again into a new parent run, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.atomic import write_text
from mlflow_tfconv.tracking.trial_runs import UNKNOWN_SEARCH


class Ledger:
    """The notes on one destination; every change is on disk before the call returns.

    One run of a recipe at a time writes here, so the file is read once.

    Args:
        path: The JSON file; made when something is first noted.
        destination_key: The part of the file that this is about.
    """

    def __init__(self, path: Path, destination_key: str) -> None:
        self._path = path
        self._key = destination_key
        self._notes: dict[str, Any] | None = None

    def parent_of(self, model_key: str | None) -> str | None:
        """The parent run of a model, or None."""
        run_id = self._read()["models"].get(model_key)
        return None if run_id is None else str(run_id)

    def note_model(self, model_key: str, run_id: str) -> None:
        """From now on this parent run belongs to the model."""
        with self._change() as notes:
            notes["models"][model_key] = run_id

    def open_parent(self) -> Mapping[str, Any] | None:
        """The parent that a killed command left open: `{"run_id", "model_key"}`."""
        found: Mapping[str, Any] | None = self._read()["open"]
        return found

    def note_open(self, run_id: str | None, model_key: str | None) -> None:
        """A parent is being written to; None for `run_id` when it is no more."""
        with self._change() as notes:
            notes["open"] = run_id and {"run_id": run_id, "model_key": model_key}

    def forget(self, run_id: str) -> None:
        """The server has this parent no more."""
        with self._change() as notes:
            notes["models"] = {k: v for k, v in notes["models"].items() if v != run_id}
            notes["runs"].pop(run_id, None)
            if (notes["open"] or {}).get("run_id") == run_id:
                notes["open"] = None

    def has_step(self, run_id: str, step: str, fingerprint: str) -> bool:
        """Whether this result of a step is in the parent run."""
        return bool(self._run(run_id)["steps"].get(step) == fingerprint)

    def note_step(self, run_id: str, step: str, fingerprint: str) -> None:
        """Everything that this result of the step says is in the parent run now."""
        with self._change() as notes:
            _run_in(notes, run_id)["steps"][step] = fingerprint

    def child(self, run_id: str, run_name: str) -> Mapping[str, Any] | None:
        """The child run of a variant: `{"run_id", "fingerprint", "model"}`, or None."""
        found: Mapping[str, Any] | None = self._run(run_id)["children"].get(run_name)
        return found

    def note_child(self, run_id: str, run_name: str, child_id: str, fingerprint: str) -> None:
        """The variant has this child run, and no model in it yet."""
        child = {"run_id": child_id, "fingerprint": fingerprint, "model": None}
        with self._change() as notes:
            _run_in(notes, run_id)["children"][run_name] = child

    def note_ended(self, run_id: str, run_name: str, status: str) -> None:
        """All that a trial has to say is logged."""
        with self._change() as notes:
            _run_in(notes, run_id)["children"][run_name]["ended"] = status

    def note_model_file(self, run_id: str, run_name: str, model: Mapping[str, Any]) -> None:
        """The variant's model is logged, loaded back and compared."""
        with self._change() as notes:
            _run_in(notes, run_id)["children"][run_name]["model"] = dict(model)

    def children(self, run_id: str) -> dict[str, str]:
        """Run name of each variant to its child run's id."""
        return {name: child["run_id"] for name, child in self._run(run_id)["children"].items()}

    def search(self, run_id: str) -> Mapping[str, Any]:
        """What sorts the trials of a parent: `{"metric", "ascending"}`."""
        found: Mapping[str, Any] = self._run(run_id).get("search", UNKNOWN_SEARCH)
        return found

    def note_search(self, run_id: str, search: Mapping[str, Any]) -> None:
        """The parent run has trials, of which this told the best."""
        with self._change() as notes:
            _run_in(notes, run_id)["search"] = dict(search)

    def registered(self, run_id: str) -> Mapping[str, Any] | None:
        """The model version that came out of the parent run, or None."""
        found: Mapping[str, Any] | None = self._run(run_id)["registered"]
        return found

    def note_registered(self, run_id: str, version: Mapping[str, Any]) -> None:
        """The registry has this model version of the parent run."""
        with self._change() as notes:
            _run_in(notes, run_id)["registered"] = dict(version)

    def experiment_id(self) -> str | None:
        """The experiment's id, once it is known."""
        found: str | None = self._read()["experiment_id"]
        return found

    def note_experiment(self, experiment_id: str) -> None:
        """The experiment has this id on the server."""
        with self._change() as notes:
            notes["experiment_id"] = experiment_id

    def _run(self, run_id: str) -> dict[str, Any]:
        return _run_in(self._read(), run_id)

    def _read(self) -> dict[str, Any]:
        if self._notes is None:
            empty: dict[str, Any] = {"models": {}, "open": None, "runs": {}, "experiment_id": None}
            self._notes = {**empty, **self._read_all().get(self._key, {})}
        return self._notes

    def _read_all(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @contextmanager
    def _change(self) -> Iterator[dict[str, Any]]:
        notes = self._read()
        yield notes
        text = json.dumps({**self._read_all(), self._key: notes}, indent=1, sort_keys=True)
        write_text(self._path, text + "\n")


def _run_in(notes: dict[str, Any], run_id: str) -> dict[str, Any]:
    empty: dict[str, Any] = {"steps": {}, "children": {}, "registered": None}
    run: dict[str, Any] = notes["runs"].setdefault(run_id, empty)
    return run
