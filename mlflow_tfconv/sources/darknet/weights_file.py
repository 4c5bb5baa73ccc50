"""Reads a darknet weights file: a header of a few numbers, then nothing but float32.

The header is version (major, minor, revision) and the count of examples seen: one word in version
0.1, two since 0.2 (load_weights_upto in parser.c). Nothing else in the file says what is where, so
that its size is compared with the architecture's, to the number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.darknet.network import Slot

Array = np.ndarray[Any, Any]
Values = Mapping[Slot, Array]

#: Words of the two headers there are.
SHORT_HEADER, LONG_HEADER = 4, 5
_IN_WORDS = {
    SHORT_HEADER: "a 4-word header (32-bit count of examples seen)",
    LONG_HEADER: "a 5-word header (64-bit count of examples seen)",
}


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A weights file whose header was read.

    Attributes:
        path: The file.
        version: Major, minor, revision. Files older than version 0.1 hold three floats there,
            which look like large numbers.
        words: Number of 4-byte words in all.
    """

    path: Path
    version: tuple[int, int, int]
    words: int

    @property
    def declared_header(self) -> int:
        """Words of the header that its version says it has."""
        major, minor, _ = self.version
        newer = major * 10 + minor >= 2 and 0 <= major < 1000 and 0 <= minor < 1000
        return LONG_HEADER if newer else SHORT_HEADER

    @property
    def transposed(self) -> bool:
        """Whether kernels of [connected] lie as (in, out), as in the oldest files."""
        return self.version[0] > 1000 or self.version[1] > 1000

    def values_after(self, header: int) -> int:
        """How many floats follow a header."""
        return self.words - header


def weights_file(path: Path) -> WeightsFile:
    """Looks at the header and the size.

    Raises:
        ConversionError: It can't be read, or is no weights file of darknet.
    """
    try:
        size = path.stat().st_size
        head = np.fromfile(path, dtype="<i4", count=SHORT_HEADER)
    except OSError as error:
        raise ConversionError(
            "The darknet weights can't be read.", received=f"{path}: {error.strerror}"
        ) from error
    if size % 4 or len(head) < SHORT_HEADER:
        raise ConversionError(
            f"{path.name} is no whole darknet weights file: its size is not a number of float32.",
            received=f"{path} of {size:,} bytes",
            expected="a header of 16 or 20 bytes, then 4 bytes a weight",
            fix="Copy or download the file again and compare its size.",
        )
    major, minor, revision = (int(word) for word in head[:3])
    return WeightsFile(path, (major, minor, revision), size // 4)


def fitted_header(
    file: WeightsFile, slots: Sequence[Slot], architecture: str
) -> tuple[int, tuple[Choice, ...]]:
    """Words of the header with which the file holds exactly the weights of an architecture.

    Args:
        file: The weights.
        slots: All weights of the architecture, in their order.
        architecture: What it is, in words.

    Raises:
        ConversionError: It doesn't, or only with the header that its version says it hasn't.
    """
    wanted = sum(slot.size for slot in slots)
    declared = file.declared_header
    if file.values_after(declared) == wanted:
        return declared, ()
    other = LONG_HEADER if declared == SHORT_HEADER else SHORT_HEADER
    fits_other = file.values_after(other) == wanted
    if fits_other and not any(file.version):
        reason = "no version is written in it, and so its size fits the architecture"
        return other, (Choice(what="header", chosen=_IN_WORDS[other], reason=reason),)
    raise _misfit(file, slots, architecture, other if fits_other else None)


def _misfit(
    file: WeightsFile, slots: Sequence[Slot], architecture: str, other: int | None
) -> ConversionError:
    wanted = sum(slot.size for slot in slots)
    declared = file.declared_header
    held = file.values_after(declared)
    surplus = held - wanted
    how_many = "one float" if abs(surplus) == 1 else f"{abs(surplus):,} floats"
    direction = "many" if surplus > 0 else f"few{_where_it_ends(slots, held)}"
    what = f"{file.path.name} doesn't fit {architecture}: {how_many} too {direction}"
    version = ".".join(map(str, file.version))
    if other is None:
        suspicion, fix = "", "Give the architecture that these weights were trained with."
    else:
        suspicion = f". Does it have {_IN_WORDS[other]} in spite of its version, {version}?"
        minor = 2 if other == LONG_HEADER else 1
        fix = (
            "Weights read at the wrong place would be wrong, so nothing is assumed. If so, write "
            f"that version into the header: bytes 0 to 12 as the int32 numbers 0, {minor}, 0."
        )
    return ConversionError(
        what + suspicion,
        received=f"{file.words:,} words: {_IN_WORDS[declared]} by its version {version}, then "
        f"{held:,} floats",
        expected=f"{wanted:,} floats for {architecture}",
        fix=fix,
    )


def _where_it_ends(slots: Sequence[Slot], held: int) -> str:
    for slot in slots:
        if held < slot.size:
            return f"; it ends before the {slot.name} of {slot.layer}"
        held -= slot.size
    return ""


def read_values(
    file: WeightsFile, header: int, slots: Sequence[Slot], *, transposed: bool = False
) -> Values:
    """Slot to its values, of its shape; they stay in the file until they are looked at.

    Args:
        file: The weights.
        header: Words of its header.
        slots: What is in it, in order.
        transposed: Whether kernels of dense layers lie as (in, out).
    """
    data = np.memmap(file.path, dtype="<f4", mode="r", offset=4 * header)
    values: dict[Slot, Array] = {}
    start = 0
    for slot in slots:
        run = data[start : start + slot.size]
        turned = transposed and slot.name == "kernel" and len(slot.shape) == 2
        values[slot] = run.reshape(slot.shape[::-1]).T if turned else run.reshape(slot.shape)
        start += slot.size
    return values


def not_finite(values: Values) -> tuple[str, ...]:
    """A warning for each run that holds NaN or infinite numbers."""
    return tuple(
        f"The {slot.name} of {slot.layer} hold NaN or infinite numbers."
        for slot, array in values.items()
        if not np.isfinite(array).all()
    )
