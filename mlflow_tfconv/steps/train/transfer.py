"""A model made ready to be trained on from where another training has ended."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

import keras

from mlflow_tfconv.engine.events import Emit, Message, Param
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.sources.keras.reading import KerasReading
from mlflow_tfconv.steps.train.callbacks_config import LearningRateConfig
from mlflow_tfconv.steps.train.frozen import Frozen, freeze
from mlflow_tfconv.steps.train.layer_rates import use_layer_rates
from mlflow_tfconv.steps.train.learning_rate import optimizer_of, rate_of, set_rate
from mlflow_tfconv.steps.train.libraries import build
from mlflow_tfconv.steps.train.transfer_config import CompileConfig


def say_base(reading: KerasReading, emit: Emit) -> None:
    """Tells what was read, and what had to be assumed for it."""
    model = reading.model
    emit(
        Message(text=f"Training starts from {model.name} with {model.count_params():,} parameters.")
    )
    emit(Param(name="start_from_format", value=reading.source_format))
    for choice in reading.choices:
        emit(Message(text=f"{choice.what}: {choice.chosen} ({choice.reason})"))
    for warning in reading.warnings:
        emit(Message(text=warning, level="warning"))


def compiled(model: Any, config: CompileConfig, model_fn: object) -> Any:
    """The model itself, ready to be trained.

    Args:
        model: The one to start from.
        config: How.
        model_fn: What the user wrote; it would not be called.

    Raises:
        ConfigError: A name is none of Keras', or there is a function that makes the model.
    """
    if model_fn is not None:
        raise ConfigError(
            "There are two who would compile the model: train.compile and model_fn.",
            received="compile in recipe.yaml, and model_fn in steps/train.py",
            expected="one of the two",
            fix="Take `compile` out; model_fn gets the model to start from as the keyword `base`.",
        )
    if not isinstance(model, keras.Model):
        raise ConfigError(
            "`compile` is for models of Keras 3.",
            received=f"{type(model).__module__}.{type(model).__qualname__}",
            fix="Compile this one in model_fn: `def model_fn(spec, base): ...`.",
        )
    losses = config.loss if isinstance(config.loss, dict) else {"": config.loss}
    made = {output: _loss(name, logits=config.from_logits) for output, name in losses.items()}
    model.compile(
        optimizer=_known("optimizer", config.optimizer, keras.optimizers),
        loss=made if isinstance(config.loss, dict) else made[""],
        metrics=[_checked_metric(name) for name in config.metrics],
    )
    return model


def initial_rate(model: Any, asked: float | LearningRateConfig | None) -> float | None:
    """The rate at the start; a number in the config is put into the optimizer.

    Raises:
        ConfigError: The optimizer does not take it.
    """
    if isinstance(asked, LearningRateConfig):
        asked = asked.initial
    if asked is not None:
        set_rate(model, asked)
    return rate_of(model)


def frozen(model: Any, patterns: tuple[str, ...], *, later: bool, emit: Emit) -> Frozen | None:
    """Freezes layers; None when none are to be.

    Args:
        model: Built and compiled.
        patterns: Of names or paths.
        later: Whether they are to be trained later: then the optimizer makes room for them now,
            since it can't once it is in use.
        emit: Takes what was done.

    Raises:
        ConfigError: A pattern matches nothing, or all is frozen.
    """
    if not patterns:
        return None
    if later:
        build(model.optimizer, model.trainable_variables)
    done = freeze(model, patterns)
    emit(Message(text=done.text))
    emit(Param(name="freeze", value=json.dumps(list(patterns))))
    return done


def with_layer_rates(
    model: Any, rates: Mapping[str, float], initial: float | None, emit: Emit
) -> None:
    """Gives layers learning rates of their own.

    Raises:
        ConfigError: A pattern matches nothing, or the optimizer can't do it.
    """
    if not rates:
        return
    if initial is None:
        raise ConfigError(
            "The optimizer has no single learning rate that could be scaled by layer.",
            received=type(optimizer_of(model)).__name__,
            expected="an optimizer compiled with a number as its learning rate",
        )
    use_layer_rates(model, rates, initial)
    emit(Param(name="learning_rates", value=json.dumps(dict(rates))))


def _loss(name: str, *, logits: bool) -> Any:
    known = _known("loss", name, keras.losses)
    if not logits:
        return known
    classes = {loss.__name__: loss for loss in _LOSSES_OF_LOGITS}
    wanted = "".join(part.capitalize() for part in name.split("_"))
    made = classes.get(name) or classes.get(wanted)
    if made is None:
        raise ConfigError(
            "from_logits means nothing to this loss.",
            received=f"loss: {name}",
            expected=" or ".join(_snake(loss) for loss in classes),
            fix="Take `from_logits` out.",
        )
    return made(from_logits=True)


_LOSSES_OF_LOGITS = (
    keras.losses.BinaryCrossentropy,
    keras.losses.CategoricalCrossentropy,
    keras.losses.SparseCategoricalCrossentropy,
    keras.losses.BinaryFocalCrossentropy,
    keras.losses.CategoricalFocalCrossentropy,
)


def _checked_metric(name: str) -> str:
    """Keras decides itself which accuracy fits to a loss, so it gets the name."""
    if name not in ("accuracy", "acc", "crossentropy", "ce"):
        _known("metric", name, keras.metrics)
    return name


def _known(what: str, name: str, module: Any) -> Any:
    try:
        return module.get(name)
    except ValueError as error:
        names = sorted(n for n in vars(module) if not n.startswith("_") and n[0].islower())
        names += sorted(_snake(n) for n in vars(module) if n[0].isupper())
        near = difflib.get_close_matches(name, list(dict.fromkeys(names)), n=3)
        raise ConfigError(
            f"Keras has no {what} of this name.",
            received=f"compile.{what}: {name}",
            expected=f"a name of keras.{module.__name__.rsplit('.', 1)[-1]}",
            fix=f"Did you mean {' or '.join(near)}?" if near else None,
        ) from error


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
