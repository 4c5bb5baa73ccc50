"""The error for a number of the config that is out of range."""

from __future__ import annotations

from mlflow_tfconv.errors import ConfigError


def at_least(least: float, key: str, value: float) -> None:
    """Raises when a number is too small, or no number.

    Raises:
        ConfigError: It is.
    """
    if not value >= least:  # NaN is not, either
        raise out_of_range(key, value, f"a number of at least {least}")


def above(limit: float, key: str, value: float) -> None:
    """Raises when a number is not above a limit.

    Raises:
        ConfigError: It is not.
    """
    if not value > limit:
        raise out_of_range(key, value, f"a number above {limit}")


def out_of_range(key: str, value: object, expected: str) -> ConfigError:
    """The error; `key` is without `train.`."""
    return ConfigError(
        f"train.{key} is out of range.",
        received=value,
        expected=expected,
        fix=f"Change `{key}` of the step train in recipe.yaml.",
    )
