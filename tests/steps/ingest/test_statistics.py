from __future__ import annotations

import hashlib
import io
import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mlflow_tfconv.data.columns import row_at
from mlflow_tfconv.data.manifest import record_digest
from mlflow_tfconv.data.values import array_of
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.digests import Digests
from mlflow_tfconv.steps.ingest.sizes import Sizes
from mlflow_tfconv.steps.ingest.statistics import Statistics

RANDOM = np.random.default_rng(0)


def add(statistics: Statistics, split: str = "train", **values: Any) -> None:
    arrays = {name: array_of(value, name, "here") for name, value in values.items()}
    digest = int(hashlib.sha256(repr(values).encode()).hexdigest(), 16)
    statistics.add(split, arrays, digest)


def filled(examples: list[tuple[str, dict[str, Any]]]) -> Statistics:
    statistics = Statistics(("label", "kind"))
    for split, values in examples:
        add(statistics, split, **values)
    return statistics


def plain(statistics: Statistics) -> Any:
    """All that they know, to be compared."""
    return (
        statistics.counts,
        {name: found.to_json() for name, found in statistics.features.items()},
        statistics.classes,
        statistics.text_classes(),
        [
            {name: (array.dtype, repr(array.tolist())) for name, array in sample.items()}
            for sample in statistics.samples
        ],
    )


@pytest.fixture(scope="module")
def examples() -> list[tuple[str, dict[str, Any]]]:
    return [
        (
            ("train", "test")[number % 3 == 0],
            {
                "image": RANDOM.integers(0, 255, (4 + number % 5, 6, 3), dtype=np.uint8),
                "row": RANDOM.normal(size=number % 7).astype(np.float32),
                "number": float(number) if number % 10 else float("nan"),
                "text": "x" * (number % 4),
                "label": number % 3,
                "kind": ("a", "b")[number % 2],
                "big": 2**60 + number,
            },
        )
        for number in range(100)
    ]


def test_parts_add_up_to_the_whole_whatever_they_are(examples: list[Any], tmp_path: Path) -> None:
    whole = plain(filled(examples))
    for cuts in ((0, 100), (0, 1, 50, 100), (0, 33, 34, 70, 100)):
        parts = [examples[a:b] for a, b in itertools.pairwise(cuts)]
        random.Random(1).shuffle(parts)
        merged = Statistics(("label", "kind"))
        for part in parts:
            filled(part).save(tmp_path / "part.npz")
            merged.merge(Statistics.load(tmp_path / "part.npz"))
        assert plain(merged) == whole


def test_what_is_learned_of_features(examples: list[Any]) -> None:
    found = filled(examples).features
    assert (found["number"].low, found["number"].high) == (1.0, 99.0)
    assert found["number"].missing == 10
    assert found["text"].missing == 25
    assert (found["text"].lengths.low, found["text"].lengths.high) == (0, 3)
    assert (found["big"].low, found["big"].high) == (2**60, 2**60 + 99)
    height, width, channels = found["image"].dimensions
    assert (height.low, height.quantile(0.5), height.high) == (4, 6, 8)
    assert (width.low, width.high, channels.count) == (6, 6, 100)
    assert found["row"].dimensions[0].low == 0


@pytest.mark.parametrize(
    ("values", "low", "high", "missing", "infinite"),
    [
        ([1.0, np.nan, 3.0], 1, 3, 1, 0),
        ([-np.inf, 2.0], 2, 2, 0, 1),
        ([np.nan, np.inf], np.inf, -np.inf, 1, 1),
        ([], np.inf, -np.inf, 0, 0),
    ],
)
def test_what_is_not_finite_is_counted_and_left_out_of_the_range(
    values: Any, low: float, high: float, missing: int, infinite: int
) -> None:
    statistics = Statistics()
    add(statistics, x=np.array(values, np.float32))
    found = statistics.features["x"]
    assert (found.low, found.high) == (low, high)
    assert (found.missing, found.infinite) == (missing, infinite)


def test_classes_are_counted_by_split(examples: list[Any]) -> None:
    statistics = filled(examples)
    assert statistics.classes["label"][0, "test"] == 34
    assert statistics.classes["label"][1, "train"] == 33
    assert statistics.text_classes() == {"kind": ("a", "b")}


def test_integers_that_are_no_classes_are_not_counted() -> None:
    statistics, more = Statistics(("n",)), Statistics(("n",))
    for number in range(30_001):
        statistics.add("train", {"n": np.array(number)}, number)
    assert statistics.classes == {}
    more.add("train", {"n": np.array(1)}, 1)
    more.merge(statistics)
    assert more.classes == {}


