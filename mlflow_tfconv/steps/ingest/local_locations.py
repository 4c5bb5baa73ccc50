"""Which locations are on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

_LIST = re.compile(r"\.(csv|tsv|tab)(\.\w+)?$", re.IGNORECASE)


def is_url(location: str) -> bool:
    """Whether it is looked for elsewhere than in this machine's folders."""
    return "://" in location and not location.startswith("file://")


def local_locations(locations: tuple[str, ...]) -> tuple[Path, ...]:
    """The paths and patterns of paths among the locations."""
    paths = (Path(one.removeprefix("file://")).expanduser() for one in locations if not is_url(one))
    return tuple(dict.fromkeys(paths))


def beside_lists(locations: Iterable[str], base: str | None) -> tuple[str, ...]:
    """Folders where the files lie that lists name: what is in them decides a re-run too.

    Args:
        locations: The lists, and whatever else.
        base: Where the recipe says that relative paths start.

    Returns:
        That folder; or those of the lists, but for the recipe's own folder, which holds all sorts
        of files that change.
    """
    lists = [location for location in locations if _LIST.search(location) and not is_url(location)]
    if not lists or base is not None:
        return (base,) if lists and base else ()
    folders = [str(PurePosixPath(one.removeprefix("file://")).parent) for one in lists]
    return tuple(dict.fromkeys(folder for folder in folders if folder != "."))
