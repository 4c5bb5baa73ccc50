"""The user's model: made, and checked against the data before any training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from mlflow_tfconv.data.schema import Schema
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.train.adjusted import based_on
from mlflow_tfconv.steps.train.classes import check_classes
from mlflow_tfconv.steps.train.failures import first_reason, from_users_code
from mlflow_tfconv.steps.train.functions import FILE, check_arguments
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.libraries import is_compiled, library_of, module_of
from mlflow_tfconv.steps.train.out_of_memory import shortage_in
from mlflow_tfconv.steps.train.stream import evaluation_stream
from mlflow_tfconv.steps.train.transfer import compiled

_FEW = 2


def made_model(job: TrainingJob) -> keras.Model:
    """The compiled model of `model_fn`, given what `prepare_fn` has learned from the data.

    Raises:
        ConfigError: `model_fn` does not take the params, or gives no compiled Keras model.
    """
    model_fn, base = job.functions.model_fn, based_on(job)
    if job.config.compile is not None:
        return compiled(base["base"], job.config.compile, model_fn)
    assert model_fn is not None  # noqa: S101 (without `compile` it is there or was refused)
    params = {**_prepared(job), **job.config.params, **base}
    check_arguments(model_fn, params)
    model = model_fn(job.schema, **params)
    _check_model(model, trains_itself=job.functions.train_fn is None)
    return model


def _prepared(job: TrainingJob) -> dict[str, Any]:
    if job.functions.prepare_fn is None:
        return {}
    batches = evaluation_stream(job, "train")
    return dict(job.functions.prepare_fn(batches, job.schema) or {})


def check_fit(
    model: keras.Model, features: Any, label: Any, schema: Schema
) -> tuple[str, ...] | None:
    """Builds the model on a small batch, and makes sure that its loss takes outputs and label.

    The model sees the first examples only, the classes of all of them are looked at.

    Returns:
        The names of its loss and metrics; None for a model with a training step of its own, which
        alone knows what to do with a batch.

    Raises:
        DataError: Shapes or names of the model and of the data do not match.
    """
    custom = type(model).train_step is not module_of(model).Model.train_step
    custom = custom or not is_compiled(model)
    if custom and model.built:
        return None
    all_labels, features, label = label, _first(features), _first(label)
    try:
        outputs = model(features, training=False)
        if custom or label is None:
            return None
        check_classes(model, outputs, all_labels, schema.labels)
        model.compute_loss(x=features, y=label, y_pred=outputs)
        names = tuple(model.compute_metrics(features, label, outputs, sample_weight=None))
    except DataError:
        raise
    except Exception as e:
        if from_users_code(e) or shortage_in(str(e)) is not None:
            raise
        problem = first_reason(str(e) or type(e).__name__)
        raise _misfit(model, features, label, schema, problem) from e
    model.reset_metrics()
    return names


def _first(batch: Any) -> Any:
    return keras.tree.map_structure(lambda array: array[:_FEW], batch)


def _misfit(
    model: keras.Model, features: Any, label: Any, schema: Schema, problem: str
) -> DataError:
    return DataError(
        f"The model of {FILE} does not fit the data: {problem}",
        received=f"features: {_shapes(features, schema.inputs)}; "
        f"label: {_shapes(label, schema.labels)}",
        expected=f"inputs: {_described(model, 'input')}; "
        f"outputs: {_described(model, 'output')}; loss: {_loss_name(model)}",
        fix="Build the model from `spec` (spec.inputs, spec.labels): inputs have the names of the "
        "features. Choose a loss for this kind of label, or change what the step `ingest` reads.",
    )


def _check_model(model: Any, *, trains_itself: bool) -> None:
    library = library_of(model)
    if library is None:
        kind = f"{type(model).__module__}.{type(model).__name__}"
        raise ConfigError(
            f"model_fn in {FILE} gives no model of Keras.",
            received="None" if model is None else kind,
            expected="a compiled keras.Model, or one of tf_keras",
            fix="End model_fn with `return model`." if model is None else "Build it with `keras`.",
        )
    if trains_itself and not is_compiled(model):
        raise ConfigError(
            f"model_fn in {FILE} gives a model that is not compiled.",
            received=f"{library} model {model.name!r} without optimizer and loss",
            expected="a compiled model, or a loop of your own (train_fn)",
            fix="Call model.compile(optimizer=..., loss=..., metrics=[...]) in model_fn.",
        )


def _shapes(value: Any, names: Mapping[str, Any]) -> str:
    if value is None:
        return "none"
    named = value if isinstance(value, Mapping) else {next(iter(names), "value"): value}
    return ", ".join(_shape(name, array.shape, array.dtype.name) for name, array in named.items())


def _described(model: keras.Model, side: str) -> str:
    """Names and shapes of the inputs or outputs; a subclassed model does not know its own."""
    tensors = getattr(model, f"{side}s", None)
    if not tensors:
        return "unknown"
    names = getattr(model, f"{side}_names", None) or [tensor.name for tensor in tensors]
    return ", ".join(
        _shape(name, tensor.shape, tensor.dtype)
        for name, tensor in zip(names, tensors, strict=False)
    )


def _shape(name: str, shape: Any, dtype: Any) -> str:
    dimensions = ", ".join("?" if n is None else str(n) for n in tuple(shape)[1:])
    return f"{name} (batch{', ' + dimensions if dimensions else ''}) {dtype}"


def _loss_name(model: keras.Model) -> str:
    loss = model.loss
    return loss if isinstance(loss, str) else getattr(loss, "name", None) or str(loss)
