"""Every value that a trial may try is one that the key could have in recipe.yaml."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlflow_tfconv.config.template import Location, dotted
from mlflow_tfconv.config.validation import validate
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.trials_config import Range, TrialsConfig

_TRAIN: Location = ("steps", "train")


def check_trial_values(
    trials: TrialsConfig, section: Mapping[str, Any], place: Callable[[Location], str]
) -> None:
    """Reads `train` once for each value, as if it stood there; now, and not after an hour.

    Args:
        trials: What is tried.
        section: `steps.train` as it stands in the file.
        place: Gives "file, line n" of a location.

    Raises:
        ConfigError: A value can't stand there.
    """
    alone = {name: value for name, value in section.items() if name != "trials"}
    for key, values in trials.space.items():
        for where, value in _tried(values):
            try:
                validate(TrainConfig, _with(alone, key, value), _TRAIN, place)
            except ConfigError as error:
                at = (*_TRAIN, "trials", "space", key, *where)
                raise ConfigError(
                    f"{place(at)}: {dotted(at)} can't be tried.",
                    received=value,
                    expected=error.expected or error.what,
                    fix=error.fix,
                ) from error


def _tried(values: list[Any] | Range) -> Iterator[tuple[Location, Any]]:
    """Of a range the bounds stand for all."""
    if isinstance(values, Range):
        yield ("low",), values.low
        yield ("high",), values.high
        return
    for number, value in enumerate(values):
        yield (number,), value


def _with(section: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The section with another value at a dotted key."""
    changed = copy.deepcopy(dict(section))
    *above, name = key.split(".")
    inner = changed
    for part in above:
        if not isinstance(inner.get(part), dict):
            inner[part] = {}
        inner = inner[part]
    inner[name] = value
    return changed
