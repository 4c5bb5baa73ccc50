"""The curves of a training as one picture: metrics, the learning rate, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mlflow_tfconv.engine.cards import Picture
from mlflow_tfconv.steps.train.training import Training

_COLUMNS = 3
_MOST_PANELS = 12
_LOGARITHMIC = 20.0  # a learning rate that spans more than this

#: Label of a line to its values, one an epoch.
Lines = Mapping[str, Sequence[float]]


def curves(training: Training, path: Path) -> Picture:
    """Draws one panel a metric, with training and validation together; NaN leaves a gap.

    Args:
        training: What was trained.
        path: The PNG that is written.
    """
    panels = list(_panels(training).items())[:_MOST_PANELS]
    columns = 2 if len(panels) == 4 else min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.1 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place, (title, lines) in zip(places, panels, strict=False):
        _draw(place, title, lines, training.best_epoch)
    for place in places[len(panels) :]:
        place.set_visible(False)
    figure.savefig(path, dpi=100)
    return Picture(path=path, text=_in_words(training))


def _panels(training: Training) -> dict[str, Lines]:
    history = training.history
    names = [name for name in history if not name.startswith("val_") and name != "learning_rate"]
    found: dict[str, Lines] = {
        name: _both(name, history) for name in sorted(names, key=lambda name: name != "loss")
    }
    # What only the validation has, such as a metric of a user's callback.
    for name in history:
        if name.startswith("val_") and name.removeprefix("val_") not in found:
            found[name] = {name: history[name]}
    if "learning_rate" in history:
        found["learning_rate"] = {"": history["learning_rate"]}
    if training.memory:
        found["memory (MB)"] = {
            name.removeprefix("training/").removesuffix("_mb").replace("_", " "): values
            for name, values in training.memory.items()
        }
    return found


def _both(name: str, history: Mapping[str, Sequence[float]]) -> Lines:
    pairs = (("training", name), ("validation", f"val_{name}"))
    return {label: history[key] for label, key in pairs if key in history}


def _draw(panel: Any, title: str, lines: Lines, best_epoch: int) -> None:
    for label, values in lines.items():
        panel.plot(range(1, len(values) + 1), values, marker=".", label=label or None)
    panel.axvline(best_epoch, color="0.7", linestyle="--", label="best epoch")
    panel.set(title=title, xlabel="epoch")
    if title == "learning_rate" and _spans(lines[""]) > _LOGARITHMIC:
        panel.set_yscale("log")
    elif title.startswith("memory"):
        panel.set_ylim(0, 1.15 * max(max(values) for values in lines.values()))
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.grid(visible=True, alpha=0.3)
    panel.legend(fontsize="small")


def _spans(values: Sequence[float]) -> float:
    above = [value for value in values if value > 0]
    return max(above) / min(above) if above else 1.0


def _in_words(training: Training) -> str:
    epochs = max(len(values) for values in training.history.values())
    changes = [
        f"{name} from {values[0]:.4g} to {values[-1]:.4g}"
        for name, values in training.history.items()
    ]
    return f"Over {epochs} epochs: {', '.join(changes)}."
