"""A variant in a living worker: opened, checked, and asked for all but its timing."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.errors import BenchmarkError, DeviceError, TfconvError
from mlflow_tfconv.steps.benchmark.driver.bench import Bench
from mlflow_tfconv.steps.benchmark.driver.not_finite import refuse_not_finite
from mlflow_tfconv.steps.benchmark.driver.stage import Stage
from mlflow_tfconv.steps.benchmark.driver.worker_process import LOG_FILE, Worker
from mlflow_tfconv.steps.benchmark.worker.job import RESULT_FILE

Failure = BenchmarkError | DeviceError


@dataclass(slots=True, kw_only=True)
class OpenedVariant:
    """A variant whose worker waits for commands.

    Attributes:
        variant: Which.
        worker: Its process.
        folder: Where that writes.
        answers: What it said so far: `open`, `predict`, `stages` by name.
        turns: What it said of each turn that was timed, with the number of its `attempt`.
        timed_answers: Of the stages that follow the timing.
        files: Names of the files that it had written before it was timed.
        notes: What a reader should know of its timing.
        failure: Why it could not be timed to the end, or None.
    """

    variant: Variant
    worker: Worker
    folder: Path
    answers: dict[str, Any]
    turns: list[dict[str, Any]] = field(default_factory=list)
    timed_answers: dict[str, Any] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    failure: Failure | None = None

    @property
    def name(self) -> str:
        """Its run name."""
        return self.variant.run_name

    @property
    def pid(self) -> int:
        """Of its process."""
        return self.worker.pid

    @property
    def batch_sizes(self) -> list[int]:
        """Those that it can be timed with."""
        sizes: list[int] = self.answers["open"]["batch_sizes"]
        return sizes

    def forget_turns(self) -> None:
        """Is as it was before it was timed; what is kept of that lies elsewhere by now."""
        for turn in self.turns:
            (self.folder / turn["file"]).unlink(missing_ok=True)
        self.turns, self.timed_answers, self.notes = [], {}, []

    def close(self) -> None:
        """Ends the worker."""
        self.worker.close()


def opened_variant(
    bench: Bench, variant: Variant, *, whole: bool, reference: Mapping[str, Any] | None
) -> OpenedVariant:
    """Starts a worker and has it open the variant.

    Args:
        bench: How, and where.
        variant: Which.
        whole: Whether it is predicted and put through the stages too; without it, only opened.
        reference: What `predict` gave for the reference; None when this is the reference.

    Raises:
        BenchmarkError: It can't be opened or predict, or gives what is no number.
        DeviceError: The device was not used.
    """
    folder = _folder(bench, variant)
    stages = {
        s.name: _alone(bench, variant, s, folder) for s in _alone_stages(bench, variant, whole)
    }
    worker = bench.worker(variant, folder)
    answers: dict[str, Any] = {}
    try:
        worker.__enter__()
        interval = bench.config.memory.interval_ms
        answers["open"] = worker.ask("open", curve_interval_ms=interval)
        if whole:
            for stage in bench.stages_of(variant, "opened"):
                stages[stage.name] = asked(bench, worker, stage, {})
                worker = revived(bench, variant, worker)
            answers["predict"] = worker.ask("predict")
            refuse_not_finite(answers["predict"]["outputs"], reference)
            answers["stages"] = stages
    except BaseException:
        worker.kill()
        bench.keep_log(variant, worker.log)
        raise
    return OpenedVariant(
        variant=variant,
        worker=worker,
        folder=folder,
        answers=answers,
        files={file.name for file in folder.iterdir()},
    )


def asked(
    bench: Bench, worker: Worker, stage: Stage, reference: Mapping[str, float]
) -> dict[str, Any]:
    """`{"ok": answer}` of a stage, or `{"error": why}`: a failing stage fails nothing else."""
    request = stage.ask(bench.config, reference)
    try:
        return {"ok": worker.ask(request.command, **request.arguments)}
    except TfconvError as error:
        received = f" ({error.received})" if error.received else ""
        return {"error": " ".join(f"{error.what}{received}".split())}


def revived(bench: Bench, variant: Variant, worker: Worker) -> Worker:
    """The worker, or a new one when a stage has ended it.

    Raises:
        BenchmarkError: It can't be opened again.
        DeviceError: The device is gone.
    """
    if worker.alive:
        return worker
    bench.keep_log(variant, worker.log)
    worker.close()
    again = bench.worker(variant, Path(worker.job.folder))
    try:
        again.__enter__()
        again.ask("open")
    except BaseException:
        again.kill()
        raise
    return again


def write_answers(opened: OpenedVariant, folder: Path) -> None:
    """Keeps what it said, and the files that it wrote meanwhile, in the folder."""
    for file in opened.folder.iterdir():
        if file.name not in (LOG_FILE, "job.json"):
            kept(file, folder / file.name)
    text = json.dumps(opened.answers, indent=1)
    (folder / RESULT_FILE).write_text(text, encoding="utf-8")


def kept(source: Path, target: Path) -> None:
    """Copies a file or folder; of outputs, which can be large, it is a second name where possible.

    Nothing else may be one: a living worker writes files of the same name again.
    """
    if source.is_dir():
        target.mkdir()
        for file in source.iterdir():
            kept(file, target / file.name)
        return
    if source.name.startswith("output_"):
        with suppress(OSError):
            target.hardlink_to(source)
            return
    shutil.copyfile(source, target)


def _alone_stages(bench: Bench, variant: Variant, whole: bool) -> list[Stage]:
    return list(bench.stages_of(variant, "alone")) if whole else []


def _alone(bench: Bench, variant: Variant, stage: Stage, folder: Path) -> dict[str, Any]:
    """The answer of a worker that is there for this stage only."""
    try:
        with bench.worker(variant, folder / stage.name, stage.environment) as worker:
            worker.ask("open")
            return asked(bench, worker, stage, {})
    except TfconvError as error:
        return {"error": " ".join(error.what.split())}


def _folder(bench: Bench, variant: Variant) -> Path:
    home = bench.workdir / "workers"
    home.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{variant.run_name.replace('/', '_')}-", dir=home))
