"""The step `benchmark`: every variant measured in a process of its own; and `tfconv.benchmark`."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mlflow_tfconv.arguments import made_folder, path_of, settings, several
from mlflow_tfconv.artifacts import ConvertedModel, Reports, Variants
from mlflow_tfconv.device import Device, DeviceOptions, require_gpus
from mlflow_tfconv.engine.events import Emit, ignore
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.engine.step import MetricSpec, Step, StepContext, StepResult
from mlflow_tfconv.errors import BenchmarkError, ConfigError
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.report.report import BenchmarkReport

if TYPE_CHECKING:
    from mlflow_tfconv.runtimes.batches_of import Samples
    from mlflow_tfconv.steps.benchmark.candidates import Model


class BenchmarkStep(Step[BenchmarkConfig]):
    """Measures each variant: latency, throughput, memory, quality on real examples."""

    name: ClassVar[str] = "benchmark"
    config_class: ClassVar[type] = BenchmarkConfig
    user_code: ClassVar[tuple[str, ...]] = ("steps/evaluate.py",)
    libraries: ClassVar[tuple[str, ...]] = (
        *("numpy", "onnxruntime", "onnxruntime-gpu"),
        *("tensorflow", "keras", "tf_keras"),
    )
    reads: ClassVar[tuple[str, ...]] = (
        *("device", "metrics", "primary_metric"),
        "settings.input_map",
    )

    def run(
        self,
        source: Variants | ConvertedModel,
        workdir: Path,
        context: StepContext = StepContext(),
    ) -> StepResult:
        """Measures the variants one after the other; what fails is a result, and a warning.

        Raises:
            DeviceError: The device is not there, or a runtime fell back from it.
            BenchmarkError: None of the variants can be measured, or there are no examples.
        """
        require_gpus(context.device)
        from mlflow_tfconv.steps.benchmark import stored_examples
        from mlflow_tfconv.steps.benchmark.driver import session
        from mlflow_tfconv.steps.benchmark.report import results

        parts = context.parts or Parts(workdir / "parts")
        examples = stored_examples.from_dataset(source.inputs, self.config, parts, context)
        comparison, reports = session.compared_reports(
            source, self.config, workdir, context=context, parts=parts, examples=examples
        )
        return results.written(comparison, reports, workdir, context)


def benchmark(
    models: Model | Iterable[Model] | Mapping[str, Model],
    *,
    device: str | Device = "cpu",
    batch_sizes: int | Sequence[int] = (1, 32),
    scenarios: str | Sequence[str] = ("single_stream",),
    minutes: float | None = None,
    samples: Samples | None = None,
    labels: Any = None,
    metrics: str | Sequence[str] = (),
    device_options: DeviceOptions | None = None,
    config: BenchmarkConfig | Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    emit: Emit = ignore,
) -> BenchmarkReport:
    """Measures models side by side, each in a fresh process; the first base is the reference.

    ```python
    report = tfconv.benchmark(["old.onnx", "new.onnx"], batch_sizes=(1, 32))
    print(report.to_dataframe()[["latency/p50_ms", "footprint/host_peak_mb"]])
    ```

    Args:
        models: Files, folders, variants, converted models or Keras models; a dict names them.
        device: "cpu", "cuda:0" or "tensorrt:0".
        batch_sizes: Each model is timed with batches of these many examples.
        scenarios: Any of "single_stream" (latency), "offline" (throughput), "server" (the highest
            rate of requests that keeps a latency bound), "concurrent" (several streams at once).
        minutes: All timing together takes at most about this long.
        samples: Real inputs, {input name: array (examples, ...)}, batches of those, or the array
            of a single input; without them values are made up, and neither quality nor agreement
            is measured.
        labels: (examples, ...) for the samples, or {label name: array} where there are several.
        metrics: Names of built-in metrics; by default accuracy for classes, mae for numbers.
        device_options: Limits and threads of the device.
        config: All that can be asked of the step, also as a mapping; it wins over `batch_sizes`,
            `scenarios` and `minutes`.
        folder: Where to leave the report, raw timings (Parquet), pictures, and of each model its
            trace (for chrome://tracing or Perfetto) and its memory over time; None leaves nothing.
        emit: Who is told of the progress.

    Raises:
        ConfigError: An argument can't be used, or the samples don't fit the models.
        DeviceError: The device is not there, or a runtime fell back from it.
        BenchmarkError: None of the models can be measured.
    """
    if not isinstance(config, BenchmarkConfig):
        asked_for = {"batch_sizes": batch_sizes, "scenarios": scenarios, "minutes": minutes}
        config = settings(BenchmarkConfig, {**asked_for, **(config or {})})
    asked = several(metrics, "metrics")
    _require_what_quality_needs(samples, labels, asked)
    parsed = device if isinstance(device, Device) else Device.parse(device, device_options)
    home = None if folder is None else made_folder(path_of(folder, "The folder"))
    require_gpus(parsed)
    from mlflow_tfconv.steps.benchmark import candidates, stored_examples
    from mlflow_tfconv.steps.benchmark.driver import session
    from mlflow_tfconv.steps.benchmark.statistics import quality

    specs = tuple(MetricSpec(name=name) for name in asked)
    context = StepContext(device=parsed, metrics=specs, emit=emit)
    quality.chosen_metrics(context.metrics, None)  # a misspelt one is told before anything runs
    with _passing_folder() as workdir:
        parts = Parts(workdir / "parts")
        variants = candidates.candidates(models, workdir / "live")
        examples = stored_examples.from_samples(variants, samples, labels, config, workdir)
        comparison, reports = session.compared_reports(
            variants, config, workdir, context=context, parts=parts, examples=examples
        )
        reports = _without_passing_files(reports, workdir)
        if home is not None:
            from mlflow_tfconv.steps.benchmark.report import results  # matplotlib: half a second

            results.keep(comparison, reports, home)
    return BenchmarkReport(reports)


@contextmanager
def _passing_folder() -> Iterator[Path]:
    """A folder for files that are needed for the time of a call.

    Raises:
        BenchmarkError: The disk is full.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="tfconv-benchmark-") as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise BenchmarkError(
            "There is no room for the files of the benchmark.",
            received=f"{error.filename or tempfile.gettempdir()}: {error.strerror}",
            expected="room for the examples, the outputs and the recordings of every model",
            fix="Set the environment variable TMPDIR to a folder with room, or give fewer samples.",
        ) from error


def _without_passing_files(reports: Reports, workdir: Path) -> Reports:
    """A live model was measured as a file that is gone by now."""
    rows = (
        replace(row, path=None) if row.path and row.path.is_relative_to(workdir) else row
        for row in reports.rows
    )
    return replace(reports, rows=tuple(rows))


def _require_what_quality_needs(samples: Any, labels: Any, metrics: tuple[str, ...]) -> None:
    if samples is None and labels is not None:
        raise ConfigError(
            "There are labels, but no samples that they belong to.",
            received="labels, and samples=None",
            expected="the inputs of the examples as well",
            fix="Give `samples`, or leave `labels` out to measure speed and memory only.",
        )
    if labels is None and metrics:
        raise ConfigError(
            "Metrics compare what a model gives with labels, and there are none.",
            received=f"metrics: {', '.join(metrics)}, and labels=None",
            fix="Give `samples` and `labels`, or leave `metrics` out.",
        )
