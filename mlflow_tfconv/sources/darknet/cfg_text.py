"""Reads the text of a darknet `.cfg` into sections that remember their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlflow_tfconv.arguments import did_you_mean
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.darknet.known_keys import KNOWN_KEYS, REFUSED_KEYS, SAME_SECTION

_LARGEST_FILE = 4_000_000
_MOST_SECTIONS = 2_000
_HEAD = 20_000
_LARGEST_NUMBER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the file.

    Attributes:
        path: The file.
        kind: What is in the brackets, by its first name ("convolutional" for "conv").
        line: Number of its line, from 1.
        settings: Key to its value and the number of its line; the first of a key counts.
    """

    path: Path
    kind: str
    line: int
    settings: dict[str, tuple[str, int]] = field(default_factory=dict)

    def text(self, key: str, default: str) -> str:
        """A text as it stands there."""
        return self.settings.get(key, (default, 0))[0]

    def whole(self, key: str, default: int, least: int = 0) -> int:
        """A whole number.

        Raises:
            ConversionError: It is none, or too small.
        """
        if key not in self.settings:
            return default
        (number,) = self.wholes(key, least)[:1]
        return number

    def wholes(self, key: str, least: int = -_LARGEST_NUMBER) -> tuple[int, ...]:
        """Whole numbers between commas.

        Raises:
            ConversionError: The key is missing, or something is no number or too small.
        """
        if key not in self.settings:
            raise self.error(f"lacks {key!r}", fix=f"Add the line `{key}=...` of the original.")
        words = self.settings[key][0].rstrip(",").split(",")
        numbers = [_number(word, r"[+-]?\d+") for word in words]
        fitting = [int(n) for n in numbers if n is not None and len(n) < 12]
        if len(fitting) < len(words) or not all(least <= n <= _LARGEST_NUMBER for n in fitting):
            raise self.error(f"has no whole number of {least} or more here", key)
        return tuple(fitting)

    def number(self, key: str, default: float) -> float:
        """A number.

        Raises:
            ConversionError: It is none.
        """
        if key not in self.settings:
            return default
        found = _number(self.settings[key][0], r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?")
        if found is None:
            raise self.error("has no number here", key)
        return float(found)

    def error(
        self, what: str, key: str | None = None, *, expected: object = None, fix: str | None = None
    ) -> ConversionError:
        """An error about the section, or about one of its lines."""
        value, line = self.settings.get(key or "", ("", self.line))
        return ConversionError(
            f"{self.path.name}, line {line}: [{self.kind}] {what}.",
            received=f"{key}={value}" if key else f"[{self.kind}] in {self.path}",
            expected=expected,
            fix=fix or "Correct the line, or use the .cfg that the weights were trained with.",
        )


def _number(word: str, pattern: str) -> str | None:
    """The number that a word is, but for a comment behind it."""
    found = re.fullmatch(rf"({pattern})([#;].*)?", word)
    return found[1] if found else None


def sections_from_cfg(path: Path) -> tuple[Section, ...]:
    """The sections of a file, [net] first.

    Raises:
        ConversionError: It can't be read, is no `.cfg`, or says what nobody knows.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConversionError(
            "The darknet .cfg can't be read.", received=f"{path}: {error.strerror}"
        ) from error
    if len(data) > _LARGEST_FILE or b"\0" in data:
        raise _no_cfg(path, "it is not a text of a few pages")
    return sections_from_text(data.decode("utf-8-sig", "replace"), path)


def looks_like_cfg(path: Path) -> bool:
    """Whether a file's first line that says something is [net] or [network]."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    first = next(_lines(head.decode("utf-8-sig", "replace")), (0, ""))[1]
    return b"\0" not in head and first.split("]")[0] in ("[net", "[network")


def sections_from_text(text: str, path: Path) -> tuple[Section, ...]:
    """The sections of a text; `path` names it in errors.

    Raises:
        ConversionError: As for `sections_from_cfg`.
    """
    sections: list[Section] = []
    for number, line in _lines(text):
        if line.startswith("["):
            sections.append(_section(path, number, line))
        elif not sections:
            raise _no_cfg(path, f"line {number} stands before any [section]")
        else:
            _add(sections[-1], number, line)
    if not sections or sections[0].kind != "net":
        raise _no_cfg(path, "its first section is not [net]")
    if len(sections) > _MOST_SECTIONS:
        raise _no_cfg(path, f"it has {len(sections):,} sections")
    return tuple(sections)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something; blanks mean nothing anywhere, as in darknet."""
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = re.sub(r"\s", "", line)
        if stripped and stripped[0] not in "#;":
            yield number, stripped


def _section(path: Path, number: int, line: str) -> Section:
    written = line[1:].split("]")[0]
    kind = SAME_SECTION.get(written, written)
    section = Section(path, kind, number)
    if kind != "net" and kind not in KNOWN_KEYS:
        raise section.error(
            "is a layer that is not supported",
            expected=", ".join(KNOWN_KEYS),
            fix=did_you_mean(kind, KNOWN_KEYS)
            or "Convert the network where it was trained, for example to ONNX.",
        )
    return section


def _add(section: Section, number: int, line: str) -> None:
    key, is_setting, value = line.partition("=")
    if not is_setting or not value:
        raise ConversionError(
            f"{section.path.name}, line {number}: this is no `key=value`.",
            received=line[:80],
            expected="[section], key=value, or a comment behind # or ;",
        )
    section.settings.setdefault(key, (value, number))
    if section.kind != "net" and key not in KNOWN_KEYS[section.kind]:
        near = did_you_mean(key, KNOWN_KEYS[section.kind])
        raise section.error(
            f"has a key that is not known: {key!r}",
            key,
            expected=f"keys of darknet: {', '.join(sorted(KNOWN_KEYS[section.kind]))}",
            fix=near or "Remove the line if it changes nothing but training.",
        )
    if key in REFUSED_KEYS and _number(value, r"0+\.?0*") is None:
        raise section.error(f"asks for {key!r}, which is not supported", key)


def _no_cfg(path: Path, why: str) -> ConversionError:
    return ConversionError(
        f"This is no architecture of darknet: {why}.",
        received=str(path),
        expected="the text of a .cfg: [net] with width, height and channels, then a section a layer",
    )
