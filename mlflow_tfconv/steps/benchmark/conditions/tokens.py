"""A condition cut into numbers, names, operators and words; mistakes are shown with a caret."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from mlflow_tfconv.errors import ConfigError

Kind = Literal["number", "name", "quoted", "operator", "word", "end"]
WORDS = ("and", "or", "not")
COMPARISONS = ("<=", ">=", "==", "!=", "<", ">")
_LONGEST = 4000
_WINDOW = 90  # characters of a long condition that are shown around the mistake
_MARGIN = " " * len("  Received: ")
# Inside a name `-`, `/`, `.` and the like stand between letters or digits without a blank.
_TOKEN = re.compile(
    r"""(?P<blank>\s+)
    |(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?P<stuck>[^\W\d])?
    |(?P<name>[^\W\d]\w*(?:[-/.@:]\w+)*)
    |"(?P<double>[^"]*)"|'(?P<single>[^']*)'
    |(?P<operator><=|>=|==|!=|[-+*/<>().])""",
    re.VERBOSE,
)
_FOREIGN = {
    "&": "`and`",
    "|": "`or`",
    "!": "`not`, or `!=`",
    "=": "`==`, or `>=`",
    "≥": "`>=`",
    "≤": "`<=`",
    "^": "a product",
    "%": "a factor, such as 1.05 for 105 %",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of a condition.

    Attributes:
        kind: What it is; "word" is `and`, `or` or `not`.
        text: The piece, without its quotes.
        at: Where it starts in the condition.
    """

    kind: Kind
    text: str
    at: int


def tokens(condition: str) -> list[Token]:
    """The pieces of a condition, and an empty one of kind "end".

    Raises:
        ConfigError: There is a character that means nothing, or a quote without its partner.
    """
    if len(condition) > _LONGEST:
        raise ConfigError(
            "The condition is too long.",
            received=f"{len(condition):,} characters",
            expected=f"at most {_LONGEST:,}; several conditions can be given",
        )
    found, at = [], 0
    while at < len(condition):
        match = _TOKEN.match(condition, at)
        if match is None:
            raise _not_understood(condition, at)
        if match.lastgroup != "blank":
            found.append(_token(match, condition))
        at = match.end()
    return [*found, Token("end", "", len(condition))]


def mistake(
    what: str, condition: str, at: int, fix: str | None = None, **parts: str
) -> ConfigError:
    """An error that shows the condition with a caret below the place.

    Args:
        what: What is wrong, as the end of a sentence.
        condition: The whole condition.
        at: Where the mistake is.
        fix: How to mend it.
        parts: `expected`, when it can be said.
    """
    shown, caret = _shown(condition, at)
    return ConfigError(
        f"The condition can't be used: {what}",
        received=f"{shown}\n{_MARGIN}{' ' * caret}^",
        fix=fix,
        **parts,
    )


def _token(match: re.Match[str], condition: str) -> Token:
    at = match.start()
    if match["stuck"]:
        raise mistake(
            "a number and letters stand together.",
            condition,
            at,
            'Put names that begin with a digit in quotes: "8bit".latency/p50_ms.',
        )
    if match["number"]:
        return _number(match["number"], condition, at)
    for quoted in (match["double"], match["single"]):
        if quoted is not None:
            return Token("quoted", quoted, at)
    if match["operator"]:
        return Token("operator", match["operator"], at)
    return Token("word" if match["name"] in WORDS else "name", match["name"], at)


def _number(text: str, condition: str, at: int) -> Token:
    if not math.isfinite(float(text)):
        raise mistake("this number is too large.", condition, at)
    return Token("number", text, at)


def _not_understood(condition: str, at: int) -> ConfigError:
    character = condition[at]
    if character in "\"'":
        return mistake("this quote is never closed.", condition, at)
    meant = _FOREIGN.get(character)
    return mistake(
        f"the character {character!r} means nothing here.",
        condition,
        at,
        f"Write {meant}." if meant else "Put names with such characters in quotes.",
    )


def _shown(condition: str, at: int) -> tuple[str, int]:
    """The condition, or a part around the place, in one line; and the columns before the place."""
    line = "".join(" " if character.isspace() else character for character in condition)
    start = max(0, at - _WINDOW // 2) if len(line) > _WINDOW else 0
    end = start + _WINDOW
    before = ("…" if start else "") + line[start:at]
    text = ("…" if start else "") + line[start:end] + ("…" if len(line) > end else "")
    return text, sum(_width(character) for character in before)


def _width(character: str) -> int:
    """Columns that a terminal gives to a character."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
