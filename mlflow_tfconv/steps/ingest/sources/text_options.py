"""What may be asked of a source of the kind `text`."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Literal

from mlflow_tfconv.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions:
    """How text becomes examples; compressed files are known by their first bytes.

    Attributes:
        feature: The name of the text.
        unit: What an example is: a "line", or a whole "file".
        label_from: Where the class comes from: the "folder" below the location (under train,
            validation and test, where folders of these names say the split), the name of the
            "file", or "none". Null is "folder" where the recipe names a label.
        skip_empty: Whether lines and files without anything but spaces are left out.
        encoding: Of the text, as Python names it.
        max_bytes: The longest text, as UTF-8; a longer one is an error.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    feature: str = "text"
    unit: Literal["line", "file"] = "line"
    label_from: Literal["folder", "file", "none"] | None = None
    skip_empty: bool = True
    encoding: str = "utf-8"
    max_bytes: int = 2**20

    def __post_init__(self) -> None:
        try:
            codecs.lookup(self.encoding)
        except LookupError as e:
            raise ConfigError(
                "text.encoding names no encoding of text.",
                received=repr(self.encoding),
                expected="such as utf-8, latin-1, cp1252, utf-16 or shift_jis",
                fix="Correct ingest.text.encoding.",
            ) from e
        if self.max_bytes < 1 or not self.feature:
            raise ConfigError(
                "text.max_bytes or text.feature can't be used.",
                received=f"max_bytes: {self.max_bytes}, feature: {self.feature!r}",
                expected="1 or more bytes, and a name",
                fix="Leave them out, or correct them.",
            )
