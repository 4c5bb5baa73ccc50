"""The function `tfconv.estimate_memory`: does it fit? Nothing is run for the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow_tfconv.arguments import in_short
from mlflow_tfconv.artifacts import Checkpoint, ConvertedModel, Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.runtimes.given_model import is_live_model
from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.steps.benchmark.estimate.memory_estimate import MemoryEstimate, Where


def estimate_memory(
    model: str | Path | Variant | ConvertedModel | Checkpoint | Any,
    *,
    batch_sizes: int | Sequence[int] = (1, 32),
    device: str | Device = "cpu",
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> MemoryEstimate:
    """Tells how much memory a model will take, from its shapes, without running it.

    ```python
    estimate = tfconv.estimate_memory("model.onnx", device="cuda:0")
    print(estimate, estimate.fits(4000, batch_size=32), estimate.largest_batch(4000))
    ```

    An ONNX file takes a fraction of a second, whatever its size: its weights are not read. It needs
    no GPU to answer for one.

    Args:
        model: A path, a variant, a converted model (its ONNX file) or a live Keras model.
        batch_sizes: For which the activations are told.
        device: Where it will compute: "cpu", "cuda:0" or "tensorrt:0".
        shapes: Input name to the shape of one example, where the model leaves it open.

    Raises:
        ConfigError: An argument can't be used, or a shape is open and not given.
        ConversionError: The model can't be read, or is of a format that can't be run as it is.
    """
    sizes = (batch_sizes,) if isinstance(batch_sizes, int) else tuple(batch_sizes)
    if not sizes or any(not isinstance(size, int) or size < 1 for size in sizes):
        raise ConfigError(
            "The batch sizes can't be used.",
            received=in_short(batch_sizes),
            expected="whole numbers above 0, such as (1, 32)",
        )
    parsed = device if isinstance(device, Device) else Device.parse(device)
    where: Where = "cpu" if parsed.kind == "cpu" else "gpu"
    given = {name: tuple(shape) for name, shape in (shapes or {}).items()}
    path = _path(model)
    if path is not None and recognised(path).format == "onnx":
        from mlflow_tfconv.steps.benchmark.estimate import onnx_estimate

        arena = onnx_estimate.arena_of(parsed)
        return onnx_estimate.onnx_estimate(path, sizes, where=where, shapes=given, arena=arena)
    from mlflow_tfconv.steps.benchmark.estimate.tensorflow_estimate import tensorflow_estimate

    with _opened(model, path) as runtime:
        return tensorflow_estimate(runtime, sizes, where=where, shapes=given)


def _path(model: Any) -> Path | None:
    """Where the model lies; None for a live one."""
    if isinstance(model, ConvertedModel):
        path = model.onnx or model.saved_model or model.keras
        return path if path is not None else model.source
    if isinstance(model, Variant | Checkpoint):
        return model.path
    if isinstance(model, str | Path):
        return Path(model)
    if is_live_model(model):
        return None
    raise ConfigError(
        "This is no model.",
        received=in_short(model),
        expected="a path, a variant, a converted model or a Keras model",
    )


def _opened(model: Any, path: Path | None) -> Any:
    if path is not None:
        return open_runtime(path)
    from mlflow_tfconv.runtimes.keras_runtime import KerasRuntime

    return KerasRuntime(Path("live"), model=model)
