"""How far an export may be from its source: by the precision it computes in, or as a user says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from mlflow_tfconv.arguments import did_you_mean, in_short
from mlflow_tfconv.errors import ConfigError

#: What a caller may give: a number for both parts, a pair of them, a mapping of the fields of
#: `Tolerance`, or the name of a precision.
ToleranceLike = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What is allowed: `|export - source| <= absolute + relative * |source|`.

    Attributes:
        absolute: The part that does not depend on the value.
        relative: The part that grows with the value.
        of_largest: Whether it grows with the largest magnitude in the example instead: numbers of
            few bits lose what cancels out, and small values beside large ones with it.
        agreement: Least share of integers, booleans and strings that are equal.
    """

    absolute: float = 1e-4
    relative: float = 1e-3
    of_largest: bool = False
    agreement: float = 1.0

    def __str__(self) -> str:
        """In words, for tables and messages."""
        value = "largest |value|" if self.of_largest else "|value|"
        return f"{self.absolute:g} + {self.relative:g} x {value}"


#: Precision of an export to what is allowed. A float has 24 significant bits, float16 11 and
#: bfloat16 8; the relative parts leave room for some tens of roundings in a row.
TOLERANCES = {
    "float64": Tolerance(),
    "float32": Tolerance(),
    "float16": Tolerance(absolute=1e-3, relative=2e-2, of_largest=True, agreement=0.99),
    "bfloat16": Tolerance(absolute=1e-2, relative=1e-1, of_largest=True, agreement=0.95),
    "int8": Tolerance(absolute=1e-2, relative=2e-1, of_largest=True, agreement=0.9),
}
_FORM = (
    'a number, a pair (absolute, relative), a mapping such as {"absolute": 1e-3, "relative": 0.01}'
)


def tolerance_of(given: ToleranceLike, precision: str = "float32") -> Tolerance:
    """The tolerance that a caller means.

    Args:
        given: None takes the one of `precision`. A number is both parts, a pair is (absolute,
            relative), a mapping changes single fields, a text names a precision.
        precision: What the export computes in, a key of `TOLERANCES`.

    Raises:
        ConfigError: It is none of these, or a number is negative.
    """
    if isinstance(given, Tolerance):
        return given
    if given is None or isinstance(given, str):
        return _named(precision if given is None else given)
    return replace(_named(precision), **_checked(_fields(given), given))


def _named(precision: str) -> Tolerance:
    if precision not in TOLERANCES:
        raise ConfigError(
            "There is no tolerance of this name.",
            received=precision,
            expected=f"{', '.join(TOLERANCES)}; or {_FORM}",
            fix=did_you_mean(precision, TOLERANCES),
        )
    return TOLERANCES[precision]


def _fields(given: Any) -> dict[str, Any]:
    if isinstance(given, Real) and not isinstance(given, bool):
        return {"absolute": given, "relative": given}
    if isinstance(given, Mapping) and set(given) <= set(Tolerance.__slots__):
        return dict(given)
    if isinstance(given, Sequence) and len(given) == 2:
        return dict(zip(("absolute", "relative"), given, strict=True))
    raise _unfit(given)


def _checked(fields: dict[str, Any], given: Any) -> dict[str, Any]:
    for name, value in fields.items():
        if name == "of_largest":
            fits = isinstance(value, bool)
        else:
            fits = isinstance(value, Real) and float(value) >= 0
        if not fits:
            raise _unfit(given)
    return fields


def _unfit(given: Any) -> ConfigError:
    return ConfigError(
        "`tolerance` can't be used.",
        received=in_short(given),
        expected=f"{_FORM} (of {', '.join(Tolerance.__slots__)}), none of them negative; or the "
        f"name of a precision: {', '.join(TOLERANCES)}",
    )
