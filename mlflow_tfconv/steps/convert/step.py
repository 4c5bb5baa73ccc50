"""The step `convert`: a trained model becomes a SavedModel and an ONNX file that agree with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mlflow_tfconv.artifacts import Checkpoint, ConvertedModel, Dataset, TensorSpec
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.step import Step, StepContext, StepResult
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.runtimes.formats import recognised
from mlflow_tfconv.steps.convert.config import ConvertConfig

if TYPE_CHECKING:
    import numpy as np

    Batch = Mapping[str, np.ndarray[Any, Any]]


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
    formats: Sequence[Literal["saved_model", "onnx"]] = ("saved_model", "onnx"),
    samples: Iterable[Batch] | None = None,
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
        samples: Batches `{input_name: array of shape (batch, ...)}` to compare the outputs on;
            None makes some up.
        opset: Version of the ONNX operator set, 13 to 18.
        absolute_tolerance: Largest difference of an output value that is allowed.
        relative_tolerance: The same relative to the value; the two add up.

    Raises:
        ConversionError: The model can't be read, or not be written in a format.
        ParityError: An export disagrees with the source (`.report` says how).
    """
    from mlflow_tfconv.steps.convert.conversion import Conversion

    config = ConvertConfig(
        formats=tuple(formats),
        opset=opset,
        absolute_tolerance=absolute_tolerance,
        relative_tolerance=relative_tolerance,
    )
    live = None if isinstance(source, str | Path) else source
    path = Path(source) if live is None else Path(output) / "source.keras"
    given = None if samples is None else (lambda _inputs: samples)
    conversion = Conversion(source=path, config=config, samples=given, model=live)
    return conversion.into(Path(output))[0]


def _register_custom_objects(recipe_root: Path | None) -> None:
    """Imports steps/train.py: the custom layers it registers are then known to Keras."""
    if recipe_root is not None and (recipe_root / "steps/train.py").is_file():
        from mlflow_tfconv.data.user_code import load_user_module

        load_user_module(recipe_root, "steps/train.py")
