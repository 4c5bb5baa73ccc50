"""What a recipe made, as objects that a person can work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.artifacts import Checkpoint, Dataset, Reports, Variants
from mlflow_tfconv.config.recipe_config import ResolvedRecipe
from mlflow_tfconv.config.template import suggestion
from mlflow_tfconv.engine.store import Store, StoredResult
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.recipe_run import make_tracker, model_key
from mlflow_tfconv.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """How an artifact is found.

    Attributes:
        steps: The steps that may have made it, the last one first.
        where: Gives its location from the step's result.
        load: Gives the object from the step's noun.
    """

    steps: tuple[str, ...]
    where: Callable[[StoredResult], str]
    load: Callable[[Any, ResolvedRecipe], Any]


def _dataset(noun: Dataset, recipe: ResolvedRecipe) -> Any:
    from mlflow_tfconv.data.reading import read_dataset

    train = next((s.config for s in recipe.plan.steps if s.name == "train"), None)
    return read_dataset(noun, "train", getattr(train, "batch_size", 32))


def _model(noun: Checkpoint, recipe: ResolvedRecipe) -> Any:
    from mlflow_tfconv.data.user_code import load_user_module
    from mlflow_tfconv.runtimes.load_keras import load_keras

    if (recipe.root / "steps" / "train.py").is_file():
        # Custom layers register themselves when their module is imported.
        load_user_module(recipe.root, "steps/train.py")
    return load_keras(noun.path)


def _variants(noun: Variants, _: ResolvedRecipe) -> Any:
    return {variant.run_name: variant.path for variant in noun.variants}


def _report(noun: Reports, _: ResolvedRecipe) -> Any:
    from mlflow_tfconv.steps.benchmark.report.report import BenchmarkReport

    return BenchmarkReport(noun).to_dataframe()


_KINDS = {
    "dataset": _Kind(steps=("ingest",), where=lambda r: str(r.output.manifest), load=_dataset),
    "model": _Kind(steps=("train",), where=lambda r: str(r.output.path), load=_model),
    "saved_model": _Kind(
        steps=("convert",),
        where=lambda r: str(r.output.saved_model),
        load=lambda n, _: n.saved_model,
    ),
    "onnx_model": _Kind(
        steps=("convert",), where=lambda r: str(r.output.onnx), load=lambda n, _: n.onnx
    ),
    "variants": _Kind(
        steps=("compress",),
        where=lambda r: "\n".join(f"{v.run_name}\t{v.path}" for v in r.output.variants),
        load=_variants,
    ),
    "benchmark_report": _Kind(
        steps=("benchmark",), where=lambda r: str(r.folder / "report.json"), load=_report
    ),
}
_LOGGED = ("registered_model_version", "run")
NAMES = (*_KINDS, *_LOGGED)


def load_artifact(
    name: str, recipe: ResolvedRecipe, done: Mapping[str, StoredResult], store: Store
) -> Any:
    """The artifact as an object.

    Raises:
        ConfigError: There is no such artifact, or it has not been made.
    """
    if name in _LOGGED:
        return _entity(name, _tracker(recipe, done, store))
    kind, result = _find(name, done)
    return kind.load(result.output, recipe)


def artifact_location(
    name: str, recipe: ResolvedRecipe, done: Mapping[str, StoredResult], store: Store
) -> str:
    """Where the artifact is: a path, or an MLflow URI.

    Raises:
        ConfigError: There is no such artifact, or it has not been made.
    """
    if name in _LOGGED:
        return _uri(name, _tracker(recipe, done, store))
    kind, result = _find(name, done)
    return kind.where(result)


def _find(name: str, done: Mapping[str, StoredResult]) -> tuple[_Kind, StoredResult]:
    if name not in _KINDS:
        raise ConfigError(
            f"There is no artifact {name!r}.",
            received=name,
            expected=f"one of {', '.join(NAMES)}",
            fix=suggestion(name, NAMES),
        )
    kind = _KINDS[name]
    for step in kind.steps:
        if step in done:
            return kind, done[step]
    raise _not_made(name, kind.steps[0])


def _not_made(name: str, step: str) -> ConfigError:
    return ConfigError(
        f"The artifact {name!r} has not been made for the recipe as it is now.",
        fix=f"Run the step that makes it: `mlflow recipes run --step {step}`",
    )


def _tracker(recipe: ResolvedRecipe, done: Mapping[str, StoredResult], store: Store) -> Tracker:
    """The tracker at the parent run of the present model; the server is not asked."""
    tracker = make_tracker(recipe, store)
    if not tracker.resume(model_key(done)):
        raise _not_made("run", recipe.plan.steps[-1].name)
    return tracker


def _uri(name: str, tracker: Tracker) -> str:
    if name == "run":
        return f"runs:/{tracker.run_id}"
    if tracker.registered is None:
        raise _not_made(name, "register")
    return tracker.registered.uri


def _entity(name: str, tracker: Tracker) -> Any:
    uri = _uri(name, tracker)
    client = tracker.client
    if name == "run":
        return client.get_run(tracker.run_id)
    _, model, version = uri.split("/")
    return client.get_model_version(model, version)
