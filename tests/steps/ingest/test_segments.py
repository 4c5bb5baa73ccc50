from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from mlflow_tfconv.data.manifest import record_digest
from mlflow_tfconv.data.shards import Disk
from mlflow_tfconv.steps.ingest.digests import Digests
from mlflow_tfconv.steps.ingest.segments import SegmentWriter, ShuffledSegmentWriter

RNG = np.random.default_rng(0)
UNITS = [RNG.bytes(int(size)) for size in RNG.integers(0, 60, 500)] + [b"x" * 5000, b"y"]


@pytest.mark.parametrize("shard_bytes", [1, 50, 700, 9000, 10**6])
@pytest.mark.parametrize("cuts", [(0, 502), (0, 1, 200, 502)])
def test_segments_are_the_same_at_once_and_one_by_one(
    tmp_path: Path, shard_bytes: int, cuts: tuple[int, ...]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    singly = SegmentWriter(Disk(tmp_path / "a"), "s", shard_bytes)
    for unit in UNITS:
        singly.write(unit, record_digest(unit))
    at_once = SegmentWriter(Disk(tmp_path / "b"), "s", shard_bytes)
    for first, last in itertools.pairwise(cuts):
        at_once.write_all(UNITS[first:last], Digests.of(UNITS[first:last]))
    segments = singly.finish()
    assert at_once.finish() == segments
    for segment in segments:
        files = (tmp_path / name / segment.name for name in ("a", "b"))
        assert len({file.read_bytes() for file in files}) == 1


def test_a_shuffled_segment_holds_its_units_by_their_numbers(tmp_path: Path) -> None:
    writer = ShuffledSegmentWriter(Disk(tmp_path), "s", 10**6)
    writer.write_all([b"b", b"a", b"c"], [2, 1, 2**64 - 1])
    (segment,) = writer.finish()
    assert (tmp_path / segment.name).read_bytes() == b"abc"


def test_digests_are_summed_and_ordered_as_numbers() -> None:
    records = [b"%d" % number for number in range(100)]
    digests, numbers = Digests.of(records), [*map(record_digest, records)]
    assert digests.total(3, 50) == sum(numbers[3:50])
    assert digests.total() == sum(numbers)
    assert [digests.at(index) for index in digests.smallest()] == sorted(numbers)
    bound = sorted(numbers)[7]
    assert {number for number in numbers if number < bound} <= {
        digests.at(index) for index in digests.smallest(bound)
    }
