"""The largest power of two that fits into memory as a batch size, by trying in other processes."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.atomic import write_text
from mlflow_tfconv.engine.cards import Table
from mlflow_tfconv.engine.events import Message, Metric, Progress, ignore
from mlflow_tfconv.engine.guarded import Advice, Guard, free_memory_mb
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import OutOfMemoryError, StepError
from mlflow_tfconv.steps.train.config import TrainConfig

_FILE = "batch_size.json"
_WORKER = "mlflow_tfconv.steps.train.batch_size_worker:measured"
_FIRST = 32
#: On the host others need memory too, and so will validation and the reading of larger batches.
_SHARE_OF_FREE = 0.5
_ADVICE = Advice(
    memory="Set `batch_size` to a number, use a smaller model, or give more memory.",
    time="Set `batch_size` to a number.",
    crash="Look into the log; or set `batch_size` to a number.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What training steps of one batch size took.

    Attributes:
        batch_size: Examples a step.
        fits: Whether it fitted.
        host_peak_mb: Largest resident memory of the process in MB (10^6 bytes), or None.
        gpu_peak_mb: Most that TensorFlow had allocated on the GPU, or None.
        samples_per_s: Examples a second, without the first step; None when it did not fit.
        problem: Why it did not fit, in a line.
    """

    batch_size: int
    fits: bool
    host_peak_mb: float | None = None
    gpu_peak_mb: float | None = None
    samples_per_s: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBatchSize:
    """The batch size that was found, and how.

    Attributes:
        batch_size: The largest power of two that fitted.
        why: Why it is not larger, in words.
        tried: All that were measured, in their order.
    """

    batch_size: int
    why: str
    tried: tuple[Measured, ...]

    def table(self) -> Table:
        """For the card."""
        rows = [
            (
                str(one.batch_size),
                _number(one.host_peak_mb),
                _number(one.gpu_peak_mb),
                _number(one.samples_per_s),
                "fits" if one.fits else one.problem,
            )
            for one in sorted(self.tried, key=lambda one: one.batch_size)
        ]
        return Table(
            columns=("batch size", "host peak MB", "GPU peak MB", "samples/s", "training steps"),
            rows=tuple(rows),
            caption=f"batch_size: auto found {self.batch_size}; {self.why}",
        )


def find_batch_size(
    source: Dataset, workdir: Path, context: StepContext, config: TrainConfig
) -> FoundBatchSize:
    """Measures a few training steps of doubled batch sizes, each in a process of its own.

    What was found is kept in `workdir`: a training that goes on after a kill keeps its batch size.

    Raises:
        OutOfMemoryError: A batch of one example does not fit.
        TfconvError: The training fails for another reason.
    """
    file = workdir / _FILE
    if file.is_file():
        found = _read(file)
    else:
        found = _Search(source, workdir, context, config).found()
        write_text(file, json.dumps(dataclasses.asdict(found), indent=1))
    _say(found, context)
    return found


def tried_up_to(most: int, measure: Callable[[int], Measured]) -> list[Measured]:
    """Doubles a batch size until it does not fit, or halves it until it does.

    Args:
        most: The largest power of two to try.
        measure: Measures a batch size, or raises OutOfMemoryError.

    Returns:
        All that were tried, one that fits among them.

    Raises:
        OutOfMemoryError: Not even one example fits.
    """
    size, tried = min(_FIRST, most), dict[int, Measured]()
    while size not in tried and size <= most:
        try:
            tried[size] = measure(size)
        except OutOfMemoryError as error:
            if size == 1:
                raise _not_even_one(error) from error
            tried[size] = Measured(batch_size=size, fits=False, problem=_first_line(error))
        size = size * 2 if tried[size].fits else size // 2
    return list(tried.values())


@dataclass(slots=True)
class _Search:
    source: Dataset
    workdir: Path
    context: StepContext
    config: TrainConfig

    def found(self) -> FoundBatchSize:
        most = self._most()
        tried = tried_up_to(most, self._measured)
        larger = [one.batch_size for one in tried if not one.fits]
        return FoundBatchSize(
            batch_size=max(one.batch_size for one in tried if one.fits),
            why=self._why(larger, most),
            tried=tuple(tried),
        )

    def _most(self) -> int:
        """The largest power of two that could be asked for."""
        most = max(1, min(self.config.max_batch_size, self.source.counts.get("train", 0)))
        return 1 << (most.bit_length() - 1)

    def _why(self, larger: Sequence[int], most: int) -> str:
        if larger:
            return f"{min(larger)} does not fit into {self._budget()}"
        if most * 2 > self.config.max_batch_size:
            return f"more than max_batch_size ({self.config.max_batch_size}) is not tried"
        return f"the train split has {self.source.counts['train']} examples"

    def _measured(self, size: int) -> Measured:
        self._show(size)
        limit = self._host_limit_mb()
        guard = Guard(
            what=f"Measuring batch_size {size}",
            start="fork" if self.context.own_process else "fresh",
            memory_mb=limit,
            error=StepError,
            memory_error=OutOfMemoryError,
            advice=_ADVICE,
        )
        job = (
            self.source,
            dataclasses.replace(self.context, emit=ignore, parts=None),
            dataclasses.replace(self.config, batch_size=size, trials=None),
        )
        values = guard.call(_WORKER, pickle.dumps(job))
        expected = values.pop("host_expected_mb")
        if limit is not None and expected > limit:
            raise OutOfMemoryError(
                f"Training with batch_size {size} would take more memory than it may.",
                received=f"about {expected:,.0f} MB in a whole training",
                expected=f"at most {limit:,.0f} MB",
            )
        return Measured(batch_size=size, fits=True, **values)

    def _host_limit_mb(self) -> float | None:
        """On a GPU it is the GPU's memory that is short."""
        device = self.context.device
        if device.kind != "cpu":
            return None
        return device.options.memory_limit_mb or free_memory_mb() * _SHARE_OF_FREE

    def _budget(self) -> str:
        device = self.context.device
        if device.options.memory_limit_mb is not None:
            return f"{device.options.memory_limit_mb:,} MB (memory_limit_mb)"
        return "half of the free memory" if device.kind == "cpu" else "the GPU's free memory"

    def _show(self, size: int) -> None:
        self.context.emit(Progress(label="finding the batch size", done=0, detail=f"trying {size}"))


def _say(found: FoundBatchSize, context: StepContext) -> None:
    text = f"batch_size: auto found {found.batch_size}; {found.why}."
    context.emit(Message(text=text))
    for one in found.tried:
        for name in ("host_peak_mb", "gpu_peak_mb", "samples_per_s"):
            value = getattr(one, name)
            if value is not None:
                metric = f"batch_size_auto/{name}"
                context.emit(Metric(name=metric, value=value, step=one.batch_size))


def _read(file: Path) -> FoundBatchSize:
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    tried = tuple(Measured(**one) for one in data.pop("tried"))
    return FoundBatchSize(**data, tried=tried)


def _not_even_one(error: OutOfMemoryError) -> OutOfMemoryError:
    return OutOfMemoryError(
        "Not even a batch of one example fits into memory.",
        received=_first_line(error),
        expected=error.expected or "a training step on one example that fits",
        fix="Use a smaller model or smaller examples, or give more memory (memory_limit_mb).",
    )


def _first_line(error: OutOfMemoryError) -> str:
    received = f" ({error.received.splitlines()[0]})" if error.received else ""
    return f"{error.what.splitlines()[0]}{received}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
