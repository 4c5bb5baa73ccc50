"""Which locations are on this machine."""

from __future__ import annotations

from pathlib import Path


def is_url(location: str) -> bool:
    """Whether it is looked for elsewhere than in this machine's folders."""
    return "://" in location and not location.startswith("file://")


def local_locations(locations: tuple[str, ...]) -> tuple[Path, ...]:
    """The paths and patterns of paths among the locations."""
    paths = (Path(one.removeprefix("file://")).expanduser() for one in locations if not is_url(one))
    return tuple(dict.fromkeys(paths))
