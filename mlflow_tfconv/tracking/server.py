"""The tracking server as the tracker needs it: patient, in batches, and never refused for a name."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from mlflow_tfconv.errors import TrackingError
from mlflow_tfconv.tracking.destination import Destination

T = TypeVar("T")

# Limits of MLflow's log-batch and of its 2.22 servers' columns.
_METRICS_A_BATCH = 800
_OTHERS_A_BATCH = 100
_PARAM_LENGTH = 500
_TAG_LENGTH = 5000

_PAUSES_S = (0.25, 0.5, 1.0, 2.0, 4.0)
_TRANSIENT = {"TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "REQUEST_LIMIT_EXCEEDED", "ABORTED"}
# For the first request: somebody who mistyped an address is told at once, and not after minutes.
_IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}
PARENT_TAG = "mlflow.parentRunId"
SOURCE_TAG = "mlflow.source.name"
KIND_TAG = "tfconv.kind"
SUPERSEDED_TAG = "tfconv.superseded"
FINGERPRINT_TAG = "tfconv.fingerprint"
TRIAL = "trial"


class UnreachableError(TrackingError):
    """Raised when the server does not answer, or has failed again and again."""


class RefusedError(TrackingError):
    """Raised when the server will not take one thing, and may well take the next."""


@dataclass(slots=True, kw_only=True)
class Batch:
    """What one run is to get.

    Attributes:
        metrics: Name, value, time in ms since the epoch, step, and model id or None.
        params: Name to value.
        tags: Name to value.
    """

    metrics: list[tuple[str, float, int, int, str | None]] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class Server:
    """One destination, connected to when it is first needed.

    Attributes:
        destination: Where it is.
    """

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self._litter: Path | None = None
        self._has_answered = False

    @cached_property
    def client(self) -> Any:
        """MLflow's client; importing it takes a second, opening an SQLite file another."""
        from mlflow import MlflowClient

        self.destination.make_folders()
        if self.destination.database is not None and not Path("mlruns").exists():
            self._litter = Path("mlruns").absolute()
        with no_chatter():
            client = self._try(
                lambda: MlflowClient(
                    tracking_uri=self.destination.tracking_uri,
                    registry_uri=self.destination.registry_uri,
                )
            )
        # It prints two links for each run that ends; MLflow 2.22 has no setting against that.
        client._tracking_client._log_url = _print_nothing
        return client

    def tidy(self) -> None:
        """Removes the empty folder that MLflow makes wherever it opens an SQLite file."""
        if self._litter is not None:
            with suppress(OSError):
                self._litter.rmdir()

    def call(self, ask: Callable[[], T]) -> T:
        """What `ask` gives; tries again what may pass by.

        MLflow's own client tries HTTP requests again for minutes, which is right for a server that
        has answered before and wrong for the first request. Here it is the SQLite file that another
        process keeps locked.

        Raises:
            UnreachableError: It did not pass by.
            RefusedError: The server said no.
        """
        if self._has_answered or not self.destination.is_remote:
            return self._try(ask)
        with _environment(_IMPATIENT):
            try:
                answer = self._try(ask)
            except RefusedError:
                self._has_answered = True
                raise
        self._has_answered = True
        return answer

    def _try(self, ask: Callable[[], T]) -> T:
        from mlflow.exceptions import MlflowException

        pauses = () if self.destination.is_remote else _PAUSES_S
        for pause in (*pauses, None):
            try:
                return ask()
            except (MlflowException, OSError) as error:
                if isinstance(error, MlflowException) and not _may_pass(error):
                    raise RefusedError(f"{self._name} refused: {error}") from error
                if pause is None:
                    raise self._unreachable(error) from error
                time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    @property
    def _name(self) -> str:
        return f"The tracking server {without_credentials(self.destination.tracking_uri)}"

    def _unreachable(self, error: Exception) -> UnreachableError:
        first = self.destination.is_remote and not self._has_answered
        slow = " A server that wakes up slowly gets more time by MLFLOW_HTTP_REQUEST_TIMEOUT."
        return UnreachableError(
            f"{self._name} can't be reached, or fails.",
            received=f"{type(error).__name__}: {error}",
            fix="Check MLFLOW_TRACKING_URI, or experiment.tracking_uri in the profile, and the "
            f"credentials (MLFLOW_TRACKING_USERNAME and _PASSWORD, or _TOKEN).{slow if first else ''}",
        )

    @cached_property
    def experiment(self) -> tuple[str, str]:
        """Id and name of the experiment, made where it is missing."""
        with no_chatter():
            found = self.call(self._find_experiment)
        if found is None:
            name, location = self.destination.experiment_name, self.destination.artifact_location
            made = self.call(
                lambda: self.client.create_experiment(name, artifact_location=location)
            )
            return str(made), name
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"The experiment {found.name!r} has been deleted.",
                received=without_credentials(self.destination.tracking_uri),
                fix=f"mlflow experiments restore --experiment-id {found.experiment_id}, "
                "or name another one in the profile.",
            )
        return str(found.experiment_id), str(found.name)

    def _find_experiment(self) -> Any:
        if self.destination.run_id is not None:
            run = self.client.get_run(self.destination.run_id)
            return self.client.get_experiment(run.info.experiment_id)
        if self.destination.experiment_id is not None:
            return self.client.get_experiment(self.destination.experiment_id)
        return self.client.get_experiment_by_name(self.destination.experiment_name)

    def create_run(self, name: str, tags: Mapping[str, str]) -> str:
        """A new run of the experiment, tagged with the user and more as MLflow does it."""
        from mlflow.tracking.context.registry import resolve_tags

        experiment_id, _ = self.experiment
        all_tags = resolve_tags(dict(tags))
        run = self.call(lambda: self.client.create_run(experiment_id, tags=all_tags, run_name=name))
        return str(run.info.run_id)

    def has_run(self, run_id: str) -> bool:
        """Whether a run is there and not deleted."""
        try:
            return bool(
                self.call(lambda: self.client.get_run(run_id)).info.lifecycle_stage == "active"
            )
        except RefusedError:
            return False

    def set_status(self, run_id: str, status: str) -> None:
        """RUNNING, or one that ends the run: FINISHED, FAILED, KILLED."""
        if status == "RUNNING":
            self.call(lambda: self.client.update_run(run_id, status=status))
        else:
            self.call(lambda: self.client.set_terminated(run_id, status=status))

    def children(self, parent: str) -> list[tuple[str, str, str]]:
        """Name, id and fingerprint of the runs below a parent, without superseded ones."""
        return [
            (run.info.run_name, run.info.run_id, run.data.tags.get(FINGERPRINT_TAG, ""))
            for kind in ("variant", TRIAL)
            for run in self._of_kind(kind, parent)
        ]

    def end_trials(self, parent: str) -> None:
        """Trials of a parent that seem to go on, and do not, are KILLED."""
        for run in self._of_kind(TRIAL, parent):
            if run.info.status == "RUNNING":
                self.set_status(run.info.run_id, "KILLED")

    def metrics(self, parent: str) -> dict[str, dict[str, float]]:
        """Name of each variant's run below a parent to its metrics."""
        runs = self._of_kind("variant", parent)
        return {run.info.run_name: dict(run.data.metrics) for run in runs}

    def _of_kind(self, kind: str, parent: str) -> list[Any]:
        filter_string = f"tags.`{PARENT_TAG}` = '{parent}' and tags.`{KIND_TAG}` = '{kind}'"
        found, token = [], None
        while True:
            page = partial(
                self.client.search_runs,
                [self.experiment[0]],
                filter_string,
                max_results=1000,
                page_token=token,
            )
            runs = self.call(page)
            found += [run for run in runs if run.data.tags.get(SUPERSEDED_TAG) != "true"]
            token = runs.token
            if not token:
                return found

    def log(self, run_id: str, batch: Batch) -> list[str]:
        """Logs a batch in as few requests as the limits allow; gives what the user should know."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [_metric(Metric, *m) for m in batch.metrics]
        params = [Param(_key(k), _cut(v, _PARAM_LENGTH)) for k, v in batch.params.items()]
        tags = [RunTag(_key(k), _cut(v, _TAG_LENGTH)) for k, v in batch.tags.items() if v]
        self._take_away(run_id, [_key(k) for k, v in batch.tags.items() if not v])
        notes = []
        parts = zip(
            _chunks(metrics, _METRICS_A_BATCH),
            _chunks(params, _OTHERS_A_BATCH),
            _chunks(tags, _OTHERS_A_BATCH),
            strict=False,
        )
        for metrics_part, params_part, tags_part in parts:
            if not (metrics_part or params_part or tags_part):
                break
            notes += self._log_part(run_id, metrics_part, params_part, tags_part)
        return notes

    def _take_away(self, run_id: str, tags: Sequence[str]) -> None:
        """Deletes those of the tags that the run has."""
        present = self.call(lambda: self.client.get_run(run_id)).data.tags if tags else {}
        for name in tags:
            if name in present:
                self.call(partial(self.client.delete_tag, run_id, name))

    def _log_part(
        self, run_id: str, metrics: Sequence[Any], params: Sequence[Any], tags: Sequence[Any]
    ) -> list[str]:
        try:
            self.call(lambda: self.client.log_batch(run_id, metrics, params, tags))
        except RefusedError:
            if not params:
                raise
            return self._log_changed_params(run_id, metrics, params, tags)
        return []

    def _log_changed_params(
        self, run_id: str, metrics: Sequence[Any], params: Sequence[Any], tags: Sequence[Any]
    ) -> list[str]:
        """MLflow never changes a param: the new value becomes a tag, and the user is told."""
        from mlflow.entities import RunTag

        logged = self.call(lambda: self.client.get_run(run_id)).data.params
        changed = [p for p in params if logged.get(p.key, p.value) != p.value]
        new = [p for p in params if p.key not in logged]
        tags = [*tags, *(RunTag(f"tfconv.param.{p.key}", p.value) for p in changed)]
        self.call(lambda: self.client.log_batch(run_id, metrics, new, tags))
        return [
            f"The run keeps its param {p.key} = {logged[p.key]}, which MLflow can't change; the "
            f"present value {p.value} is its tag tfconv.param.{p.key}."
            for p in changed
        ]


@contextmanager
def no_chatter() -> Iterator[None]:
    """A new SQLite file tells of each of its migrations; only warnings and errors come through."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets those that are not set; they are gone afterwards."""
    new = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)


def _print_nothing(run_id: str) -> None:
    """Stands where MLflow's client prints the links of a run."""


def without_credentials(uri: str) -> str:
    """A URI that may be shown."""
    return re.sub(r"//[^/@]*@", "//", uri)


def _may_pass(error: Any) -> bool:
    """Whether it is worth another try, or at least not the fault of what was sent."""
    return error.error_code in _TRANSIENT or "API request to" in str(error)


def _metric(
    kind: Any, name: str, value: float, time_ms: int, step: int, model_id: str | None
) -> Any:
    if model_id is None:
        return kind(_key(name), value, time_ms, step)
    return kind(_key(name), value, time_ms, step, model_id=model_id)


def _key(name: str) -> str:
    """Letters that MLflow's names can't hold become underscores."""
    return re.sub(r"[^\w\-. /]", "_", name)


def _cut(value: str, length: int) -> str:
    return value if len(value) <= length else value[: length - 1] + "…"


def _chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Slices of a sequence, then empty ones without end."""
    start = 0
    while True:
        yield items[start : start + size]
        start += size
