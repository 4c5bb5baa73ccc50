"""The step `convert`: a trained model becomes a SavedModel and an ONNX file that agree with it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from mlflow_tfconv.artifacts import Checkpoint, ConvertedModel
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.engine.guarded import Guard
from mlflow_tfconv.engine.step import Step, StepContext, StepResult
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.convert.config import USER_FILE, ConvertConfig


class ConvertStep(Step[ConvertConfig]):
    """Exports a model; ensures that every exported file agrees with its source."""

    name: ClassVar[str] = "convert"
    config_class: ClassVar[type] = ConvertConfig
    #: Custom layers are registered in the first, functions that the config names are in the second.
    user_code: ClassVar[tuple[str, ...]] = ("steps/train.py", USER_FILE)
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
        """The files that the config names, relative to the recipe's folder."""
        config = self.config
        named = (config.source, config.weights, config.architecture_file)
        return tuple(Path(text) for text in named if text is not None)

    def needed_functions(self) -> Mapping[str, tuple[str, ...]]:
        """Those of steps/convert.py that the config names."""
        named = self.config.user_functions
        return {USER_FILE: named} if named else {}

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
        from mlflow_tfconv.steps.convert.request import Request
        from mlflow_tfconv.steps.convert.samples import dataset_samples

        config = self.config
        path = self._source(source, context)
        request = Request(
            source=path,
            config=config,
            root=context.recipe_root,
            samples=dataset_samples(context.dataset, config.parity_examples, config.input_map),
            device=Device(options=context.device.options),
        )
        guard = Guard(
            what=f"Converting {path.name}",
            start="fork" if context.own_process else "fresh",
            memory_mb=config.memory_limit_mb,
            emit=context.emit,
        )
        conversion = Conversion(request=request, caller=guard, emit=context.emit)
        converted, written = conversion.into(workdir)
        converted = _kept(converted, workdir, of_this_run=isinstance(source, Checkpoint))
        if written.in_force:
            context.emit(Message(text=written.in_force))
        emit_results(converted, written.parameters, config.written_opset, context.emit)
        return StepResult(output=converted, card=card_of(converted, written.parameters))

    def _source(self, source: Any, context: StepContext) -> Path:
        """The model's path."""
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
        return Path(source) if named is None else root / named


def _kept(converted: ConvertedModel, workdir: Path, *, of_this_run: bool) -> ConvertedModel:
    """The result; a Keras file from outside is kept with it, for the steps that come later."""
    source = converted.source
    if of_this_run or converted.keras != source or source.is_relative_to(workdir):
        return converted
    copy = Path(shutil.copy2(source, workdir / f"source{source.suffix}"))
    return replace(converted, source=copy, keras=copy)
