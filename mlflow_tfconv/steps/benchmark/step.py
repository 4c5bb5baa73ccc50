"""The step `benchmark`: every variant measured in a process of its own; and `tfconv.benchmark`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mlflow_tfconv.artifacts import ConvertedModel, Variants
from mlflow_tfconv.device import Device, DeviceOptions, require_gpus
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.engine.step import MetricSpec, Step, StepContext, StepResult
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.report import BenchmarkReport

if TYPE_CHECKING:
    from mlflow_tfconv.steps.benchmark.candidates import Model
    from mlflow_tfconv.steps.benchmark.stored_examples import Samples


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
        from mlflow_tfconv.steps.benchmark import results, session, stored_examples

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
    batch_sizes: Sequence[int] = (1, 32),
    samples: Samples | None = None,
    labels: Any = None,
    metrics: Sequence[str] = (),
    device_options: DeviceOptions | None = None,
    config: BenchmarkConfig | None = None,
) -> BenchmarkReport:
    """Measures models side by side, each in a fresh process; the first base is the reference.

    ```python
    report = tfconv.benchmark(["old.onnx", "new.onnx"], batch_sizes=(1, 32))
    print(report.to_dataframe()[["latency/p50_ms", "footprint/host_peak_mb"]])
    ```

    Args:
        models: Files, folders, variants or converted models; a dict names them.
        device: "cpu", "cuda:0" or "tensorrt:0".
        batch_sizes: Each model is timed with batches of these many examples.
        samples: Real inputs, {input name: array (examples, ...)} or batches of those; without
            them values are made up, and neither quality nor agreement is measured.
        labels: (examples, ...) for the samples.
        metrics: Names of built-in metrics; by default accuracy for classes, mae for numbers.
        device_options: Limits and threads of the device.
        config: All that can be asked of the step; replaces `batch_sizes`.

    Raises:
        DeviceError: The device is not there, or a runtime fell back from it.
        BenchmarkError: None of the models can be measured.
    """
    config = config or BenchmarkConfig(batch_sizes=tuple(batch_sizes))
    parsed = device if isinstance(device, Device) else Device.parse(device, device_options)
    require_gpus(parsed)
    from mlflow_tfconv.steps.benchmark import session, stored_examples

    context = StepContext(device=parsed, metrics=tuple(MetricSpec(name=name) for name in metrics))
    with tempfile.TemporaryDirectory(prefix="tfconv-benchmark-") as folder:
        workdir = Path(folder)
        parts = Parts(workdir / "parts")
        examples = stored_examples.from_samples(samples, labels, config, workdir)
        _, reports = session.compared_reports(
            models, config, workdir, context=context, parts=parts, examples=examples
        )
    return BenchmarkReport(reports)
