"""Magnitude pruning of a Keras 3 model while it is fine-tuned, by tfmot's schedules and masks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlflow_tfconv.data.damage import telling_damage
from mlflow_tfconv.errors import CompressionError
from mlflow_tfconv.steps.compress.config import PruneConfig
from mlflow_tfconv.steps.compress.fine_tuning import TrainingStream, load_for_training
from mlflow_tfconv.steps.compress.magnitude import chosen_names, without_smallest, zeros_for

# tfmot sets TF_USE_LEGACY_KERAS when it is imported, which would make `tf.keras` Keras 2 for the
# user's code too, unless that name has been resolved before.
_legacy = os.environ.get("TF_USE_LEGACY_KERAS")
_ = tf.keras.Model
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it compares versions with distutils
    from tensorflow_model_optimization.python.core.sparsity.keras import pruning_schedule
    from tensorflow_model_optimization.python.core.sparsity.keras.pruning_impl import Pruning
if _legacy is None:
    os.environ.pop("TF_USE_LEGACY_KERAS", None)

_UPDATES = 20
_SHARE_OF_RAMP = 0.75

#: Layers and the names of their variables that are pruned. Depthwise kernels stay: they are small.
_PRUNABLE: tuple[tuple[tuple[type, ...], tuple[str, ...]], ...] = (
    ((keras.layers.Dense, keras.layers.EinsumDense), ("kernel",)),
    ((keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D), ("kernel",)),
    (
        (
            keras.layers.Conv1DTranspose,
            keras.layers.Conv2DTranspose,
            keras.layers.Conv3DTranspose,
        ),
        ("kernel",),
    ),
    ((keras.layers.SeparableConv1D, keras.layers.SeparableConv2D), ("pointwise_kernel",)),
    (
        (keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell),
        ("kernel", "recurrent_kernel"),
    ),
    ((keras.layers.Embedding,), ("embeddings",)),
)

Report = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What pruning did.

    Attributes:
        zeros: Path of each pruned variable to its number of zeros.
        history: Metric name to one value an epoch of the fine-tuning.
    """

    zeros: Mapping[str, int]
    history: Mapping[str, tuple[float, ...]]


def prune_magnitude(
    source: Path,
    output: Path,
    config: PruneConfig,
    *,
    stream: TrainingStream,
    seed: int,
    recipe_root: Path | None,
    report: Report,
) -> Pruned:
    """Fine-tunes a Keras model and writes it with exactly the asked share of zeros in each kernel.

    Args:
        source: A compiled Keras file.
        output: The `.keras` file to write.
        config: What to prune, and how.
        stream: What to fine-tune on.
        seed: Of dropout and of random augmentation.
        recipe_root: Where steps/train.py may define custom classes.
        report: Takes steps done, steps in all and the loss, after each step.

    Raises:
        CompressionError: The model can't be loaded or trained, nothing can be pruned, a pattern
            matches no layer, or the loss stopped being a number.
        DataError: A record is damaged.
    """
    keras.utils.set_random_seed(seed)
    model = load_for_training(source, config.learning_rate, recipe_root)
    variables = _chosen_variables(model, config)
    total = stream.steps * config.epochs
    masks = _Masks(variables, _schedule(config, total), config.sparsity)
    with telling_damage(stream.manifest, "train"):
        history = model.fit(
            stream.batches,
            epochs=config.epochs,
            verbose=0,
            shuffle=False,  # the stream is shuffled
            callbacks=[masks, _Reporter(report, total), keras.callbacks.TerminateOnNaN()],
        ).history
    _require_finite(model, history, config)
    model.save(output)
    return Pruned(
        zeros={name: int(np.count_nonzero(v.numpy() == 0)) for name, v in variables.items()},
        history={name: tuple(map(float, values)) for name, values in history.items()},
    )


def _chosen_variables(model: keras.Model, config: PruneConfig) -> dict[str, tf.Variable]:
    """Path of each variable that is pruned to its TensorFlow variable."""
    prunable: dict[Any, tuple[str, ...]] = {
        layer: names
        for layer in model._flatten_layers()
        for kinds, names in _PRUNABLE
        if isinstance(layer, kinds) and not isinstance(layer, keras.layers.DepthwiseConv2D)
    }
    chosen = chosen_names(config, [layer.name for layer in prunable], "layers")
    variables = [
        getattr(layer, name)
        for layer, names in prunable.items()
        for name in names
        if layer.name in chosen
    ]
    return {variable.path: variable.value for variable in variables}


def _schedule(config: PruneConfig, total: int) -> Any:
    """A schedule of tfmot; its last update falls on the step at which the sparsity is reached."""
    if config.schedule == "constant":
        return pruning_schedule.ConstantSparsity(
            config.sparsity, begin_step=0, frequency=config.frequency or _UPDATES
        )
    ramp = max(int(total * _SHARE_OF_RAMP), 1)
    frequency = min(config.frequency or max(ramp // _UPDATES, 1), ramp)
    return pruning_schedule.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=config.sparsity,
        begin_step=0,
        end_step=ramp // frequency * frequency,
        frequency=frequency,
    )


# The arguments of a callback are given by Keras, needed or not (ARG002).


class _Masks(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Chooses weights when the schedule says so, and keeps those that were chosen at zero."""

    def __init__(
        self, variables: Mapping[str, tf.Variable], schedule: Any, sparsity: float
    ) -> None:
        super().__init__()
        self._variables, self._sparsity = variables, sparsity
        self._step = tf.Variable(-1, dtype=tf.int64, trainable=False)
        triples = [
            (v, tf.Variable(tf.ones_like(v), trainable=False), tf.Variable(0.0, dtype=v.dtype))
            for v in variables.values()
        ]
        self._pruning = Pruning(lambda: self._step, triples, schedule, (1, 1), "AVG")
        # tfmot's functions are graph code already; to rewrite them takes seconds.
        self._update = tf.function(self._next_step, autograph=False)
        self._apply = tf.function(self._mask, autograph=False)

    def _mask(self) -> None:
        self._pruning.weight_mask_op()

    def _next_step(self) -> None:
        self._step.assign_add(1)
        self._pruning.conditional_mask_update()
        self._pruning.weight_mask_op()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Goes on in the schedule."""
        self._update()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Takes away what the last step of the optimizer gave to pruned weights."""
        self._apply()

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Makes the sparsity exact: tfmot keeps all weights that are as large as its threshold."""
        self._apply()
        for variable in self._variables.values():
            weights = variable.numpy()
            if np.count_nonzero(weights == 0) < zeros_for(weights.size, self._sparsity):
                variable.assign(without_smallest(weights, self._sparsity))


class _Reporter(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Says how far the fine-tuning is."""

    def __init__(self, report: Report, total: int) -> None:
        super().__init__()
        self._report, self._total, self._done = report, total, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Counts a step."""
        self._done += 1
        self._report(self._done, self._total, float((logs or {}).get("loss", float("nan"))))


def _require_finite(model: keras.Model, history: Mapping[str, Any], config: PruneConfig) -> None:
    if not all(np.isfinite(v.numpy()).all() for v in model.trainable_variables):
        raise CompressionError(
            "The fine-tuning of the pruned model diverged.",
            received=f"loss {history.get('loss', ())}, NaN or infinite weights",
            expected="finite weights",
            fix=f"Set `prune.learning_rate` lower (it is {config.learning_rate or 'the model`s'}), "
            "or a lower `sparsity`.",
        )
