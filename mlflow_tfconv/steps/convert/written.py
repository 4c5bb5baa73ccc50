"""What the process that ran TensorFlow tells of its work."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.artifacts import Choice, ParityReport, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The exports that it has written, and what is known of their source.

    Attributes:
        inputs: As in `ConvertedModel`, and so are the other fields of the same names.
        outputs: See there.
        onnx_inputs: See there.
        onnx_outputs: See there.
        source_format: See there.
        choices: See there.
        warnings: See there.
        parameters: Number of values in the weights.
        in_force: How TensorFlow computed, in a sentence.
        samples: What the examples are, in words.
        keras: Whether a `.keras` file was written.
        saved_model: The verdict on the SavedModel, or None when it was not asked for.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    onnx_inputs: tuple[TensorSpec, ...] | None = None
    onnx_outputs: tuple[TensorSpec, ...] | None = None
    source_format: str = ""
    choices: tuple[Choice, ...] = ()
    warnings: tuple[str, ...] = ()
    parameters: int = 0
    in_force: str = ""
    samples: str = ""
    keras: bool = False
    saved_model: ParityReport | None = None

    @property
    def takes_other_inputs(self) -> bool:
        """Whether the exports take what is put in front of the source, not what it takes itself."""
        return any(choice.what in ("layout", "preprocessing") for choice in self.choices)

    def plain(self) -> dict[str, Any]:
        """Field to value: what may travel between processes."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
