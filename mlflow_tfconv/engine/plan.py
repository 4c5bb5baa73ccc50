"""The steps of a recipe in their order, and what each one's result hangs on."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.codec import encode
from mlflow_tfconv.engine.digests import Digests
from mlflow_tfconv.engine.parts import fingerprint_of
from mlflow_tfconv.engine.secrets import masked
from mlflow_tfconv.engine.step import Step, StepContext
from mlflow_tfconv.engine.store import StoredResult
from mlflow_tfconv.engine.user_files import code_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a recipe asks for.

    Attributes:
        root: The recipe's folder.
        profile: The profile it was resolved with.
        steps: In the order they run.
        context: The surroundings that all steps share.
    """

    root: Path
    profile: str
    steps: tuple[Step[Any], ...]
    context: StepContext

    def upto(self, name: str | None) -> tuple[Step[Any], ...]:
        """The steps that a step needs, itself last; all when there is no name."""
        if name is None:
            return self.steps
        names = [step.name for step in self.steps]
        return self.steps[: names.index(name) + 1]


def source_of(position: int, steps: tuple[Step[Any], ...], done: Mapping[str, StoredResult]) -> Any:
    """What a step works on: the noun of the step before it.

    `ingest` before a step that starts from a checkpoint of its own is no source: the data reach
    every step through the context.
    """
    if position == 0:
        return None
    before = done[steps[position - 1].name].output
    return None if isinstance(before, Dataset) and steps[position].name != "train" else before


def dataset_of(done: Mapping[str, StoredResult]) -> Dataset | None:
    """The dataset among the results so far."""
    return next((r.output for r in done.values() if isinstance(r.output, Dataset)), None)


def ingredients(
    step: Step[Any], plan: Plan, done: Mapping[str, StoredResult], digests: Digests
) -> dict[str, Any]:
    """All that decides a step's result, as plain values; where it is logged is no part of it."""
    root = plan.root
    code = [
        file for name in step.user_code for file in code_files(root / name, (root, root / "steps"))
    ]
    kind = type(step)
    feeds = {name: result.content for name, result in done.items() if _feeds(name, done)}
    code = _with_own(kind, root, code)
    versions = {name: _version(name) for name in ("mlflow-tfconv", *step.libraries)}
    return {
        "step": f"{kind.__module__}:{kind.__qualname__}",
        "config": masked(dataclasses.asdict(step.config)),
        "code": {_relative(file, root): digests.of(file) for file in code},
        "inputs": {str(path): digests.of(_absolute(path, root)) for path in step.inputs()},
        "outside": dict(step.outside()),
        "upstream": feeds,
        "libraries": versions,
        "reads": {name: _read(plan.context, name) for name in step.decided_by()},
    }


def fingerprint(
    step: Step[Any], plan: Plan, done: Mapping[str, StoredResult], digests: Digests
) -> str:
    """A digest of a step's ingredients."""
    return fingerprint_of(ingredients(step, plan, done, digests))


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Which ingredients differ, in words: "config.epochs", "steps/train.py", "keras 3.15 -> 3.16"."""
    found: list[str] = []
    for kind, values in after.items():
        old = before.get(kind)
        if not isinstance(values, Mapping) or not isinstance(old, Mapping):
            found += [] if old == values else [kind]
            continue
        for name in {**old, **values}:
            if old.get(name) != values.get(name):
                found.append(_change(kind, name, old.get(name), values.get(name)))
    return tuple(found)


def _change(kind: str, name: str, old: Any, new: Any) -> str:
    if kind == "libraries":
        return f"{name} {old} -> {new}"
    return {"upstream": f"what {name} made", "config": f"config.{name}"}.get(kind, name)


def _feeds(name: str, done: Mapping[str, StoredResult]) -> bool:
    """The step before, and the data: what a step can see of the others' results."""
    return name == list(done)[-1] or isinstance(done[name].output, Dataset)


def _with_own(kind: type, root: Path, code: list[Path]) -> list[Path]:
    """A user's own step class is user code too."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if kind.__module__.startswith("mlflow_tfconv.") or file is None:
        return code
    return [*code, *code_files(Path(file), (root, root / "steps"))]


def _absolute(path: Path, root: Path) -> Path:
    return path if path.is_absolute() else root / path


def _relative(path: Path, root: Path) -> str:
    """From the recipe's folder, so that what is beside it may move along."""
    return os.path.relpath(path, root)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _read(context: StepContext, name: str) -> Any:
    """A field of the context, or `settings.<key>`, as plain values."""
    field, _, key = name.partition(".")
    value = getattr(context, field)
    return encode(value.get(key) if key else value, context.recipe_root or Path())
