"""One run of a recipe: the engine does the work, the terminal shows it, the tracker logs it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from rich.console import Console

from mlflow_tfconv.artifacts import Reports
from mlflow_tfconv.config.recipe_config import ResolvedRecipe
from mlflow_tfconv.device import require_gpus
from mlflow_tfconv.engine.atomic import write_text
from mlflow_tfconv.engine.calls import call_in_process
from mlflow_tfconv.engine.card_text import table_text
from mlflow_tfconv.engine.console import Terminal
from mlflow_tfconv.engine.digests import Digests
from mlflow_tfconv.engine.events import ArtifactFile, Event
from mlflow_tfconv.engine.executor import Executor
from mlflow_tfconv.engine.jobs import PRELOAD, JobServer
from mlflow_tfconv.engine.parts import fingerprint_of
from mlflow_tfconv.engine.plan import Plan, fingerprint
from mlflow_tfconv.engine.secrets import masked
from mlflow_tfconv.engine.store import Store, StoredResult
from mlflow_tfconv.errors import TfconvError
from mlflow_tfconv.outcome import UNSTABLE, any_unstable, outcome_table
from mlflow_tfconv.tracking.destination import Destination
from mlflow_tfconv.tracking.telemetry import switch_off
from mlflow_tfconv.tracking.tracker import Tracker

_MODEL_STEPS = ("ingest", "train", "convert")
_COMPUTING_STEPS = {"train", "benchmark"}


def stored_results(plan: Plan, store: Store) -> dict[str, StoredResult]:
    """The results that are up to date, as far as they go without a gap."""
    digests, done = Digests(store.root / "digests.json"), dict[str, StoredResult]()
    for step in plan.steps:
        found = store.lookup(step.name, fingerprint(step, plan, done, digests), digests)
        if found is None:
            break
        done[step.name] = found
    digests.save()
    return done


def make_tracker(recipe: ResolvedRecipe, store: Store, jobs: JobServer | None = None) -> Tracker:
    """The tracker of a recipe; nothing is asked of a server yet."""
    experiment = dataclasses.asdict(recipe.config.experiment)
    destination = Destination.resolve(
        recipe.root,
        experiment={**experiment, "name": experiment["name"] or recipe.root.name},
        model_registry=dataclasses.asdict(recipe.config.model_registry),
    )
    log = store.root / "logs" / "tracking.log"
    more = {} if jobs is None else {"run_job": partial(call_in_process, jobs, log=log)}
    return Tracker(
        destination,
        store.root / "tracking.json",
        recipe=recipe.root.name,
        profile=recipe.profile,
        recipe_root=recipe.root,
        device=recipe.plan.context.device,
        **more,
    )


def model_key(done: Mapping[str, StoredResult]) -> str | None:
    """What tells one model of a recipe from the next: the last result of those that make it."""
    marks = [done[name].fingerprint for name in _MODEL_STEPS if name in done]
    return marks[-1] if marks else None


class RecipeRun:
    """Runs what is missing or out of date of a recipe.

    Args:
        recipe: What to run.
        store: Where results are kept.
        console: Where to show it.
    """

    def __init__(self, recipe: ResolvedRecipe, store: Store, console: Console) -> None:
        self.recipe = recipe
        self.store = store
        self.console = console
        self.terminal = Terminal(console)
        self.jobs = JobServer(store.root / "logs" / "server.log", preload=_preload(recipe.plan))
        self.tracker = make_tracker(recipe, store, self.jobs)
        self.executor: Executor | None = None
        self.upto: str | None = None

    def go(self, upto: str | None, *, verify: bool) -> None:
        """Runs up to a step, logs, and prints what came out.

        Raises:
            TfconvError: A step failed; those before it are kept and logged.
            KeyboardInterrupt: After saying where things stand.
        """
        switch_off()
        self.upto = upto
        with self.jobs:
            self.executor = self._executor(verify)
            try:
                done = self.executor.run(upto)
                self._log_the_rest(done)
            except KeyboardInterrupt:
                self._stopped("KILLED")
                with suppress(OSError):  # the terminal may be gone
                    self._say_where_things_stand(upto)
                raise
            except TfconvError:
                self._stopped("FAILED")
                if any(isinstance(result.output, Reports) for result in self._done.values()):
                    # What was measured is what one looks at to see why the gate stayed shut.
                    self._show(self._done)
                raise
        self._show(done)

    def _executor(self, verify: bool) -> Executor:
        return Executor(
            plan=self.recipe.plan,
            store=self.store,
            jobs=self.jobs,
            listener=self,
            environ=self.tracker.env,
            before_work=self._open_parent,
            private=_private_folders(self.recipe.root, self.tracker.destination),
            verify=verify,
        )

    @property
    def _done(self) -> Mapping[str, StoredResult]:
        return {} if self.executor is None else self.executor.done

    def _open_parent(self) -> None:
        """Before the first step that has to run: opens its MLflow run and logs what was kept."""
        todo = [step.name for step in self.recipe.plan.upto(self.upto)][len(self._done) :]
        if _COMPUTING_STEPS & set(todo):
            # Told now, and not after an hour of training.
            require_gpus(self.recipe.plan.context.device)
        fresh = any(name in _MODEL_STEPS for name in todo)
        settings = {"profile": self.recipe.profile, "recipe": self.recipe.data}
        # A killed run is known again by what it was asked for: it has no model yet.
        key = f"unfinished-{fingerprint_of(settings)}" if fresh else model_key(self._done)
        with self.console.status("Opening the MLflow run"):
            self.tracker.start(key, fresh)
        self._log_recipe()
        for result in self._done.values():
            self._replay(result)

    def _log_recipe(self) -> None:
        file = self.store.root / "profiles" / f"{self.recipe.profile}.recipe.yaml"
        text = yaml.safe_dump(masked(dict(self.recipe.data)), sort_keys=False, allow_unicode=True)
        write_text(file, text)
        self.tracker.replay("recipe", fingerprint_of({"text": text}), [ArtifactFile(path=file)])

    def _replay(self, result: StoredResult) -> None:
        events = result.events(self.store.root)
        self.tracker.replay(result.step, result.fingerprint, events)

    def step_started(self, step: str, why: Sequence[str]) -> None:
        """A step's process is about to start."""
        if step == "benchmark":
            # Models are logged now, so that nothing else is at work while time is measured.
            self._settle()
        self.terminal.step_started(step, why)

    def handle(self, step: str, event: Event) -> None:
        """A step said something."""
        self.terminal.handle(step, event)
        self.tracker.handle(step, event)

    def step_done(self, result: StoredResult, *, cached: bool) -> None:
        """A step's result is there."""
        self.terminal.step_done(result, cached=cached)
        if result.step in _MODEL_STEPS:
            # Of each: a run that was to stop at one of them is continued when it is asked for again.
            self.tracker.model_made(result.fingerprint)
        if not cached:
            events = result.events(self.store.root)
            self.tracker.step_done(result.step, result.fingerprint, events)
        elif self.executor is not None and self.executor.executed:
            self._replay(result)

    def _settle(self) -> None:
        with self.console.status("Logging the models to MLflow and loading them back"):
            self.tracker.settle()

    def _log_the_rest(self, done: Mapping[str, StoredResult]) -> None:
        """What was kept but is not logged at this destination yet, then all that is left."""
        if self.executor is not None and not self.executor.executed:
            self.tracker.start(model_key(done), fresh=False)
            for result in done.values():
                self._replay(result)
        with self.console.status("Logging to MLflow"):
            self.tracker.finish("FINISHED")

    def _stopped(self, status: str) -> None:
        self.terminal.close()
        self.tracker.finish(status)

    def _say_where_things_stand(self, upto: str | None) -> None:
        names = [step.name for step in self.recipe.plan.upto(upto)]
        kept = list(self._done)
        at = names[len(kept)] if len(kept) < len(names) else "the logging"
        self.console.print(
            f"\nStopped at {at}. Kept: {', '.join(kept) or 'nothing yet'}. "
            "The same command goes on from here.",
            highlight=False,
        )

    def _show(self, done: Mapping[str, StoredResult]) -> None:
        table = outcome_table(done, self.recipe.config.primary_metric)
        if table is not None:
            self.console.print(table_text(table))
            if any_unstable(done):
                step = "mlflow recipes inspect --step benchmark"
                self.console.print(
                    f"{UNSTABLE} timing may be unstable: `{step}` says why", highlight=False
                )
        version = self.tracker.registered if "register" in done else None
        if version is not None:
            text = f"Registered {version.run_name} as {version.name} version {version.version}"
            self.console.print(f"{text}, alias {version.alias}", highlight=False)
        for note in self.tracker.notes:
            self.console.print(f"[yellow]{note}[/yellow]", highlight=False)
        self._show_way_to_ui()

    def _show_way_to_ui(self) -> None:
        link, command = self.tracker.link(), self.tracker.ui_command()
        if link is None:
            return
        self.console.print("Look at it in MLflow's UI:", highlight=False)
        if command is not None:
            self.console.print(f"  {command}", highlight=False, soft_wrap=True)
        self.console.print(f"  {link}", highlight=False, soft_wrap=True)


def _preload(plan: Plan) -> tuple[str, ...]:
    """What the steps' processes need; steps of the user's own may do without TensorFlow."""
    libraries = {library for step in plan.steps for library in step.libraries}
    return PRELOAD if libraries & set(PRELOAD) else ()


def _private_folders(root: Path, destination: Destination) -> tuple[Path, ...]:
    """Where MLflow keeps its files, which are nobody's input."""
    folders = [root / "metadata", root / "mlruns"]
    if destination.database is not None:
        folders.append(destination.database.parent)
    location = urlsplit(destination.artifact_location or "")
    if location.scheme == "file":
        folders.append(Path(unquote(location.path)))
    return tuple(folders)
