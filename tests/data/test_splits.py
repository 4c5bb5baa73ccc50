from __future__ import annotations

from collections import Counter

import numpy as np

from mlflow_tfconv.data.splits import identities_of, identity_of, split_of, splits_of

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


def test_splits_are_the_same_at_once_and_one_by_one() -> None:
    keys = np.arange(-500, 500)
    for ratios in ((0.8, 0.1, 0.1), (1 / 3, 1 / 3, 1 / 3), (0.5, 0.0, 0.5), (0.0, 1.0, 0.0)):
        singly = [split_of(identity_of(key), ratios) for key in keys]
        assert splits_of(identities_of(keys), ratios) == singly


def test_identities_are_the_same_at_once_and_one_by_one() -> None:
    texts = np.array([b"a", b"", "é".encode()], dtype=object)
    for keys in (texts, np.array([0.1, 2], "float32"), np.array([True, False]), np.eye(2)):
        one_by_one = [np.asarray(key, keys.dtype) for key in keys]
        assert identities_of(keys) == [identity_of(key) for key in one_by_one]
