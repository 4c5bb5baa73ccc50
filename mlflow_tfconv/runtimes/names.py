"""The one rule for names of inputs and outputs."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable


def tidy_name(name: str) -> str:
    """The original's own name without `:0`, with `/` and other `:n` written as `_`.

    So is what TensorFlow refuses in a signature, such as a space; a keyword of Python gets a `_`
    behind it for the same reason.

    >>> tidy_name("encoder/out:0"), tidy_name("split:1"), tidy_name("class")
    ('encoder_out', 'split_1', 'class_')
    """
    tidied = re.sub(r"[^A-Za-z0-9_.-]", "_", name.removesuffix(":0"))
    return f"{tidied}_" if keyword.iskeyword(tidied) else tidied


def tidy_names(names: Iterable[str]) -> tuple[str, ...]:
    """The tidied names; one that came before gets `_1`, `_2`, ... behind it."""
    taken: list[str] = []
    for name in map(tidy_name, names):
        candidates = (f"{name}_{count}" if count else name for count in range(len(taken) + 1))
        taken.append(next(candidate for candidate in candidates if candidate not in taken))
    return tuple(taken)
