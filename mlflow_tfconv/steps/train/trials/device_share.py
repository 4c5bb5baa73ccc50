"""What a trial may take of the device, when several train side by side."""

from __future__ import annotations

import dataclasses

from mlflow_tfconv.device import gpu_state
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.trials_config import TrialsConfig


def share_of(context: StepContext, asked: TrialsConfig) -> StepContext:
    """The surroundings of one trial: the same device, with the limit of a trial.

    Raises:
        ConfigError: So many trials can't be side by side on the device.
    """
    options = context.device.options
    if asked.memory_limit_mb is not None:
        options = dataclasses.replace(options, memory_limit_mb=asked.memory_limit_mb)
    elif context.device.kind != "cpu" and asked.parallel > 1 and not options.memory_growth:
        raise ConfigError(
            "Trials side by side can't each take the whole GPU.",
            received=f"parallel: {asked.parallel}, device_options.memory_growth: false",
            expected="memory_limit_mb of train.trials, or memory_growth: true",
            fix="Set `memory_limit_mb` of train.trials.",
        )
    device = dataclasses.replace(context.device, options=options)
    _check_room(context, asked)
    return dataclasses.replace(context, device=device)


def _check_room(context: StepContext, asked: TrialsConfig) -> None:
    if asked.memory_limit_mb is None:
        return
    wanted = asked.memory_limit_mb * asked.parallel
    for index in context.device.indices:
        state = gpu_state(index)
        if state is not None and wanted > state.total_mb:
            raise ConfigError(
                f"So many trials do not fit side by side on GPU {index}.",
                received=f"{asked.parallel} trials of {asked.memory_limit_mb:,} MB",
                expected=f"at most {state.total_mb:,.0f} MB",
                fix="Lower `parallel` or `memory_limit_mb` of train.trials.",
            )
