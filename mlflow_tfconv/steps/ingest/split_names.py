"""The words by which files and folders say which split they are."""

from __future__ import annotations

import re

SPLIT_OF_WORD = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "dev", "eval"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def split_of_folder(name: str) -> str | None:
    """The split that a folder is named for: "val" gives "validation"."""
    return SPLIT_OF_WORD.get(name.lower())


def without_split(name: str) -> tuple[str, str | None]:
    """A name without the split at its end or beginning, and that split.

    "x_train" and "train_x" give ("x", "train"); "terrain" stays as it is; so does "train".
    """
    words = re.split(r"[_.\- ]+", name)
    for place in (-1, 0):
        split = split_of_folder(words[place])
        rest = words[:-1] if place else words[1:]
        if split is not None and rest:
            return "_".join(rest), split
    return name, None
