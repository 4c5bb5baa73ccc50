"""Runs the steps that need it, one process a step, and hands over the results of all."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mlflow_tfconv.engine.child import FAILURE, StepJob
from mlflow_tfconv.engine.codec import decode
from mlflow_tfconv.engine.digests import Digests
from mlflow_tfconv.engine.events import Event
from mlflow_tfconv.engine.failures import error_of_end, error_of_failure
from mlflow_tfconv.engine.jobs import JobServer
from mlflow_tfconv.engine.parts import Parts, fingerprint_of, plain
from mlflow_tfconv.engine.plan import Plan, changes, dataset_of, ingredients, source_of
from mlflow_tfconv.engine.step import Step
from mlflow_tfconv.engine.store import StepRecord, Store, StoredResult
from mlflow_tfconv.errors import StepError, TfconvError

_LOGS_KEPT = 20


class Listener(Protocol):
    """Whoever wants to know how the run goes: the terminal, the tracking server."""

    def step_started(self, step: str, why: Sequence[str]) -> None:
        """A step's process is about to start; `why` says what has changed, if it ran before."""

    def handle(self, step: str, event: Event) -> None:
        """A step said something."""

    def step_done(self, result: StoredResult, *, cached: bool) -> None:
        """A step's result is there, made now or earlier."""


@dataclass(slots=True, kw_only=True)
class Executor:
    """Goes through a plan.

    Attributes:
        plan: What to do.
        store: Where results are kept.
        jobs: Starts processes.
        listener: Hears of everything.
        environ: Gives what to add to a step's environment, such as the parent run's id.
        before_work: Called once, before the first step that has to run; gets the results so far.
        private: Folders whose files are nobody's input, such as the tracking store.
        verify: Read every file again instead of trusting its stat.
    """

    plan: Plan
    store: Store
    jobs: JobServer
    listener: Listener
    environ: Callable[[], Mapping[str, str]]
    before_work: Callable[[], None]
    private: tuple[Path, ...] = ()
    verify: bool = False
    done: dict[str, StoredResult] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)

    def run(self, upto: str | None) -> dict[str, StoredResult]:
        """Gives the result of every step up to a name, making those that are missing or stale.

        Raises:
            TfconvError: A step failed; the results of those before it are kept.
        """
        self.store.sweep()
        digests = Digests(self.store.root / "digests.json", verify=self.verify)
        try:
            for position, step in enumerate(self.plan.upto(upto)):
                result = self._result(position, step, digests)
                self.done[step.name] = result
                self.listener.step_done(result, cached=step.name not in self.executed)
        finally:
            digests.save()
        return self.done

    def _result(self, position: int, step: Step[Any], digests: Digests) -> StoredResult:
        made_of = plain(ingredients(step, self.plan, self.done, digests))
        mark = fingerprint_of(made_of)
        found = self.store.lookup(step.name, mark, digests)
        if found is not None:
            return found
        if not self.executed:
            self.jobs.start()
            self.before_work()
        self.executed.append(step.name)
        source = source_of(position, self.plan.steps, self.done)
        return self._execute(step, made_of, source, digests)

    def _last_made_of(self, step: Step[Any]) -> dict[str, Any]:
        """What the step's last result under this profile was made of; empty without one."""
        before = self.store.records(self.plan.profile).get(step.name)
        return {} if before is None else before.ingredients

    def _execute(
        self, step: Step[Any], made_of: dict[str, Any], source: Any, digests: Digests
    ) -> StoredResult:
        log, mark = self._new_log(step.name), fingerprint_of(made_of)
        last = self._last_made_of(step)
        # Until this run has a result, later ones are compared with the last that has.
        record = StepRecord(status="running", fingerprint=mark, log=str(log), ingredients=last)
        why = changes(last, made_of) if last else ()
        why, begun = why or self.store.why_not(step.name, mark, digests), time.monotonic()
        self._record(step, record)
        try:
            self.listener.step_started(step.name, why)
            begun = time.monotonic()
            self._run_process(step, mark, source, log)
            done = dataclasses.replace(record, ingredients=made_of)
            return self._committed(step, mark, time.monotonic() - begun, done, digests)
        except KeyboardInterrupt:
            self._record(step, record, status="interrupted", seconds=time.monotonic() - begun)
            raise
        except TfconvError as error:
            seconds = time.monotonic() - begun
            self._record(step, record, status="failed", seconds=seconds, error=str(error))
            raise
        except OSError as error:
            # The disk is full, or the store is not to be written: what was there before is whole.
            raise _unwritable(step.name, self.store.root, error) from error

    def _committed(
        self, step: Step[Any], mark: str, seconds: float, record: StepRecord, digests: Digests
    ) -> StoredResult:
        result = self.store.commit(step.name, mark, seconds, digests)
        self._record(step, record, status="done", seconds=seconds)
        return result

    def _run_process(self, step: Step[Any], mark: str, source: Any, log: Path) -> None:
        work = self._work_folder(step, mark)
        job_file = work.with_name(f"{work.name}.job")
        job_file.write_bytes(pickle.dumps(self._job(step, source, work)))
        failures: list[dict[str, Any]] = []

        def on_line(line: str) -> None:
            data = json.loads(line)
            if FAILURE in data:
                failures.append(data[FAILURE])
            else:
                self.listener.handle(step.name, decode(data, work, self.store.root))

        try:
            with log.open("ab") as output:
                end = self.jobs.run(
                    "mlflow_tfconv.engine.child:run_step",
                    str(job_file),
                    log=output,
                    on_line=on_line,
                    environ={**self.environ(), "MLFLOW_TFCONV_STEP": step.name},
                    cwd=self.plan.root,
                )
        finally:
            job_file.unlink()
        if failures:
            raise error_of_failure(step.name, failures[-1], log)
        if end.exit_code != 0:
            raise error_of_end(step.name, end, log)

    def _job(self, step: Step[Any], source: Any, work: Path) -> StepJob:
        context = dataclasses.replace(
            self.plan.context,
            dataset=dataset_of(self.done),
            parts=Parts(self.store.parts_folder(step.name)),
        )
        return StepJob(
            step=step,
            source=source,
            workdir=work,
            store=self.store.root,
            context=context,
            private=self.private,
        )

    def _work_folder(self, step: Step[Any], mark: str) -> Path:
        """An empty folder, or for a step that can go on the one a killed run left."""
        work = self.store.work_folder(step.name, mark)
        if work.exists() and not step.resumable:
            shutil.rmtree(work)
        work.mkdir(parents=True, exist_ok=True)
        return work

    def _record(self, step: Step[Any], record: StepRecord, **changes: Any) -> None:
        self.store.record(self.plan.profile, step.name, dataclasses.replace(record, **changes))

    def _new_log(self, step: str) -> Path:
        logs = self.store.root / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        for old in sorted(logs.glob(f"{step}-*.log"))[:-_LOGS_KEPT]:
            old.unlink()
        return logs / f"{step}-{time.strftime('%Y%m%d-%H%M%S')}.log"


def _unwritable(step: str, folder: Path, error: OSError) -> StepError:
    return StepError(
        f"{step} failed: its result could not be kept.",
        received=error,
        fix=f"Make room for {folder}, then run the same command: it goes on from here. "
        "`mlflow recipes clean` frees earlier results.",
    )
