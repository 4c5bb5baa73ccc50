"""What the worker is told, and where it finds and leaves its files. Needs numpy only."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mlflow_tfconv.device import Device, DeviceOptions

RESULT_FILE = "result.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One variant to measure.

    Attributes:
        model: The file or folder.
        format: "keras" | "keras_h5" | "saved_model" | "onnx".
        folder: Where the worker writes.
        examples: Folder of `inputs_*.npz` with real examples; None makes random ones.
        device: As in recipe.yaml.
        device_options: Fields of DeviceOptions.
        session_options: Options the variant must be loaded with.
        recipe_root: Folder whose steps/train.py may define classes of a Keras model, or None.
        batch_sizes: To be timed, in this order.
        pin_threads: Whether its threads are bound to processors.
    """

    model: str
    format: str
    folder: str
    examples: str | None = None
    device: str = "cpu"
    device_options: Mapping[str, Any] = field(default_factory=dict)
    session_options: Mapping[str, Any] = field(default_factory=dict)
    recipe_root: str | None = None
    batch_sizes: tuple[int, ...] = (1, 32)
    pin_threads: bool = False

    def write(self, path: Path) -> None:
        """Writes it as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `write` wrote; what has a default may be missing.

        Raises:
            OSError: The file can't be read.
            ValueError: It is no JSON.
            TypeError: A name is missing, or one is not known.
        """
        job = cls(**json.loads(path.read_text(encoding="utf-8")))
        return dataclasses.replace(job, batch_sizes=tuple(job.batch_sizes))

    def parsed_device(self) -> Device:
        """The device with its options."""
        return Device.parse(self.device, DeviceOptions(**self.device_options))


def samples_file(folder: Path, batch_size: int, turn: int) -> Path:
    """The raw timings of a batch size in one turn: int64 nanoseconds, one a run."""
    return folder / f"samples_b{batch_size}_t{turn}.npy"


def outputs_file(folder: Path, number: int) -> Path:
    """What the model's output of this number gave for every example."""
    return folder / f"output_{number}.npy"
