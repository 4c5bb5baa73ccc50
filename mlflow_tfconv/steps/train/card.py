"""What a person wants to see of a training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.cards import Card, Table, Text
from mlflow_tfconv.steps.train.callbacks.watch_memory import DEVICE, HOST
from mlflow_tfconv.steps.train.curves import curves
from mlflow_tfconv.steps.train.leak import leak_in, leak_in_words
from mlflow_tfconv.steps.train.training import Training

_PICTURE = "curves.png"
_MOST_LAYERS = 40


def train_card(training: Training, epochs: int, folder: Path) -> Card:
    """The card; its picture is written into `folder`.

    Args:
        training: What was trained.
        epochs: How many epochs were asked for.
        folder: The step's folder.
    """
    return Card(
        title=_title(training, epochs),
        parts=(
            curves(training, folder / _PICTURE),
            _metrics(training),
            Text(text=_size(training.model)),
            *_in_force(training),
            *_memory(training),
            _layers(training.model),
        ),
    )


def _title(training: Training, epochs: int) -> str:
    history, monitor, done = training.history, training.monitor, _epochs(training)
    trained = "Trained" if done >= epochs else "Stopped early after"
    accuracy = next((n for n in ("val_accuracy", "accuracy") if n in history), monitor)
    value = history[accuracy][training.best_epoch - 1]
    text = f"{value:.3f}" if abs(value) >= 0.1 else f"{value:.3g}"
    shown = text if accuracy == monitor else f"{accuracy} {text}"
    best = f"{monitor} best at epoch {training.best_epoch} ({shown})"
    return f"{trained} {done} of {epochs} epochs: {best}"


def _epochs(training: Training) -> int:
    return max(len(values) for values in training.history.values())


def _metrics(training: Training) -> Table:
    rows = [
        (name, f"{values[training.best_epoch - 1]:.5g}", f"{values[-1]:.5g}")
        for name, values in training.history.items()
        if len(values) >= training.best_epoch
    ]
    rows += [(name, f"{value:.5g}", "") for name, value in training.test.items()]
    columns = ("metric", f"best epoch ({training.best_epoch})", f"last ({_epochs(training)})")
    return Table(
        columns=columns, rows=tuple(rows), caption="The weights of the best epoch are kept"
    )


def _size(model: Any) -> str:
    trainable = sum(int(v.shape.num_elements() or 1) for v in model.trainable_weights)
    return f"{model.name}: {model.count_params():,} parameters, {trainable:,} of them trainable."


def _in_force(training: Training) -> Iterator[Text]:
    if training.in_force:
        said = ", ".join(f"{name} {_plain(value)}" for name, value in training.in_force.items())
        yield Text(text=f"In force: {said}.")


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)


def _memory(training: Training) -> Iterator[Text]:
    """How much, and whether it grows; on a GPU both."""
    for where, key in (("host", HOST), ("GPU", DEVICE)):
        held = training.memory.get(key)
        if not held:
            continue
        leak = leak_in(held)
        peak = max(training.memory[key.replace("_mb", "_peak_mb")])
        text = f"Memory on the {where}: {peak:,.0f} MB at most, {held[-1]:,.0f} MB at the end."
        yield Text(text=f"{text} {leak_in_words(leak, where)}" if leak is not None else text)


def _layers(model: Any) -> Table:
    layers = list(model.layers)
    rows = [
        (layer.name, type(layer).__name__, _output_shape(layer), f"{layer.count_params():,}")
        for layer in layers[:_MOST_LAYERS]
    ]
    more = len(layers) - len(rows)
    caption = f"Layers; {more} more are not shown" if more else "Layers"
    columns = ("layer", "type", "output", "parameters")
    return Table(columns=columns, rows=tuple(rows), caption=caption)


def _output_shape(layer: Any) -> str:
    try:
        output = layer.output
    except (AttributeError, ValueError):  # a layer of a subclassed model has no single output
        return ""
    return ", ".join(_shape(tensor.shape) for tensor in _flat(output))


def _flat(output: Any) -> Sequence[Any]:
    if isinstance(output, Mapping):
        return list(output.values())
    return output if isinstance(output, list | tuple) else [output]


def _shape(shape: Sequence[int | None]) -> str:
    return "×".join("?" if n is None else str(n) for n in shape[1:]) or "scalar"