def test_a_text_label_of_too_many_values_is_refused() -> None:
    statistics = Statistics(("kind",))
    for number in range(10_000):
        add(statistics, kind=str(number))
    with pytest.raises(DataError, match="more than 10,000 different values"):
        add(statistics, kind="one more")


def test_samples_are_small_and_hang_on_the_examples_alone() -> None:
    images = [RANDOM.integers(0, 255, (500, 300, 3), dtype=np.uint8) for _ in range(40)]
    one, other = Statistics(), Statistics()
    for image in images:
        add(one, image=image, text="x" * 10_000)
    for image in images[::-1] + images:
        add(other, image=image, text="x" * 10_000)
    assert len(one.samples) == 24
    assert all(sample["image"].nbytes < 60_000 for sample in one.samples)
    assert all(len(sample["text"].item()) == 400 for sample in one.samples)
    for a, b in zip(one.samples, other.samples, strict=True):
        assert np.array_equal(a["image"], b["image"])


def test_an_array_that_is_used_again_for_the_next_example_does_no_harm() -> None:
    statistics, row = Statistics(), np.zeros(3, np.float32)
    for number in range(5):
        row[:] = number
        add(statistics, row=row)
    assert {sample["row"][0] for sample in statistics.samples} == {0, 1, 2, 3, 4}
    assert statistics.features["row"].high == 4


def test_encoded_images_are_decoded_for_the_samples() -> None:
    target = io.BytesIO()
    Image.new("RGB", (300, 200), (9, 8, 7)).save(target, "PNG")
    statistics = Statistics(images=("image",))
    for number, data in enumerate((target.getvalue(), b"none")):
        arrays = {"image": array_of(data, "image", "here")}
        statistics.add("train", arrays, number, {"image": (200, 300, 3)})
    good, bad = (sample["image"] for sample in statistics.samples)
    assert good.shape[2] == 3
    assert good[0, 0].tolist() == [9, 8, 7]
    assert bad.size == 0
    assert [sizes.high for sizes in statistics.features["image"].dimensions] == [200, 300, 3]
    assert statistics.features["image"].lengths.count == 0


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match="can't be read") as error:
        Statistics.load(tmp_path / "s.npz")
    assert "s.npz" in str(error.value.received)


def test_quantiles_of_large_sizes_are_nearly_right_in_little_memory() -> None:
    sizes = Sizes()
    for size in range(0, 1_000_000, 7):
        sizes.add(size)
    assert sizes.quantile(0.5) == pytest.approx(500_000, rel=0.003)
    assert (sizes.low, sizes.high) == (0, 999_999)
    assert len(sizes.to_json()["counts"]) < 7000


@pytest.mark.parametrize("seed", range(4))
def test_statistics_are_the_same_at_once_and_one_by_one(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    odd = rng.choice([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -2.5], 300)
    texts = np.array([rng.bytes(int(size)) for size in rng.integers(0, 9, 300)], dtype=object)
    columns = {
        "odd": odd.astype("float32"),
        "row": rng.choice(odd, (300, 2, 2)) if seed else np.zeros((300, 0)),
        "truth": rng.integers(0, 1 + seed % 2, 300).astype(bool),
        "complex": np.zeros(300, "complex64"),
        "label": rng.integers(-3, 3, 300),
        "kind": texts,
        "pair": rng.integers(0, 2, (300, 1)),
    }
    splits = rng.choice(["train", "test"], 300).tolist()
    records = [repr([column[row] for column in columns.values()]).encode() for row in range(300)]
    singly, at_once = (Statistics(("label", "kind", "pair", "truth")) for _ in range(2))
    for row in range(300):
        digest = record_digest(records[row])
        singly.add(splits[row], row_at(columns, row), digest)
    for first, last in ((0, 10), (10, 11), (11, 300)):
        part = {name: column[first:last] for name, column in columns.items()}
        at_once.add_all(splits[first:last], part, Digests.of(records[first:last]))
    assert repr(plain(at_once)) == repr(plain(singly))
    singly.save(tmp_path / "a.npz")
    at_once.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("many", [20_000, 100_000])
def test_labels_of_too_many_values_are_no_classes_at_once_either(many: int) -> None:
    statistics = Statistics(("label",))
    columns = {"label": np.arange(many)}
    digests = Digests.of([b"%d" % number for number in range(many)])
    statistics.add_all(["train"] * many, columns, digests)
    assert len(statistics.classes.get("label", ())) == (many if many == 20_000 else 0)
