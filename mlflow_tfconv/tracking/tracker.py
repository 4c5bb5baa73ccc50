"""What steps say, logged to MLflow while they say it: one parent run a model, one child a variant."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.events import (
    ArtifactFile,
    DatasetUsed,
    Event,
    Message,
    ModelFile,
    Progress,
    Tag,
)
from mlflow_tfconv.errors import TrackingError
from mlflow_tfconv.tracking.description import description, is_ours
from mlflow_tfconv.tracking.destination import Destination
from mlflow_tfconv.tracking.ledger import Ledger
from mlflow_tfconv.tracking.links import comparison_link, run_link, ui_command
from mlflow_tfconv.tracking.mailbox import Mailbox
from mlflow_tfconv.tracking.model_jobs import job_of, judged
from mlflow_tfconv.tracking.registry import RegisteredVersion, register
from mlflow_tfconv.tracking.scribe import Scribe, StepLogged
from mlflow_tfconv.tracking.server import SOURCE_TAG, TRIAL, Batch, Server
from mlflow_tfconv.tracking.trial_runs import is_trial, search_of

RunJob = Callable[[str, Any], Any]
_LOG_MODELS = "mlflow_tfconv.tracking.models:log_models"
_LAST_WORDS_S = 10.0
_NOTE_TAG = "mlflow.note.content"
_QUIET = "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"  # MLflow 3's; 2.22 prints into the step's log
_WITH_FILES = (ArtifactFile, DatasetUsed, ModelFile)


def run_here(target: str, argument: Any) -> Any:
    """Calls `module:function` in this process."""
    module, _, function = target.partition(":")
    return getattr(import_module(module), function)(argument)


class Tracker:
    """The MLflow side of one run of a recipe.

    Nothing is asked of the server before something has to be logged: when the ledger says that all
    is there already, the tracking store is not even opened.

    Args:
        destination: Where to log.
        ledger: The JSON file with what has been logged where.
        recipe: The recipe's name.
        profile: The profile's name.
        recipe_root: The recipe's folder, whose code may define classes of Keras models.
        device: Where logged ONNX models are to be served.
        run_job: Runs `module:function` with a plain value, in a process that may import
            TensorFlow; by default in this one.
    """

    def __init__(
        self,
        destination: Destination,
        ledger: Path,
        *,
        recipe: str,
        profile: str,
        recipe_root: Path | None = None,
        device: Device = Device(),
        run_job: RunJob = run_here,
    ) -> None:
        self.destination = destination
        self._names = {"tfconv.recipe": recipe, "tfconv.profile": profile}
        self._recipe, self._recipe_root = recipe, recipe_root
        self._device = device
        self._run_job = run_job
        self._ledger = Ledger(ledger, destination.key)
        self._server = Server(destination)
        self._scribe: Scribe | None = None
        self._mailbox = Mailbox(self._deliver)
        self._run_id: str | None = None
        self._model_key: str | None = None
        self._skipped: list[tuple[str, str, Iterable[Event]]] = []

    @property
    def run_id(self) -> str | None:
        """The parent run's id, once `start` has been called."""
        return self._run_id

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know of the logging, in words."""
        error = () if self._mailbox.error is None else (str(self._mailbox.error),)
        return (*(() if self._scribe is None else self._scribe.notes), *error)

    @property
    def registered(self) -> RegisteredVersion | None:
        """The model version that came out of the parent run, now or in an earlier run."""
        found = self._ledger.registered(self._run_id) if self._run_id else None
        return None if found is None else RegisteredVersion(**found)

    def start(self, model_key: str | None, fresh: bool) -> str:
        """Opens or continues the parent run and gives its id.

        Args:
            model_key: Tells the model; None while nobody knows it, see `model_made`.
            fresh: Whether ingest, train or convert will run: that makes a new parent. Otherwise
                the model's parent is continued; and so is one that a kill or Ctrl-C interrupted.

        Raises:
            TrackingError: The server can't be reached or refuses.
        """
        self._model_key = model_key
        run_id = self.destination.run_id or self._earlier_parent(model_key, fresh)
        if run_id is None:
            self._open_new()
        else:
            self._run_id = run_id
        assert self._run_id is not None  # noqa: S101 (both branches set it)
        return self._run_id

    def resume(self, model_key: str | None) -> bool:
        """Looks at the model's parent run without writing to it; False when there is none."""
        self._run_id = self._ledger.parent_of(model_key)
        return self._run_id is not None

    @property
    def client(self) -> Any:
        """MLflow's client for the destination."""
        return self._server.client

    def _earlier_parent(self, model_key: str | None, fresh: bool) -> str | None:
        if not fresh and (known := self._ledger.parent_of(model_key)):
            return known
        left = self._ledger.open_parent()
        return left["run_id"] if left is not None and left["model_key"] == model_key else None

    def _open_new(self) -> None:
        self._close_left_over()
        name = f"{self._names['tfconv.recipe']} {time.strftime('%Y-%m-%d %H:%M')}"
        self._run_id = self._server.create_run(name, {**self._names, SOURCE_TAG: self._recipe})
        self._begin(self._run_id)
        note = description(self._comparison("latency/p50_ms", ascending=True))
        self._mailbox.post(("", Tag(name=_NOTE_TAG, value=note)))

    def _close_left_over(self) -> None:
        """A parent of another model that a kill left open will not be continued any more."""
        left = self._ledger.open_parent()
        if left is not None and self._server.has_run(left["run_id"]):
            self._server.end_trials(left["run_id"])
            self._server.set_status(left["run_id"], "KILLED")

    def _begin(self, run_id: str) -> None:
        """From here on the parent is written to."""
        self._ledger.note_experiment(self._server.experiment[0])
        self._ledger.note_open(run_id, self._model_key)
        if self._model_key is not None:
            self._ledger.note_model(self._model_key, run_id)
        self._scribe = Scribe(self._server, self._ledger, run_id, self._recipe)

    def _connect(self) -> None:
        """Makes sure that the parent is there, the first time that something is to be logged."""
        if self._scribe is not None or self._run_id is None:
            return
        if self._server.has_run(self._run_id):
            if self.destination.run_id is None:
                self._server.set_status(self._run_id, "RUNNING")
            self._begin(self._run_id)
            return
        if self.destination.run_id is not None:
            raise TrackingError(
                "The run that MLFLOW_RUN_ID names is not there, or deleted.",
                received=self.destination.run_id,
                fix="Unset MLFLOW_RUN_ID, or name an active run of this tracking server.",
            )
        self._ledger.forget(self._run_id)
        self._open_new()
        for step, fingerprint, events in self._skipped:
            self._post(step, fingerprint, events)

    def model_made(self, model_key: str) -> None:
        """The model has a key now: later runs that only redo later steps find this parent by it."""
        self._model_key = model_key
        if self._run_id is not None and self._ledger.parent_of(model_key) != self._run_id:
            self._ledger.note_model(model_key, self._run_id)

    def env(self) -> dict[str, str]:
        """What a step's process needs so that the user's own `mlflow.log_*` lands in the parent."""
        self._connect()
        experiment_id, experiment_name = self._server.experiment
        variables = {
            "MLFLOW_TRACKING_URI": self.destination.tracking_uri,
            "MLFLOW_EXPERIMENT_ID": experiment_id,
            "MLFLOW_EXPERIMENT_NAME": experiment_name,
            "MLFLOW_RUN_ID": str(self._run_id),
            "MLFLOW_TFCONV_RECIPE": self._recipe,
            "MLFLOW_TFCONV_PROFILE": self._names["tfconv.profile"],
        }
        if _QUIET not in os.environ:
            variables[_QUIET] = "true"
        if self.destination.registry_uri is not None:
            variables["MLFLOW_REGISTRY_URI"] = self.destination.registry_uri
        return variables

    def handle(self, step: str, event: Event) -> None:
        """Takes an event of a running step; never waits for the server.

        Events that carry files are left for `step_done`: the running step's folder still moves.
        """
        if not isinstance(event, (Progress, Message, *_WITH_FILES)):
            self._mailbox.post((step, event))

    def step_done(self, step: str, fingerprint: str, events: Iterable[Event]) -> None:
        """A step that ran has its result in the store.

        Args:
            step: Its name.
            fingerprint: Its result's.
            events: What it said, with the paths of the stored result.
        """
        self._post(step, fingerprint, (e for e in events if isinstance(e, _WITH_FILES)))

    def replay(self, step: str, fingerprint: str, events: Iterable[Event]) -> None:
        """Logs what a stored result says, if the parent doesn't have it yet.

        Args:
            step: Its name.
            fingerprint: The result's.
            events: What it said; not touched when there is nothing to log.
        """
        if self._run_id and self._ledger.has_step(self._run_id, step, fingerprint):
            self._skipped.append((step, fingerprint, events))
            return
        self._connect()
        self._post(step, fingerprint, events)

    def _post(self, step: str, fingerprint: str, events: Iterable[Event]) -> None:
        for event in events:
            if not isinstance(event, Progress | Message):
                self._mailbox.post((step, event))
        self._mailbox.post(StepLogged(step=step, fingerprint=fingerprint))

    def _deliver(self, items: list[Any]) -> None:
        """On the mailbox's thread."""
        self._connect()
        assert self._scribe is not None  # noqa: S101 (connected)
        self._scribe.write(items)

    def settle(self) -> None:
        """Waits until all so far is logged, then logs models, loads each back, registers.

        Everything that takes a process of its own happens here, so that no measurement is
        disturbed; good moments are before the benchmark and at the end.

        Raises:
            TrackingError: Something could not be logged, or a model came back different.
        """
        self._mailbox.drain()
        self._raise_error()
        if self._scribe is None:
            return
        self._log_models(self._scribe)
        self._register(self._scribe)
        self._scribe.note_waiting_steps()

    def _log_models(self, scribe: Scribe) -> None:
        wanted = scribe.models_to_log()
        if not wanted:
            return
        jobs = [
            job_of(
                event,
                child,
                self.destination.tracking_uri,
                self._device,
                recipe=self._recipe,
                recipe_root=self._recipe_root,
            )
            for event, child in wanted
        ]
        results = self._run_job(_LOG_MODELS, jobs)
        for (event, _), result in zip(wanted, results, strict=True):
            if result["failure"] is None and result["problem"] is None:
                scribe.note_model(event, result)
        judged([event for event, _ in wanted], results)

    def _register(self, scribe: Scribe) -> None:
        for request in scribe.take_registrations():
            child = scribe.child_of(request.run)
            if child is None or child["model"] is None:
                raise TrackingError(
                    f"The variant {request.run} can't be registered: its model is not logged.",
                    fix="Run the recipe again; if it stays so, clean the step compress first.",
                )
            version = register(
                self._server,
                request,
                run_id=child["run_id"],
                model=child["model"],
                known=self.registered,
            )
            self._ledger.note_registered(str(self._run_id), asdict(version))

    def _raise_error(self) -> None:
        error = self._mailbox.error
        if error is None:
            return
        raise TrackingError(
            "Not everything could be logged to MLflow.",
            received=error,
            fix="The results are kept: run the same command again, and what is missing is logged.",
        ) from error

    def finish(self, status: str) -> None:
        """Logs what is left and ends the parent run; one named by MLFLOW_RUN_ID is left open.

        Args:
            status: FINISHED, FAILED or KILLED. After KILLED the next run continues the parent.

        Raises:
            TrackingError: See `settle`; not when the recipe itself failed.
        """
        if status != "FINISHED":
            self._mailbox.drain(_LAST_WORDS_S)
            with suppress(TrackingError):
                self._end(status)
            self._server.tidy()
            return
        try:
            self.settle()
            self._describe()
            self._end(status)
        except BaseException:
            with suppress(TrackingError):
                self._end("FAILED")
            raise
        finally:
            self._server.tidy()

    def _describe(self) -> None:
        """The parent's description with what there is now; a person's own words are left alone."""
        if self._scribe is None:
            return
        run_id = str(self._run_id)
        data = self._server.call(lambda: self.client.get_run(run_id)).data
        if is_ours(data.tags.get(_NOTE_TAG, "")):
            link = self._comparison("latency/p50_ms", ascending=True)
            text = description(
                link,
                self._server.metrics(run_id),
                self.registered,
                trials=self._comparison_of_trials(data.params),
            )
            self._server.log(run_id, Batch(tags={_NOTE_TAG: text}))

    def _end(self, status: str) -> None:
        left = self._ledger.open_parent()
        if self._run_id is None or left is None or left["run_id"] != self._run_id:
            return
        if status != "KILLED":
            self._ledger.note_open(None, None)
        if self._mailbox.error is None and any(map(is_trial, self.children())):
            self._server.end_trials(self._run_id)  # such as those that a Ctrl-C has ended
        if self.destination.run_id is None and self._mailbox.error is None:
            self._server.set_status(self._run_id, status)

    def children(self) -> Mapping[str, str]:
        """Run name of each variant and trial to its child run's id."""
        return self._ledger.children(self._run_id) if self._run_id else {}

    def link(self, metric: str = "latency/p50_ms", *, ascending: bool = True) -> str | None:
        """The link that opens the comparison of this run's variants, or the run without any.

        None before the first run.
        """
        experiment_id = self._ledger.experiment_id()
        if experiment_id is None or self._run_id is None:
            return None
        names = self.children()
        if not names:
            return run_link(self.destination, experiment_id, self._run_id)
        if all(map(is_trial, names)):
            return self._comparison(**self._ledger.search(self._run_id), kind=TRIAL)
        return self._comparison(metric, ascending=ascending)

    def _comparison_of_trials(self, params: Mapping[str, str]) -> str | None:
        search = search_of(params)
        if search is None:
            return None
        self._ledger.note_search(str(self._run_id), search)
        return self._comparison(**search, kind=TRIAL)

    def _comparison(self, metric: str, *, ascending: bool, kind: str = "variant") -> str:
        return comparison_link(
            self.destination,
            str(self._ledger.experiment_id()),
            str(self._run_id),
            metric=metric,
            ascending=ascending,
            kind=kind,
        )

    def ui_command(self) -> str | None:
        """The command that starts the UI; None where a server has one already."""
        return ui_command(self.destination)
