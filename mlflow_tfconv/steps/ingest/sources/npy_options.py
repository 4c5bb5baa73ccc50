"""What may be asked of .npy and .npz files."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class NpyOptions:
    """Which arrays of .npy and .npz files are features; their first dimension is the examples.

    Attributes:
        arrays: Feature to the array that holds it: a file below the location, a pattern of files
            (their rows follow one another), or the name of an array within .npz files; without it
            all arrays are features of their own names, and names with train, validation or test
            (`x_train`) say the split.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    arrays: dict[str, str] = field(default_factory=dict)
