"""Layers and nodes chosen by patterns of their names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase

from mlflow_tfconv.errors import CompressionError

_SHOWN = 60


def matched(patterns: Iterable[str], names: Iterable[str], what: str) -> set[str]:
    """The names that match any of the patterns (`*`, `?`, `[...]`; case counts).

    Args:
        patterns: From recipe.yaml.
        names: All that there are.
        what: What they are called, such as "layers".

    Raises:
        CompressionError: A pattern matches nothing; the names are listed.
    """
    names = list(names)
    found: set[str] = set()
    for pattern in patterns:
        hits = {name for name in names if fnmatchcase(name, pattern)}
        if not hits:
            raise _no_match(pattern, names, what)
        found |= hits
    return found


def _no_match(pattern: str, names: list[str], what: str) -> CompressionError:
    near = difflib.get_close_matches(pattern.strip("*"), names, n=1)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return CompressionError(
        f"The pattern {pattern!r} matches none of the {what}.",
        received=pattern,
        expected=f"a pattern of these {what}: {', '.join(names[:_SHOWN])}{more}",
        fix=f"Did you mean {near[0]!r}?" if near else "Correct or remove the pattern.",
    )
