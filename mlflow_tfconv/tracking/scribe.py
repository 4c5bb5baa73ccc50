"""Writes events into the parent run and its children; works on the mailbox's thread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlflow_tfconv.engine.events import (
    ArtifactFile,
    DatasetUsed,
    Metric,
    ModelFile,
    Param,
    RegisterModel,
    RunEnded,
    Tag,
    VariantRun,
)
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.tracking.default_server import default_server
from mlflow_tfconv.tracking.ledger import Ledger
from mlflow_tfconv.tracking.server import (
    FINGERPRINT_TAG,
    KIND_TAG,
    PARENT_TAG,
    SOURCE_TAG,
    SUPERSEDED_TAG,
    TRIAL,
    Batch,
    RefusedError,
    Server,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLogged:
    """Comes after all that a step's result says."""

    step: str
    fingerprint: str


class Scribe:
    """Turns events into requests, as few as possible.

    Attributes:
        notes: What the user should know, in words.
    """

    def __init__(self, server: Server, ledger: Ledger, parent: str, recipe: str) -> None:
        self.notes: list[str] = []
        self._server = server
        self._ledger = ledger
        self._parent = parent
        self._recipe = recipe
        self._batches: dict[str, Batch] = defaultdict(Batch)
        self._models: dict[str, ModelFile] = {}
        self._registrations: list[RegisterModel] = []
        self._waiting: list[StepLogged] = []
        self._told: set[str] = set()  # trials that are logged to their end

    def write(self, items: Sequence[tuple[str, Any] | StepLogged]) -> None:
        """Logs a handful of events, in their order.

        Raises:
            TrackingError: The server can't be reached.
        """
        for item in items:
            if isinstance(item, StepLogged):
                self._flush()
                self._note_step(item)
            else:
                self._take(item[1])
        self._flush()

    def _take(self, event: Any) -> None:
        if getattr(event, "run", None) in self._told and not isinstance(event, VariantRun):
            return  # said again, by a search that goes on after a kill
        if isinstance(event, Metric | Param | Tag):
            self._collect(event)
        elif isinstance(event, VariantRun):
            self._variant(event)
        elif isinstance(event, RunEnded):
            self._child_ended(event)
        elif isinstance(event, ModelFile):
            self._models[event.run] = event
        elif isinstance(event, RegisterModel):
            self._registrations.append(event)
        elif isinstance(event, ArtifactFile):
            self._artifact(event)
        elif isinstance(event, DatasetUsed):
            self._dataset(event)

    def _collect(self, event: Metric | Param | Tag) -> None:
        batch = self._batches[self._run_of(event.run)]
        if isinstance(event, Metric):
            model = None if event.run is None else (self.child_of(event.run) or {}).get("model")
            model_id = (model or {}).get("model_id")
            batch.metrics.append(
                (event.name, float(event.value), event.time_ms, event.step, model_id)
            )
        elif isinstance(event, Param):
            batch.params[event.name] = str(event.value)
        else:
            batch.tags[event.name] = event.value

    def _flush(self) -> None:
        batches, self._batches = self._batches, defaultdict(Batch)
        for run_id, batch in batches.items():
            try:
                self.notes += self._server.log(run_id, batch)
            except RefusedError as error:
                self.notes.append(str(error))

    def _run_of(self, run_name: str | None) -> str:
        """The run that an event belongs to; a variant nobody announced gets its child run now."""
        if run_name is None:
            return self._parent
        child = self.child_of(run_name)
        return child["run_id"] if child else self._new_child(run_name, "")

    def child_of(self, run_name: str) -> Mapping[str, Any] | None:
        """The ledger's note of a child run that is still on the server."""
        alive = self._alive  # before the ledger is asked: it may learn something by that
        child = self._ledger.child(self._parent, run_name)
        return child if child and child["run_id"] in alive else None

    @cached_property
    def _alive(self) -> set[str]:
        """Ids of the children on the server; those the ledger missed, by a kill, are noted."""
        found = self._server.children(self._parent)
        for run_name, run_id, fingerprint in found:
            noted = self._ledger.child(self._parent, run_name)
            if noted is None or noted["run_id"] not in {i for _, i, _ in found}:
                self._ledger.note_child(self._parent, run_name, run_id, fingerprint)
        return {run_id for _, run_id, _ in found}

    def _variant(self, event: VariantRun) -> None:
        """An unchanged variant keeps its run; a changed one gets a new one (params are final)."""
        child = self.child_of(event.run)
        if child is not None and _goes_on(child, event):
            run_id = child["run_id"]
            self._continue(event, child)
        else:
            self._supersede(event, child)
            run_id = self._adopted(event, child) or self._new_child(
                event.run, event.fingerprint, event.kind
            )
        params = {name: str(value) for name, value in event.params.items()}
        self._batches[run_id].params.update(params)

    def _continue(self, event: VariantRun, child: Mapping[str, Any]) -> None:
        if child.get("ended") is not None:
            self._told.add(event.run)
        elif event.kind == TRIAL:
            self._server.set_status(child["run_id"], "RUNNING")

    def _supersede(self, event: VariantRun, child: Mapping[str, Any] | None) -> None:
        self._told.discard(event.run)
        if child is None or not child["fingerprint"]:
            return
        self._server.log(child["run_id"], Batch(tags={SUPERSEDED_TAG: "true"}))
        if event.kind == TRIAL and child.get("ended") is None:
            self._server.set_status(child["run_id"], "KILLED")

    def _child_ended(self, event: RunEnded) -> None:
        self._flush()  # a run that has ended is whole
        run_id = self._run_of(event.run)
        self._server.set_status(run_id, event.status)
        self._ledger.note_ended(self._parent, event.run, event.status)

    def _adopted(self, event: VariantRun, child: Mapping[str, Any] | None) -> str | None:
        """A child that was made for an early metric, before the variant was announced."""
        if child is None or child["fingerprint"]:
            return None
        run_id = str(child["run_id"])
        self._batches[run_id].tags[FINGERPRINT_TAG] = event.fingerprint
        self._ledger.note_child(self._parent, event.run, run_id, event.fingerprint)
        return run_id

    def _new_child(self, run_name: str, fingerprint: str, kind: str = "variant") -> str:
        run_id = self._server.create_run(
            run_name,
            {
                PARENT_TAG: self._parent,
                KIND_TAG: kind,
                FINGERPRINT_TAG: fingerprint,
                SUPERSEDED_TAG: "false",
                SOURCE_TAG: self._recipe,
            },
        )
        if kind != TRIAL:
            # Ended at once: metrics can still be added, and a kill leaves no run that seems to go
            # on. A trial says when it ends.
            self._server.set_status(run_id, "FINISHED")
        self._ledger.note_child(self._parent, run_name, run_id, fingerprint)
        self._alive.add(run_id)
        return run_id

    def _artifact(self, event: ArtifactFile) -> None:
        run_id, client = self._run_of(event.run), self._server.client
        if not event.path.exists():
            self.notes.append(f"{event.path} is gone and was not logged.")
            return
        log = client.log_artifacts if event.path.is_dir() else client.log_artifact
        try:
            # MLflow 2.22 sends files to the default server, whatever its client was told.
            with default_server(self._server.destination.tracking_uri):
                self._server.call(lambda: log(run_id, str(event.path), event.folder or None))
        except RefusedError as error:
            self.notes.append(str(error))

    def _dataset(self, event: DatasetUsed) -> None:
        from mlflow_tfconv.tracking.lineage import dataset_input

        try:
            used = dataset_input(event.manifest, self._recipe, event.context)
            self._server.call(lambda: self._server.client.log_inputs(self._parent, datasets=[used]))
        except (DataError, RefusedError) as error:
            self.notes.append(f"The dataset is not in the run's lineage: {error}")

    def _note_step(self, item: StepLogged) -> None:
        """A result counts as logged when its models and registrations are, too."""
        if self._models or self._registrations:
            self._waiting.append(item)
        else:
            self._ledger.note_step(self._parent, item.step, item.fingerprint)

    def note_waiting_steps(self) -> None:
        """Models and registrations are done: the steps they belong to are logged."""
        for item in self._waiting:
            self._ledger.note_step(self._parent, item.step, item.fingerprint)
        self._waiting.clear()

    def models_to_log(self) -> list[tuple[ModelFile, str]]:
        """Models that their child runs don't have yet, with the id of each child."""
        ids = {run_name: self._run_of(run_name) for run_name in self._models}
        logged = {name for name in ids if (self.child_of(name) or {}).get("model")}
        self._models = {name: e for name, e in self._models.items() if name not in logged}
        return [(event, ids[name]) for name, event in self._models.items()]

    def note_model(self, event: ModelFile, result: Mapping[str, Any]) -> None:
        """A model is logged, loaded back and compared."""
        model = {"uri": result["uri"], "model_id": result["model_id"]}
        self._ledger.note_model_file(self._parent, event.run, model)
        del self._models[event.run]

    def take_registrations(self) -> list[RegisterModel]:
        """What is to be registered, once."""
        taken, self._registrations = self._registrations, []
        return taken


def _goes_on(child: Mapping[str, Any], event: VariantRun) -> bool:
    """Whether an announced variant or trial keeps its run; one that has failed is a new try."""
    return bool(child["fingerprint"] == event.fingerprint and child.get("ended") != "FAILED")
