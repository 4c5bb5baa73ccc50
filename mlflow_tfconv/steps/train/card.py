"""What a person wants to see of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mlflow_tfconv.engine.cards import Card, Picture, Table, Text
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
            _curves(training, folder / _PICTURE),
            _metrics(training),
            Text(text=_size(training.model)),
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


def _curves(training: Training, path: Path) -> Picture:
    """One panel a metric, training and validation together."""
    names = [name for name in training.history if not name.startswith("val_")]
    figure = Figure(figsize=(5 * len(names), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        for label, key in (("training", name), ("validation", f"val_{name}")):
            if key in training.history:
                values = training.history[key]
                panel.plot(range(1, len(values) + 1), values, marker=".", label=label)
        panel.axvline(training.best_epoch, color="0.7", linestyle="--", label="best epoch")
        panel.set(title=name, xlabel="epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(visible=True, alpha=0.3)
        panel.legend()
    figure.savefig(path, dpi=100)
    return Picture(path=path, text=_in_words(training))


def _in_words(training: Training) -> str:
    changes = [
        f"{name} from {values[0]:.4g} to {values[-1]:.4g}"
        for name, values in training.history.items()
    ]
    return f"Over {_epochs(training)} epochs: {', '.join(changes)}."
