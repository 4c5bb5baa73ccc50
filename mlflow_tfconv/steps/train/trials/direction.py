"""Whether a smaller or a greater value of a metric is better."""

from __future__ import annotations

import re

from mlflow_tfconv.errors import ConfigError

_SMALLER = re.compile(r"(^|_)(loss|error|mse|mae|mape|msle|rmse|perplexity|entropy)($|_)")
_GREATER = re.compile(
    r"(^|_)(acc|accuracy|auc|prc|precision|recall|f1|fbeta|iou|score|r2|hits|psnr|ssim)($|_)"
)


def direction_of(metric: str, *asked: str) -> str:
    """Either "min" or "max".

    Args:
        metric: Its name in the history, such as "val_accuracy".
        asked: What the config says, the stronger first: "min", "max" or "auto".

    Raises:
        ConfigError: Neither the config nor the name tells.
    """
    told = next((one for one in asked if one != "auto"), None)
    if told is not None:
        return told
    if _SMALLER.search(metric) or metric.endswith(("_error", "loss")):
        return "min"
    if _GREATER.search(metric) or metric.endswith("accuracy"):
        return "max"
    raise ConfigError(
        f"Nothing tells whether a trial with a greater {metric} is better.",
        received=f"metric: {metric}, direction: auto",
        expected="direction: min or max",
        fix="Set `direction` of train.trials.",
    )
