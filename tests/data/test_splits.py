from __future__ import annotations

from collections import Counter

import numpy as np

from mlflow_tfconv.data.splits import identity_of, split_of

RATIOS = (0.8, 0.1, 0.1)


def test_the_split_of_an_example_is_the_same_everywhere() -> None:
    splits = [split_of(str(number).encode(), RATIOS) for number in range(12)]
    others = {1: "test", 7: "test", 10: "test", 11: "validation"}
    assert splits == [others.get(number, "train") for number in range(12)]


def test_splits_have_about_their_share() -> None:
    counts = Counter(split_of(str(number).encode(), RATIOS) for number in range(5000))
    assert abs(counts["train"] - 4000) < 150
    assert abs(counts["validation"] - 500) < 100


def test_a_share_of_zero_gets_nothing() -> None:
    assert {split_of(bytes([n]), (0.0, 0.0, 1.0)) for n in range(50)} == {"test"}
    assert {split_of(bytes([n]), (0.5, 0.5, 0.0)) for n in range(50)} == {"train", "validation"}


def test_a_number_and_its_text_are_the_same_key() -> None:
    assert identity_of(np.array(5)) == identity_of(np.array(b"5", dtype=object)) == b"5"
