"""Why trials have failed, each reason once: a mistake in the model makes all of them fail alike."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from mlflow_tfconv.errors import StepError
from mlflow_tfconv.steps.train.trials.trial import Trial

_NUMBER = re.compile(r"\d[\d.,e+-]*")
_MOST_REASONS = 5


@dataclass(frozen=True, slots=True)
class Reasons:
    """Reasons that were told, each with the number of the trial that it was told of."""

    _told: dict[str, Trial] = field(default_factory=dict)

    def told(self, trial: Trial) -> str:
        """The whole reason of a failure, or that it is that of an earlier trial."""
        first = self._told.setdefault(_kind(trial), trial)
        if first.number == trial.number:
            return _sentence(trial)
        if _headline(first) == _headline(trial):
            return f"{trial.title} failed as trial {first.number} did."
        return f"{trial.title} failed much as trial {first.number} did: {_headline(trial)}"


def all_failed(trials: Iterable[Trial]) -> StepError:
    """The error of a search none of whose trials came to its end."""
    kinds: dict[str, list[Trial]] = {}
    for trial in trials:
        kinds.setdefault(_kind(trial), []).append(trial)
    count = sum(map(len, kinds.values()))
    shown = [_of_kind(alike) for alike in list(kinds.values())[:_MOST_REASONS]]
    if len(kinds) > _MOST_REASONS:
        shown.append(f"    ... and {len(kinds) - _MOST_REASONS} more reasons")
    same = ", all for the same reason" if len(kinds) == 1 < count else ""
    return StepError(
        f"None of {count} {'trial' if count == 1 else 'trials'} came to its end{same}.",
        received="\n" + "\n".join(shown),
        fix="Mend it and run the same command again."
        if len(kinds) == 1
        else "Mend the first: the others may have the same reason.",
    )


def _of_kind(alike: list[Trial]) -> str:
    text = "\n".join(f"    {line}" for line in _sentence(alike[0]).splitlines())
    others = ", ".join(str(trial.number) for trial in alike[1:])
    return f"{text}\n    Alike: trial {others}" if others else text


def _sentence(trial: Trial) -> str:
    reason = trial.reason or trial.state
    return reason if reason.startswith(trial.title) else f"{trial.title} failed: {reason}"


def _headline(trial: Trial) -> str:
    """The first line, without the trial's own settings."""
    first = next(iter(trial.reason.splitlines()), trial.state)
    return first.removeprefix(trial.title).strip()


def _kind(trial: Trial) -> str:
    """What reasons have in common that differ in numbers only."""
    return _NUMBER.sub("#", _headline(trial))
