"""What a step is: the shape of the six built-in ones and of a user's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.cards import Card
from mlflow_tfconv.engine.events import Emit, ignore
from mlflow_tfconv.engine.parts import Parts

ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """A quality metric.

    Attributes:
        name: Its name, as in `quality/<name>`.
        function: Name of a function `(outputs, labels) -> float` in steps/evaluate.py; None for a
            built-in metric. It is called once with all examples: `outputs` is the numpy array
            (examples, ...) that the model gives, or {output: array} when it has several outputs;
            `labels` is an array (examples, ...) as in the dataset, or {label: array} when there are
            several.
        greater_is_better: Its direction, true or false; a function needs it, a built-in metric
            knows its own.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    name: str
    function: str | None = None
    greater_is_better: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What surrounds a step. Everything has a default, so a step runs without a recipe.

    Attributes:
        dataset: The data, for training, calibration, parity and evaluation.
        recipe_root: The folder that holds `steps/`; user code is imported from there.
        device: Where TensorFlow and ONNX Runtime compute.
        metrics: What `quality/...` is measured.
        primary_metric: The one that decides where one has to.
        settings: The step's surroundings that belong to other steps' config, such as
            `input_map` and `model_name`.
        emit: Takes the events.
        parts: Keeps sub-results (one a variant) by fingerprint; None keeps them in the workdir.
        own_process: Whether the step has a process of its own, in which TensorFlow is imported and
            has not been used.
    """

    dataset: Dataset | None = None
    recipe_root: Path | None = None
    device: Device = field(default_factory=Device)
    metrics: tuple[MetricSpec, ...] = ()
    primary_metric: str = "accuracy"
    settings: dict[str, Any] = field(default_factory=dict)
    emit: Emit = ignore
    parts: Parts | None = None
    own_process: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step gives.

    Attributes:
        output: The noun that travels on to the next step.
        card: What a person wants to see of it.
    """

    output: Any
    card: Card


class Step(ABC, Generic[ConfigT]):
    """One step of a recipe: takes a noun, writes into its own folder, gives the next noun.

    A class of your own with this shape can stand in recipe.yaml by its import path (`using:`).
    """

    name: ClassVar[str]
    config_class: ClassVar[type]
    #: Files of the recipe whose code (with all it imports) decides whether the step runs again.
    user_code: ClassVar[tuple[str, ...]] = ()
    #: Distributions whose versions decide it too.
    libraries: ClassVar[tuple[str, ...]] = ()
    #: Fields of StepContext (or `settings.<key>`) that decide it too.
    reads: ClassVar[tuple[str, ...]] = ()
    #: Whether the folder of a killed run is handed to the next one, to go on from there.
    resumable: ClassVar[bool] = False

    def __init__(self, config: ConfigT) -> None:
        self.config = config

    @abstractmethod
    def run(self, source: Any, workdir: Path, context: StepContext = StepContext()) -> StepResult:
        """Does the work.

        Args:
            source: The noun of the step before; not changed.
            workdir: An existing folder of the step's own. Empty, unless the step is resumable and
                an earlier run of the same fingerprint was killed.
            context: The surroundings.
        """

    def inputs(self) -> tuple[Path, ...]:
        """Files and folders that the config names; their content decides a re-run too."""
        return ()

    def outside(self) -> Mapping[str, str]:
        """URLs that the config names, to what tells their content, such as a digest of tags.

        It is asked before every run, by the driver. Secrets in URLs are left out.

        Raises:
            TfconvError: One can't be reached.
        """
        return {}

    def needed_functions(self) -> Mapping[str, tuple[str, ...]]:
        """Files of the recipe to the functions in them that this config will call."""
        return {}

    def decided_by(self) -> tuple[str, ...]:
        """Fields of StepContext (or `settings.<key>`) that decide a re-run with this config."""
        return self.reads
