"""Why a loss is no number: the batch, a layer, the loss, a gradient or the step itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from mlflow_tfconv.steps.train.diagnosis.not_finite_values import (
    examples_with,
    in_words,
    largest_of,
    named,
    range_of,
)
from mlflow_tfconv.steps.train.diagnosis.watched_layers import tensors_in, watched_layers
from mlflow_tfconv.steps.train.gradients import as_tensorflows
from mlflow_tfconv.steps.train.learning_rate import rate_of

_HUGE = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What is the first not to be finite.

    Attributes:
        text: It, as the end of a sentence.
        fix: How to mend it.
    """

    text: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch as the model gets it.

    Attributes:
        whole: All of it, as the stream gives it.
        features: An array, or {name: array}.
        label: The same, or None.
        weight: Of every example in the loss, or None.
        feature_names: Of the schema.
        label_names: Of the schema.
    """

    whole: Any = None
    features: Any
    label: Any = None
    weight: Any = None
    feature_names: Sequence[str] = ()
    label_names: Sequence[str] = ()

    def parts(self) -> Iterator[tuple[str, Any]]:
        """What it is, in words, and the array."""
        for name, value in named(self.features, tuple(self.feature_names)):
            yield f"the feature {name!r}", value
        for name, value in named(self.label, tuple(self.label_names)):
            yield f"the label {name!r}", value
        for _, value in named(self.weight, ()):
            yield "the weight of the examples", value


def cause_in_batch(batch: Batch) -> Cause | None:
    """The first feature or label that has values that are no numbers."""
    for what, value in batch.parts():
        words = in_words(value)
        if words is not None:
            return Cause(
                text=f"{what} of this batch holds {words}{examples_with(value)}",
                fix="Clean the data in steps/ingest.py or where they come from, or replace missing "
                "values in `augment_fn` or in the model.",
            )
    return None


def cause_in_model(
    model: Any, batch: Batch, *, custom: bool, training: bool = True
) -> Cause | None:
    """The first layer, or the loss, or gradient, that is not finite for a batch that is.

    Args:
        model: As it was before it was trained on the batch.
        batch: The batch.
        custom: Whether the model has a training step of its own, whose loss nobody else knows.
        training: Whether it was trained on the batch, and not validated.
    """
    for weight in model.weights:
        words = in_words(weight)
        if words is not None:
            return _weight_cause(_name(weight), words, "already before this batch")
    with tf.GradientTape() as tape:
        cause, outputs = _cause_in_layers(model, batch, training=training)
        if cause is not None or custom:
            return cause
        loss = _loss(model, batch, outputs)
    words = in_words(loss)
    if words is not None:
        return _loss_cause(model, batch, outputs)
    return _cause_in_gradients(model, tape, loss) if training else None


def cause_in_step(model: Any) -> Cause | None:
    """The first weight that is no number after the training step, though its gradient was."""
    for weight in model.weights:
        words = in_words(weight)
        if words is not None:
            return _weight_cause(_name(weight), words, f"after a step of rate {rate_of(model)}")
    return None


def _cause_in_layers(model: Any, batch: Batch, *, training: bool) -> tuple[Cause | None, Any]:
    found: list[Cause] = []

    def look(part: Any, path: str, given: Any, result: Any) -> None:
        words = next((w for w in map(in_words, tensors_in(result)) if w), None)
        if words is not None and not found:
            found.append(_layer_cause(part, path, given, words))

    with watched_layers(model, look):
        outputs = model(batch.features, training=training)
    if not found and (words := next((w for w in map(in_words, tensors_in(outputs)) if w), None)):
        found.append(_layer_cause(model, model.name, batch.features, words))
    return (found[0] if found else None), outputs


def _layer_cause(part: Any, path: str, given: Any, words: str) -> Cause:
    inputs = tensors_in(given)
    bad = [words for words in map(in_words, inputs) if words]
    ranges = ", ".join(filter(None, map(range_of, inputs)))
    dtype = next((t.dtype.name for t in inputs if t.dtype.is_floating), "float32")
    if bad and dtype == "float16" and "Inf" in bad[0]:
        into = f"inputs that are too large for float16 ({bad[0]})"
    elif bad:
        into = f"what code of the model gives to it before ({bad[0]})"
    else:
        into = f"finite inputs ({ranges})" if ranges else "finite inputs"
    fix = "Look for a division by 0, a logarithm or root of a negative number there, and for "
    fix += "inputs that are not scaled; a lower learning rate or clipnorm=1.0 keeps weights small."
    if dtype == "float16":
        fix += " float16 ends at 65504: use bfloat16, or compute this layer in float32."
    kind = type(part).__name__
    largest = max((largest_of(weight) for weight in getattr(part, "weights", ())), default=0.0)
    if largest > _HUGE:
        into += f", with weights of up to {largest:.3g}"
        fix = "The weights have grown without measure: lower the learning rate, or clip gradients "
        fix += "(clipnorm=1.0) in steps/train.py."
    return Cause(text=f"the layer {path!r} ({kind}) gives {words} from {into}", fix=fix)


def _loss(model: Any, batch: Batch, outputs: Any) -> Any:
    label = tf.nest.map_structure(tf.convert_to_tensor, batch.label)
    return model.compute_loss(x=batch.features, y=label, y_pred=outputs, sample_weight=batch.weight)


def _loss_cause(model: Any, batch: Batch, outputs: Any) -> Cause:
    losses = [words for words in map(in_words, model.losses) if words]
    if losses:
        return Cause(
            text="a penalty that a layer adds to the loss (a regularizer or add_loss) is not "
            f"finite: {losses[0]}",
            fix="Make the factor of the regularizer smaller, or look at the layer's add_loss.",
        )
    loss = model.loss
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", getattr(loss, "name", loss))
    ranges = [f"outputs {range_of(t)}" for t in tensors_in(outputs)]
    ranges += [f"{what} {range_of(v)}" for what, v in batch.parts() if "label" in what]
    return Cause(
        text=f"the loss {name} is not finite for finite outputs ({', '.join(ranges)})",
        fix="Choose a loss that fits the last layer: from_logits=True without a softmax or "
        "sigmoid, from_logits=False with one; and labels in the range that it expects.",
    )


def _cause_in_gradients(model: Any, tape: Any, loss: Any) -> Cause | None:
    weights = list(model.trainable_weights)
    gradients = tape.gradient(loss, [as_tensorflows(weight) for weight in weights])
    bad = [
        (_name(weight), words)
        for weight, gradient in zip(weights, gradients, strict=True)
        if gradient is not None and (words := in_words(getattr(gradient, "values", gradient)))
    ]
    if not bad:
        return None
    # Gradients are computed from the end of a model to its beginning.
    name, words = bad[-1]
    more = f"; of {len(bad)} weights in all" if len(bad) > 1 else ""
    return Cause(
        text=f"the gradient of the weight {name!r} has {words}{more}, though the loss is finite",
        fix="Look for a root, a logarithm or a norm of 0 in the layers after it (add a small "
        "number), and clip gradients (clipnorm=1.0), which helps against Inf but not NaN.",
    )


def _weight_cause(name: str, words: str, when: str) -> Cause:
    return Cause(
        text=f"the weight {name!r} has {words} {when}",
        fix="Lower the learning rate, or clip gradients (clipnorm=1.0) in steps/train.py.",
    )


def _name(weight: Any) -> str:
    return str(getattr(weight, "path", None) or weight.name)
