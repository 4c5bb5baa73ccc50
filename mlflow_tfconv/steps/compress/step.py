"""The step `compress`: smaller variants of a model, each audited."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mlflow_tfconv.arguments import made_folder, path_of, settings
from mlflow_tfconv.artifacts import ConvertedModel, Dataset, Variant
from mlflow_tfconv.engine.step import Step, StepContext, StepResult
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.compress.config import (
    CompressConfig,
    PruneConfig,
    QuantizeConfig,
    Shorthand,
    VariantConfig,
)

if TYPE_CHECKING:
    from mlflow_tfconv.runtimes.batches_of import Samples


class CompressStep(Step[CompressConfig]):
    """Makes the variants that recipe.yaml asks for; each is kept by what it was made from."""

    name: ClassVar[str] = "compress"
    config_class: ClassVar[type] = CompressConfig
    user_code: ClassVar[tuple[str, ...]] = ("steps/train.py",)
    libraries: ClassVar[tuple[str, ...]] = (
        "keras",
        "onnx",
        "onnxruntime",
        "onnxruntime-gpu",
        "tensorflow",
        "tensorflow-model-optimization",
        "tf2onnx",
    )
    reads: ClassVar[tuple[str, ...]] = ("settings.input_map",)

    def run(
        self, source: ConvertedModel, workdir: Path, context: StepContext = StepContext()
    ) -> StepResult:
        """Gives `Variants`: the model in its own formats as `base`, then the variants asked for.

        Raises:
            CompressionError: A variant can't be made, or is not what it says (`AuditError`).
            ParityError: The ONNX file of a pruned model disagrees with the pruned model.
        """
        from mlflow_tfconv.steps.compress.all_variants import all_variants

        return all_variants(self.config, source, workdir, context, self.libraries)


def compress(
    model: str | Path | ConvertedModel | Variant | Any,
    output: str | Path,
    *,
    quantize: Shorthand | QuantizeConfig | Mapping[str, Any] | None = None,
    prune: PruneConfig | Mapping[str, Any] | None = None,
    calibration: Samples | None = None,
    dataset: Dataset | str | Path | None = None,
    seed: int = 0,
) -> Variant:
    """Makes one smaller ONNX file of a model, and looks whether it really is what was asked.

    ```python
    variant = tfconv.compress("model.onnx", "int8.onnx", quantize="static_int8", calibration=batches)
    print(variant.audit.size_bytes, variant.audit.weights_bytes)
    ```

    Args:
        model: An ONNX file; or a Keras file, a SavedModel or a `keras.Model`, which is exported
            first; or what `convert` or `compress` gave.
        output: The ONNX file to write.
        quantize: "float16", "dynamic_int8", "static_int8" or the settings in full.
        prune: Settings of the pruning. A Keras model is fine-tuned on `dataset`, anything else is
            pruned at once.
        calibration: Examples like those the model will meet: batches `{input_name: array of shape
            (batch, ...)}`, one of them, or the array of a single input; for `static_int8`, and for
            trying the variant out.
        dataset: The manifest.json of a dataset, for fine-tuning, and for calibration when there are
            no batches.
        seed: Decides the calibration sample and the order of the examples in fine-tuning.

    Returns:
        The variant: `.path`, `.audit`, `.session_options`.

    Raises:
        ConfigError: The settings can't be used, or the examples don't fit the model.
        CompressionError: The variant can't be made, or is not what it says (`AuditError`).
        ConversionError: The model can't be read or exported.
    """
    output = path_of(output, "The output")
    name = _variant_name(output)
    asked = settings(VariantConfig, {"name": name, "quantize": quantize, "prune": prune})
    if output.suffix != ".onnx" or output.is_dir():
        raise ConfigError(
            "The output has to be an ONNX file.",
            received=str(output),
            expected="the path of a file that ends in .onnx",
        )
    from mlflow_tfconv.steps.compress.one_variant import one_variant, source_of

    folder = made_folder(output.parent)
    with tempfile.TemporaryDirectory(prefix=".compress-", dir=folder) as scratch:
        return one_variant(
            asked,
            source_of(model, Path(scratch)),
            output,
            scratch=Path(scratch),
            calibration=calibration,
            dataset=dataset,
            seed=seed,
        )


def _variant_name(output: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", output.stem).strip("._-")[:64]
    return name if name and name.lower() != "base" else f"{name or 'variant'}-compressed"
