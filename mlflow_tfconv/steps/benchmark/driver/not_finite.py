"""Outputs that are no numbers: the variant's failure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlflow_tfconv.errors import BenchmarkError

_KINDS = {"nan_examples": "NaN", "inf_examples": "infinity", "minus_inf_examples": "minus infinity"}


def refuse_not_finite(
    outputs: Iterable[Mapping[str, Any]], reference: Mapping[str, Any] | None
) -> None:
    """Makes sure that the outputs are numbers wherever the reference's are.

    Minus infinity is what the logarithm of a probability of 0 is: the reference may give it, and
    others as often as the reference does. The same holds for infinity, but that a reference that
    gives it is no reference.

    Args:
        outputs: What `predict` tells of each.
        reference: What it told of the reference's; None for the reference itself.

    Raises:
        BenchmarkError: They are not.
    """
    known = {o["name"]: o for o in reference["outputs"]} if reference is not None else {}
    for output in outputs:
        beside = known.get(output["name"], {})
        for kind, word in _KINDS.items():
            tolerated = kind == "minus_inf_examples" and reference is None
            if output[kind] > beside.get(kind, 0) and not tolerated:
                raise _not_finite(output, kind, word)


def _not_finite(output: Mapping[str, Any], kind: str, word: str) -> BenchmarkError:
    made_up = "" if output["file"] else " that were made up"
    return BenchmarkError(
        f"It gives {word} in the output {output['name']!r}.",
        received=f"{word} for {output[kind]} examples{made_up}",
        expected="numbers",
        fix="Look for NaN in the samples, or for a step that lost range, such as float16 or a bad "
        "quantization scale.",
    )
