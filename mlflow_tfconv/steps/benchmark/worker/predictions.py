"""Predicts all examples, and counts what is no number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.examples import (
    as_stored,
    of_size,
    size_of,
    split_to,
    stored_batches,
)
from mlflow_tfconv.steps.benchmark.worker.job import outputs_file
from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

Array = np.ndarray[Any, Any]
#: What a model gives: arrays, or lists and dicts where an output is a sequence or a map.
Outputs = Mapping[str, Any]
_COUNTS: dict[str, Callable[[Array], Array]] = {
    "nan_examples": np.isnan,
    "inf_examples": np.isposinf,
    "minus_inf_examples": np.isneginf,
}


def predicted(opened: OpenedModel) -> dict[str, Any]:
    """Predicts the stored examples in batches no larger than the timed; without any, made-up ones.

    Returns:
        `outputs`: of each its `name`, `file` (examples, ...; None for made-up ones, and for what is
        not one value an example), and how many examples hold NaN (`nan_examples`), infinity
        (`inf_examples`) or minus infinity (`minus_inf_examples`). `notes`.
    """
    if opened.job.examples is None:
        made_up = opened.runtime.predict(opened.examples(max(opened.batch_sizes))[0])
        told = [{"name": n, "file": None, **_counts([v])} for n, v in made_up.items()]
        return {"outputs": told, "notes": []}
    parts = list(_predictions(opened, Path(opened.job.examples)))
    count = sum(size for size, _ in parts)
    outputs, unlike = [], []
    for number, name in enumerate(parts[0][1]):
        values = [part[name] for _, part in parts]
        whole = _joined(values, [size for size, _ in parts])
        outputs.append({"name": name, "file": None, **_counts(values)})
        if whole is None:
            unlike.append(name)
            continue
        file = outputs_file(opened.folder, number)
        np.save(file, as_stored(whole))
        outputs[-1] |= {"file": file.name, **_counts([whole])}
    return {"outputs": outputs, "notes": [_not_judged(unlike, count)] if unlike else []}


def _predictions(opened: OpenedModel, folder: Path) -> Iterator[tuple[int, Outputs]]:
    """How many examples, and what the model gives for them; a fixed batch is filled up."""
    fixed, largest = opened.fixed_batch(), max(opened.batch_sizes)
    for stored in stored_batches(folder):
        for piece in split_to(stored, largest):
            count = size_of(piece)
            if fixed is None or fixed == count:
                yield count, opened.runtime.predict(piece)
                continue
            outputs = opened.runtime.predict(of_size(piece, fixed))
            yield count, {n: v[:count] if _has_rows(v, fixed) else v for n, v in outputs.items()}


def _joined(values: Sequence[Any], sizes: Sequence[int]) -> Array | None:
    """The values of all examples; None where a batch does not give one for each of its examples."""
    if not all(_has_rows(value, size) for value, size in zip(values, sizes, strict=True)):
        return None
    alike = len({value.shape[1:] for value in values}) == 1
    return np.concatenate(values) if alike else None


def _has_rows(value: Any, count: int) -> bool:
    return isinstance(value, np.ndarray) and value.ndim > 0 and len(value) == count


def _not_judged(names: Sequence[str], count: int) -> str:
    some = "the output" if len(names) == 1 else "the outputs"
    which = ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
    return f"{some} {which} can't be judged: not one value for each of the {count} examples"


def _counts(values: Sequence[Any]) -> dict[str, int]:
    """How many examples, or batches of what has no rows, hold what is no number."""
    found = dict.fromkeys(_COUNTS, 0)
    for value in values:
        if not isinstance(value, np.ndarray) or not value.size or value.dtype.kind not in "fcV":
            continue
        rows = as_stored(value).reshape(len(value) if value.ndim else 1, -1)
        if np.isfinite(rows).all():
            continue
        parts = (rows.real, rows.imag) if rows.dtype.kind == "c" else (rows,)
        for name, test in _COUNTS.items():
            found[name] += int(np.any([test(part).any(axis=1) for part in parts], axis=0).sum())
    return found
