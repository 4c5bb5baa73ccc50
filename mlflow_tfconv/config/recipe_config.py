"""What recipe.yaml may say, and how it becomes steps that can run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlflow_tfconv.config.metric_names import check_gate, checked_metrics
from mlflow_tfconv.config.preflight import check_user_code, user_step_class
from mlflow_tfconv.config.template import RecipeText, dotted, read_recipe_text, suggestion
from mlflow_tfconv.config.trial_values import check_trial_values
from mlflow_tfconv.config.validation import validate
from mlflow_tfconv.device import Device, DeviceOptions
from mlflow_tfconv.engine.plan import Plan
from mlflow_tfconv.engine.step import MetricSpec, Step, StepContext
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps import ROOMS, step_class
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.compress.config import CompressConfig
from mlflow_tfconv.steps.convert.config import ConvertConfig
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.register.config import RegisterConfig
from mlflow_tfconv.steps.train.config import TrainConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentConfig:
    """Where runs are logged; the environment (MLFLOW_TRACKING_URI, ...) wins over it.

    Attributes:
        name: The experiment; by default the name of the recipe's folder.
        tracking_uri: A server, or `sqlite:///` with a path relative to the recipe's folder.
        artifact_location: Where a new experiment keeps its files.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    name: str | None = None
    tracking_uri: str | None = None
    artifact_location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRegistryConfig:
    """Where the chosen model is registered.

    Attributes:
        uri: A registry of its own; by default the tracking server's.
        model_name: The registered model's name; by default the name of the recipe's folder.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    uri: str | None = None
    model_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsConfig:
    """The steps, in the order they run; one that is not named is left out.

    Attributes:
        ingest: Reads the data and writes them as shards of examples.
        train: Trains a model on the stream.
        convert: Exports the model, and checks that the outputs agree.
        compress: Makes pruned and quantized variants.
        benchmark: Measures every variant in a process of its own.
        register: Registers the best variant that passes the gate.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    ingest: IngestConfig | None = None
    train: TrainConfig | None = None
    convert: ConvertConfig | None = None
    compress: CompressConfig | None = None
    benchmark: BenchmarkConfig | None = None
    register: RegisterConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeConfig:
    """A whole recipe.yaml.

    Attributes:
        recipe: The kind and version of recipe.
        steps: What is done.
        primary_metric: The quality metric that decides where one has to; by default accuracy, or
            the first of `metrics`.
        device: Where models compute: "cpu", "cuda:0", "cuda:0,1" or "tensorrt:0".
        device_options: Limits of the device.
        metrics: What `quality/...` is measured; by default what suits the labels.
        experiment: Where runs are logged (usually in the profile).
        model_registry: Where the chosen model is registered (usually in the profile).
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    recipe: Literal["tfconv/v1"]
    steps: StepsConfig
    primary_metric: str = "accuracy"
    device: str = "cpu"
    device_options: DeviceOptions = field(default_factory=DeviceOptions)
    metrics: tuple[MetricSpec, ...] = ()
    experiment: ExperimentConfig = field(default_factory=ExperimentConfig)
    model_registry: ModelRegistryConfig = field(default_factory=ModelRegistryConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRecipe:
    """A recipe that is ready to run.

    Attributes:
        root: The recipe's folder.
        profile: The profile.
        config: All but the steps of the user's own classes.
        plan: The steps with their configs.
        data: The plain values, as they are written beside the results.
    """

    root: Path
    profile: str
    config: RecipeConfig
    plan: Plan
    data: Mapping[str, Any]

    @property
    def model_name(self) -> str:
        """The registered model's name."""
        return self.config.model_registry.model_name or self.root.name


