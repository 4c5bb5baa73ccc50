"""Settings drawn where trials before were good: Optuna's TPE.

Nothing is kept between two proposals: each is made by a new study that is told all trials, with a
seed of its own. So a search that was killed goes on as it would have.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.errors import MissingLibraryError
from mlflow_tfconv.steps.train.trials.samplers import Told
from mlflow_tfconv.steps.train.trials_config import Range

_SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class TreeOfParzen:
    """Bergstra et al., "Algorithms for Hyper-Parameter Optimization" (2011), as Optuna has it.

    Attributes:
        space: What may be drawn.
        seed: Decides the first draws.
        total: How many trials.
        direction: "min" or "max".
    """

    space: Mapping[str, list[Any] | Range]
    seed: int
    total: int
    direction: str

    def __post_init__(self) -> None:
        """Makes sure that Optuna is there."""
        _optuna()

    def propose(self, number: int, told: Sequence[Told]) -> dict[str, Any]:
        """One value for each key; of lists Optuna draws the position, so they may hold anything."""
        optuna = _optuna()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        distributions = {key: _distribution(optuna, values) for key, values in self.space.items()}
        with warnings.catch_warnings():
            # `constant_liar` is experimental by name only: it came in 2021.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=(self.seed + 1_000_003 * number) % _SEEDS, constant_liar=True
            )
        study = optuna.create_study(direction=f"{self.direction}imize", sampler=sampler)
        for one in told:
            study.add_trial(self._frozen(optuna, one, distributions))
        trial = study.ask(distributions)
        return {key: self._value(key, drawn) for key, drawn in trial.params.items()}

    def _frozen(self, optuna: Any, one: Told, distributions: Mapping[str, Any]) -> Any:
        """A trial as Optuna keeps them."""
        states = optuna.trial.TrialState
        state = {
            "running": states.RUNNING,
            "done": states.COMPLETE,
            "pruned": states.PRUNED,
            "failed": states.FAIL,
        }[one.state]
        return optuna.trial.create_trial(
            state=state,
            value=one.score if one.state in ("done", "pruned") else None,
            params={key: self._position(key, value) for key, value in one.values.items()},
            distributions=dict(distributions),
        )

    def _position(self, key: str, value: Any) -> Any:
        values = self.space[key]
        return value if isinstance(values, Range) else values.index(value)

    def _value(self, key: str, drawn: Any) -> Any:
        values = self.space[key]
        return drawn if isinstance(values, Range) else values[drawn]


def _distribution(optuna: Any, values: list[Any] | Range) -> Any:
    kinds = optuna.distributions
    if not isinstance(values, Range):
        return kinds.CategoricalDistribution(tuple(range(len(values))))
    # Optuna warns of an end that the steps do not come to.
    high = values.high if values.count is None else values.at(values.count - 1)
    if values.is_whole:
        return kinds.IntDistribution(values.low, high, log=values.log, step=values.step or 1)
    return kinds.FloatDistribution(values.low, high, log=values.log, step=values.step)


def _optuna() -> Any:
    try:
        return importlib.import_module("optuna")
    except ImportError as e:
        raise MissingLibraryError(
            "The sampler tpe of train.trials needs Optuna, which is not installed.",
            received=str(e),
            fix="pip install 'mlflow-tfconv[search]', or set `sampler: random`.",
        ) from e
