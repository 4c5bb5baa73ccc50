"""The step `convert`: a trained model becomes a SavedModel and an ONNX file that agree with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mlflow_tfconv.arguments import path_of, settings
from mlflow_tfconv.artifacts import Checkpoint, ConvertedModel, Dataset, TensorSpec
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.step import Step, StepContext, StepResult
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.runtimes.given_model import is_live_model, model_path
from mlflow_tfconv.steps.convert.config import ConvertConfig

if TYPE_CHECKING:
    import numpy as np

    from mlflow_tfconv.runtimes.batches_of import Samples

    Batch = Mapping[str, np.ndarray[Any, Any]]


Format = Literal["saved_model", "onnx"]
#: Where a live model is saved, in the output folder.
LIVE_MODEL = "source.keras"


class ConvertStep(Step[ConvertConfig]):
    """Exports a model; ensures that every exported file agrees with its source."""

    name: ClassVar[str] = "convert"
    config_class: ClassVar[type] = ConvertConfig
    user_code: ClassVar[tuple[str, ...]] = ("steps/train.py",)  # custom layers are registered there
    libraries: ClassVar[tuple[str, ...]] = (
        "tensorflow",
        "keras",
        "tf2onnx",
        "onnx",
        "onnxruntime",
        "onnxruntime-gpu",
    )
    reads: ClassVar[tuple[str, ...]] = ("dataset",)

    def inputs(self) -> tuple[Path, ...]:
        """The source that the config names, relative to the recipe's folder."""
        return (Path(self.config.source),) if self.config.source else ()

    def run(
        self,
        source: Checkpoint | Path | str | None,
        workdir: Path,
        context: StepContext = StepContext(),
    ) -> StepResult:
        """Converts and compares.

        Raises:
            ConversionError: The model can't be read, or not be written in a format.
            ParityError: An export disagrees with the source.
        """
        from mlflow_tfconv.steps.convert.card import card_of
        from mlflow_tfconv.steps.convert.conversion import Conversion
        from mlflow_tfconv.steps.convert.events import emit_results

        path = self._source(source, workdir, context)
        _register_custom_objects(context.recipe_root)
        samples, named = self._samples(context.dataset)
        conversion = Conversion(
            source=path,
            config=self.config,
            samples=samples,
            samples_named=named,
            device=Device(options=context.device.options),
            emit=context.emit,
        )
        converted, traced = conversion.into(workdir)
        emit_results(converted, traced.parameters, self.config.opset, context.emit)
        return StepResult(output=converted, card=card_of(converted, traced.parameters))

    def _source(self, source: Any, workdir: Path, context: StepContext) -> Path:
        """The model's path; a file from outside is kept with the result."""
        if isinstance(source, Checkpoint):
            return source.path
        named = self.config.source
        if source is None and named is None:
            raise ConfigError(
                "The step `convert` has no model to convert.",
                expected="a step `train` before it, or `convert.source: PATH`",
                fix="Name the model's file or folder: `convert: {source: PATH}`.",
            )
        root = context.recipe_root or Path()
        path = Path(source) if named is None else root / named
        if not path.is_file() or recognised(path).format not in ("keras", "keras_h5"):
            return path
        return Path(shutil.copy2(path, workdir / f"source{path.suffix}"))

    def _samples(
        self, dataset: Dataset | None
    ) -> tuple[Callable[[Sequence[TensorSpec]], Iterable[Batch]] | None, str]:
        """Who gives the examples to compare on, and what they are."""
        if dataset is None:
            return None, ""
        split = next((s for s in ("test", "validation", "train") if dataset.counts.get(s)), None)
        if split is None:
            return None, ""

        def draw(inputs: Sequence[TensorSpec]) -> Iterable[Batch]:
            from mlflow_tfconv.data.batches import feature_batches

            return feature_batches(
                dataset,
                split,
                batch_size=32,
                inputs=inputs,
                limit=self.config.parity_examples,
                seed=0,
                input_map=self.config.input_map,
            )

        return draw, f"examples of the split {split!r}"


def convert(
    source: str | Path | Any,
    output: str | Path,
    *,
    formats: Format | Sequence[Format] = ("saved_model", "onnx"),
    samples: Samples | None = None,
    opset: int = 17,
    absolute_tolerance: float = 1e-4,
    relative_tolerance: float = 1e-3,
) -> ConvertedModel:
    """Exports a model and compares what was written with the model itself.

    >>> converted = tfconv.convert("model.keras", "out")     # doctest: +SKIP
    >>> converted.onnx, converted.parity["onnx"].max_abs_error     # doctest: +SKIP

    Args:
        source: A `.keras` file, a Keras `.h5` file, a SavedModel's folder, or a `keras.Model`
            (which is also saved, as `output/source.keras`).
        output: The folder for `saved_model/` and `model.onnx`. What an earlier conversion has left
            there is replaced when this one has succeeded, and stays as it is when not.
        formats: What is written.
        samples: What to compare the outputs on: batches `{input_name: array of shape (batch,
            ...)}`, one of them, or the array of a single input; None makes some up.
        opset: Version of the ONNX operator set, 13 to 18.
        absolute_tolerance: Largest difference of an output value that is allowed.
        relative_tolerance: The same relative to the value; the two add up.

    Raises:
        ConfigError: An argument can't be used, or the samples don't fit the model.
        ConversionError: The model can't be read, or not be written in a format.
        ParityError: An export disagrees with the source (`.report` says how).
    """
    asked = {
        "formats": formats,
        "opset": opset,
        "absolute_tolerance": absolute_tolerance,
        "relative_tolerance": relative_tolerance,
    }
    config = settings(ConvertConfig, asked)
    folder = path_of(output, "The output")
    live = source if is_live_model(source) else None
    path = model_path(source, "a path or a keras.Model") if live is None else folder / LIVE_MODEL
    from mlflow_tfconv.runtimes.batches_of import batches_of
    from mlflow_tfconv.steps.convert.conversion import Conversion

    given = None if samples is None else partial(batches_of, samples)
    return Conversion(source=path, config=config, samples=given, model=live).into(folder)[0]


def _register_custom_objects(recipe_root: Path | None) -> None:
    """Imports steps/train.py: the custom layers it registers are then known to Keras."""
    if recipe_root is not None and (recipe_root / "steps/train.py").is_file():
        from mlflow_tfconv.data.user_code import load_user_module

        load_user_module(recipe_root, "steps/train.py")