def read_recipe(root: Path, profile: str) -> ResolvedRecipe:
    """Reads and checks a recipe with a profile; nothing is run and no TensorFlow is imported.

    Raises:
        ConfigError: With every mistake that was found.
    """
    text = read_recipe_text(root, profile)
    data = {key: value for key, value in text.data.items() if value is not None}
    sections = _sections(data, text)
    own = {name: s for name, s in sections.items() if _is_import_path(s.get("using"))}
    plain = {**data, "steps": {name: s for name, s in sections.items() if name not in own}}
    config = validate(RecipeConfig, plain, (), text.place)
    steps = tuple(
        _step(name, config, own.get(name), text, root) for name in ROOMS if name in sections
    )
    if config.steps.train is not None and config.steps.train.trials is not None:
        check_trial_values(config.steps.train.trials, sections["train"], text.place)
    check_user_code(root, steps, config.metrics)
    config = checked_metrics(config, text.place, primary_is_given="primary_metric" in data)
    _check_start(steps)
    check_gate(config, steps, text.place)
    context = _context(config, steps, root, text)
    plan = Plan(root=root, profile=profile, steps=steps, context=context)
    return ResolvedRecipe(root=root, profile=profile, config=config, plan=plan, data=data)


def _sections(data: Mapping[str, Any], text: RecipeText) -> dict[str, dict[str, Any]]:
    """The steps' sections; an empty one is all defaults."""
    sections = data.get("steps")
    if not isinstance(sections, dict) or not sections:
        raise ConfigError(
            f"{text.place(('steps',))}: steps is missing or empty.",
            expected=f"some of {', '.join(ROOMS)}",
        )
    for name, section in sections.items():
        at = ("steps", name)
        if name not in ROOMS:
            raise ConfigError(
                f"{text.place(at)}: {dotted(at)} is no step.",
                received=name,
                expected=f"one of {', '.join(ROOMS)}",
                fix=suggestion(str(name), ROOMS),
            )
        if not isinstance(section, dict | None):
            raise ConfigError(
                f"{text.place(at)}: {dotted(at)} is no mapping.",
                received=repr(section),
                expected="keys and values",
            )
    return {name: section or {} for name, section in sections.items()}


def _is_import_path(using: Any) -> bool:
    return isinstance(using, str) and ("." in using or ":" in using)


def _step(
    name: str, config: RecipeConfig, own: dict[str, Any] | None, text: RecipeText, root: Path
) -> Step[Any]:
    at = ("steps", name)
    if own is None:
        return step_class(name)(getattr(config.steps, name))
    kind = user_step_class(
        own["using"], name, root, f"{text.place((*at, 'using'))}: {dotted(at)}.using"
    )
    rest = {key: value for key, value in own.items() if key != "using"}
    return kind(validate(kind.config_class, rest, at, text.place))


def _check_start(steps: tuple[Step[Any], ...]) -> None:
    """A recipe that converts needs something to convert."""
    names = [step.name for step in steps]
    if "train" in names and "ingest" not in names:
        raise ConfigError(
            "recipe.yaml: steps.train has no data.",
            expected="steps.ingest before it",
            fix="Add steps.ingest.",
        )
    convert = next((step for step in steps if step.name == "convert"), None)
    if convert is not None and "train" not in names and not getattr(convert.config, "source", None):
        raise ConfigError(
            "recipe.yaml: steps.convert has nothing to convert.",
            received="neither steps.train nor steps.convert.source",
            fix="Name a checkpoint in steps.convert.source, or add steps.train.",
        )
    for after, before in (
        ("compress", "convert"),
        ("benchmark", "convert"),
        ("register", "benchmark"),
    ):
        if after in names and before not in names:
            raise ConfigError(
                f"recipe.yaml: steps.{after} needs steps.{before}.", fix=f"Add steps.{before}."
            )


def _context(
    config: RecipeConfig, steps: tuple[Step[Any], ...], root: Path, text: RecipeText
) -> StepContext:
    convert = next((step.config for step in steps if step.name == "convert"), None)
    settings = {
        "input_map": getattr(convert, "input_map", None),
        "model_name": config.model_registry.model_name or root.name,
    }
    return StepContext(
        recipe_root=root,
        device=_device(config, text),
        metrics=config.metrics,
        primary_metric=config.primary_metric,
        settings=settings,
    )


def _device(config: RecipeConfig, text: RecipeText) -> Device:
    try:
        return Device.parse(config.device, config.device_options)
    except ConfigError as error:
        raise ConfigError(
            f"{text.place(('device',))}: {error.what}",
            received=error.received,
            expected=error.expected,
            fix=error.fix,
        ) from error
