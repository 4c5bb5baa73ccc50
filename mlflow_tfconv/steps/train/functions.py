"""What `steps/train.py` of a recipe brings."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.data.user_code import user_function
from mlflow_tfconv.errors import ConfigError

FILE = "steps/train.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainFunctions:
    """The functions of `steps/train.py`; None for an optional one that is not there.

    Attributes:
        model_fn: `(spec, **params)` -> compiled Keras model. With `start_from` it gets that model
            as the keyword `base`; with `compile` it is not needed.
        prepare_fn: `(dataset, spec)` -> None, or keyword arguments for `model_fn`, such as layers
            that have adapted to the data. `dataset` holds batches of the training split.
        augment_fn: `(features, label)` -> the same, changed; of a batch.
        callbacks_fn: `()` -> list of Keras callbacks.
        train_fn: `(model, epoch)` -> generator: a loop of one's own in the place of `model.fit`,
            called once an epoch. It trains on `epoch.batches`, yields `{metric: number}` after each
            of them, and may return metrics of the whole epoch, such as `{"val_loss": ...}` of
            `epoch.validation`. What it needs from one epoch to the next, such as a second
            optimizer, are attributes of the model: those are kept for a restart.
    """

    model_fn: Callable[..., Any] | None = None
    prepare_fn: Callable[..., Any] | None = None
    augment_fn: Callable[..., Any] | None = None
    callbacks_fn: Callable[..., Any] | None = None
    train_fn: Callable[..., Any] | None = None


def train_functions(recipe_root: Path | None, *, needs_model: bool = True) -> TrainFunctions:
    """The functions of a recipe's `steps/train.py`.

    Raises:
        ConfigError: There is no recipe, no such file, or no `model_fn` in it.
    """
    if recipe_root is None:
        raise ConfigError(
            "train has no recipe whose steps/train.py could make the model.",
            received="StepContext(recipe_root=None)",
            expected="the folder that holds steps/train.py",
            fix="Pass StepContext(recipe_root=Path(...)) to run().",
        )
    optional = {
        name: user_function(recipe_root, FILE, name, required=False)
        for name in ("prepare_fn", "augment_fn", "callbacks_fn", "train_fn")
    }
    model_fn = user_function(recipe_root, FILE, "model_fn", required=needs_model)
    return TrainFunctions(model_fn=model_fn, **optional)


def check_arguments(model_fn: Callable[..., Any], params: Mapping[str, Any]) -> None:
    """Makes sure that `model_fn` takes the params of recipe.yaml.

    Raises:
        ConfigError: It does not know one, or needs one that is not there.
    """
    signature = inspect.signature(model_fn)
    try:
        signature.bind(None, **params)
    except TypeError as e:
        raise ConfigError(
            f"train.params does not fit model_fn in {FILE}: {e}.",
            received=f"params: {dict(params)}",
            expected=f"def model_fn{signature}",
            fix=_advice(signature, params),
        ) from e


def _advice(signature: inspect.Signature, params: Mapping[str, Any]) -> str:
    known = list(signature.parameters)[1:]
    if "base" in params and "base" not in known:
        return "Give model_fn the keyword `base`: it gets the model of `start_from`."
    for name in params:
        near = difflib.get_close_matches(name, known, n=1)
        if name not in known and near:
            return f"Did you mean {near[0]!r} instead of {name!r}?"
    return "Change `params` of the step train in recipe.yaml, or the arguments of model_fn."
