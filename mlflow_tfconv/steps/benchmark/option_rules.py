"""How an option of the benchmark that can't be used is refused."""

from __future__ import annotations

from mlflow_tfconv.errors import ConfigError


def require(
    holds: bool, name: str, value: object, expected: str, *, fix: str | None = None
) -> None:
    """Makes sure that an option's value can be used.

    Args:
        holds: Whether it can.
        name: Its path below `benchmark`, such as "server.quantile".
        value: What was given.
        expected: What can be used, in words.
        fix: How to mend it, where that is not plain.

    Raises:
        ConfigError: It can't be used.
    """
    if not holds:
        raise ConfigError(
            f"benchmark.{name} can't be used.", received=repr(value), expected=expected, fix=fix
        )
