"""Where the examples come from.

`load_examples` yields one dict {feature: value} an example; it is streamed, so the data may be far
larger than memory. `ingest.label` in recipe.yaml names the feature to learn. `ingest.params` and
`ingest.location`, when they are set, arrive here as arguments.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

CLASS_NAMES = tuple("0123456789")  # what the label's integers mean


def load_examples() -> Iterator[dict[str, Any]]:
    """The 1,797 handwritten digits that ship inside scikit-learn.

    Yields:
        image: (8, 8, 1) float32 in [0, 1].
        digit: The class, 0 to 9.
    """
    digits = load_digits()
    for image, digit in zip(digits.images, digits.target, strict=True):
        yield {"image": np.float32(image / 16)[..., np.newaxis], "digit": digit}
