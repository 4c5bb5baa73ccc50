from __future__ import annotations

import pytest

from mlflow_tfconv.data.manifest import content_of
from mlflow_tfconv.steps.ingest.segments import Run, Segment
from mlflow_tfconv.steps.ingest.shard_plan import Cutting, ShardPlan

CUTTING = Cutting(shard_bytes=100)


def segment(name: str, size: int, *, full: bool = False) -> Segment:
    """Of units of 5 bytes, one a run."""
    runs = tuple(Run(5, 1, content_of(n)) for n in range(size // 5))
    return Segment(name=name, runs=runs, size_bytes=size, count=len(runs), full=full)


def sizes(plans: tuple[ShardPlan, ...]) -> list[int]:
    return [sum(part.size_bytes for part in plan.parts) for plan in plans]


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([], []),
        ([("a", 40, False)], [40]),
        ([("a", 115, False)], [115]),
        ([("a", 130, False)], [65, 65]),
        ([("a", 100, True), ("b", 60, False)], [100, 60]),
        ([("a", 100, True), ("b", 15, False)], [115]),
        ([("a", 100, True), ("b", 40, False)], [70, 70]),
        ([("a", 10, False), ("b", 100, True), ("c", 100, True)], [110, 100]),
        ([("a", 30, False), ("b", 30, False), ("c", 30, False), ("d", 60, False)], [75, 75]),
        ([("a", 35, False)] * 30, [105] * 10),
    ],
)
def test_shards_are_near_the_size_and_none_is_tiny(
    segments: list[tuple[str, int, bool]], expected: list[int]
) -> None:
    found = [
        segment(f"{name}{n}", size, full=full) for n, (name, size, full) in enumerate(segments)
    ]
    plans = CUTTING.plans("train", found)
    assert sizes(plans) == expected
    assert sum(plan.count for plan in plans) == sum(one.count for one in found)
    total = sum(int(run.content, 16) for one in found for run in one.runs)
    assert sum(int(plan.content, 16) for plan in plans) == total


def test_a_full_segment_becomes_a_shard_as_it_is() -> None:
    segments = [segment("a", 100, full=True), segment("b", 70), segment("c", 20)]
    assert [plan.whole for plan in CUTTING.plans("train", segments)] == [True, False]
    packed = Cutting(shard_bytes=100, compression="gzip")
    assert [plan.whole for plan in packed.plans("train", segments)] == [False, False]


def test_a_unit_larger_than_a_shard_gets_its_own() -> None:
    large = Segment(
        name="a", runs=(Run(500, 1, content_of(1)),), size_bytes=500, count=1, full=True
    )
    plans = CUTTING.plans("test", [large, segment("b", 80)])
    assert sizes(plans) == [500, 80]
    assert [plan.name for plan in plans] == ["test-00000.tfrecord", "test-00001.tfrecord"]


def test_a_plan_is_plain_values_and_back() -> None:
    for plan in CUTTING.plans("train", [segment("a", 240)]):
        assert ShardPlan.from_json(plan.to_json()) == plan
