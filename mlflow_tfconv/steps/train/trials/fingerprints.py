"""What tells that a trial has been trained before: all that decides its result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.digests import Digests
from mlflow_tfconv.engine.parts import fingerprint_of
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.engine.user_files import code_files
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.dotted_keys import with_values
from mlflow_tfconv.steps.train.functions import FILE

_LIBRARIES = ("mlflow-tfconv", "tensorflow", "keras", "tf_keras", "numpy")


@dataclass(slots=True)
class Fingerprints:
    """Digests of what a trial is made of.

    Attributes:
        source: The examples.
        context: The surroundings of the step.
        config: What the settings of a trial are put into.
    """

    source: Dataset
    context: StepContext
    config: TrainConfig
    _same: dict[str, Any] = field(default_factory=dict)

    def of(self, values: Mapping[str, Any]) -> str:
        """The fingerprint of a trial with these settings.

        Raises:
            ConfigError: The config refuses a value.
        """
        if not self._same:
            self._same = self._of_all()
        config = with_values(self.config, values)
        return fingerprint_of({**self._same, "config": dataclasses.asdict(config)})

    def _of_all(self) -> dict[str, Any]:
        root = self.context.recipe_root
        digests = Digests()
        code = [] if root is None else code_files(root / FILE, (root, root / "steps"))
        found: dict[str, Any] = {
            "dataset": self.source.digest,
            "code": {str(file): digests.of(file) for file in code},
            "libraries": {name: _version(name) for name in _LIBRARIES},
            "started_from": self._inputs(root, digests),
        }
        if self.config.batch_size == "auto":
            found["memory_limit_mb"] = self.context.device.options.memory_limit_mb
        return found

    def _inputs(self, root: Path | None, digests: Digests) -> dict[str, Any]:
        from mlflow_tfconv.steps.train.step import TrainStep

        files = TrainStep(self.config).inputs()
        return {str(file): digests.of((root or Path()) / file) for file in files}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
