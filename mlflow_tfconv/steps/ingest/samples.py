"""A few examples to look at, the same ones whoever reads the data in whatever parts."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from mlflow_tfconv.data.columns import Columns, row_at
from mlflow_tfconv.data.inference import Arrays
from mlflow_tfconv.data.values import is_text
from mlflow_tfconv.steps.ingest.digests import Digests

SAMPLES = 24
_THUMBNAIL_PIXELS = 128
_MOST_TEXT_BYTES = 400

Sample = dict[str, np.ndarray[Any, Any]]


class Samples:
    """The different examples with the smallest digests: as good as drawn by chance.

    Args:
        images: Features that hold encoded images.
    """

    def __init__(self, images: frozenset[str] = frozenset()) -> None:
        self._images = images
        self._kept: dict[int, Sample] = {}
        self._bar = 0  # with all places taken: the largest digest

    def add(self, arrays: Arrays, digest: int) -> None:
        """Takes an example; small copies of its arrays are kept when its digest is small."""
        if len(self._kept) == SAMPLES and digest >= self._bar:
            return
        if digest not in self._kept:
            self._keep(digest, {name: self._small(name, array) for name, array in arrays.items()})

    def add_all(self, columns: Columns, digests: Digests) -> None:
        """Takes many examples, as `add` takes each."""
        for index in digests.smallest(self._bar if len(self._kept) == SAMPLES else None):
            digest = digests.at(index)
            if len(self._kept) == SAMPLES and digest >= self._bar:
                continue
            self.add(row_at(columns, index), digest)

    def merge(self, other: Samples) -> None:
        """Takes those of another part."""
        for digest, sample in other._kept.items():
            if len(self._kept) < SAMPLES or digest < self._bar:
                self._keep(digest, sample)

    def items(self) -> list[tuple[int, Sample]]:
        """Digests and samples, in the order of digests."""
        return sorted(self._kept.items(), key=lambda item: item[0])

    @classmethod
    def of(cls, items: Mapping[int, Sample]) -> Samples:
        """Those that were kept before."""
        samples = cls()
        samples._kept = dict(items)
        samples._bar = max(items, default=0)
        return samples

    def _keep(self, digest: int, sample: Sample) -> None:
        self._kept[digest] = sample
        if len(self._kept) > SAMPLES:
            del self._kept[self._bar]
        self._bar = max(self._kept)

    def _small(self, name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return decoded_thumbnail(array) if name in self._images else _thumbnail(array)


def _thumbnail(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A copy with few elements: every n-th row and column, and of a clip the frame in its middle."""
    if is_text(array):
        few = array.reshape(-1)[:_THUMBNAIL_PIXELS] if array.ndim else array
        short = np.empty(few.shape, dtype=object)
        for index, value in np.ndenumerate(few):
            short[index] = value[:_MOST_TEXT_BYTES]
        return short
    if array.ndim == 1:
        return array[:_THUMBNAIL_PIXELS].copy()
    while array.ndim > 3 and array.shape[0]:
        array = array[array.shape[0] // 2]
    steps = (max(1, -(-size // _THUMBNAIL_PIXELS)) for size in array.shape[:2])
    small = array[tuple(slice(None, None, step) for step in steps)]
    return small[..., :_THUMBNAIL_PIXELS].copy() if small.ndim > 2 else small.copy()


def decoded_thumbnail(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(height, width, 3) uint8 of an encoded image; of no pixels when it can't be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as Pillow's about more pixels than is sensible
            with Image.open(io.BytesIO(array.reshape(-1)[0])) as image:
                image.draft("RGB", (_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS))
                small = image.convert("RGB")
        small.thumbnail((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS))
        return np.asarray(small)
    except (OSError, ValueError, SyntaxError, IndexError, Warning, Image.DecompressionBombError):
        return np.zeros((0, 0, 3), np.uint8)
