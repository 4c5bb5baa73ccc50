"""Making all shards, as tasks; segments are removed as the shards take them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mlflow_tfconv.data.manifest import Shard
from mlflow_tfconv.engine.events import Emit
from mlflow_tfconv.steps.ingest.make_shard import first_unit_of
from mlflow_tfconv.steps.ingest.progress import MakingProgress
from mlflow_tfconv.steps.ingest.segments import Segment, read_order
from mlflow_tfconv.steps.ingest.shard_plan import ShardPlan
from mlflow_tfconv.steps.ingest.tasks import Task
from mlflow_tfconv.steps.ingest.work_folder import Assembly, WorkFolder


class ShardTasks:
    """Hands out the shards that are not there yet.

    Shuffled ones are made from the last to the first: each takes what stands at the end of every
    segment, which is then cut off.
    """

    def __init__(self, work: WorkFolder, assembly: Assembly, emit: Emit) -> None:
        self._work, self._assembly, self._mark = work, assembly, assembly.mark
        plans = assembly.plans
        order = sorted(range(len(plans)), key=lambda n: (plans[n].split, plans[n].number))
        self._waiting = [n for n in (order[::-1] if work.shuffled else order) if self._open(n)]
        self._left = set(self._waiting)
        self._users = Counter(part.segment for n in self._left for part in plans[n].parts)
        self._progress = MakingProgress(len(self._left), emit)

    @property
    def shards(self) -> dict[str, tuple[Shard, ...]]:
        """Split to its shards, once all are there."""
        found: dict[str, list[Shard]] = {split: [] for split in self._assembly.segments}
        for plan in self._assembly.plans:
            shard = self._work.shard(plan, self._mark)
            if shard is None:
                raise AssertionError("a shard that was just made is not there")
            if shard.count:
                found[plan.split].append(shard)
        return {split: tuple(shards) for split, shards in found.items()}

    def next(self) -> Task | None:
        """A shard to be made."""
        return {"shard": self._waiting.pop(0)} if self._waiting else None

    def name(self, task: Task) -> str:
        """What is done, for a person."""
        return f"writing {self._assembly.plans[task['shard']].name}"

    def hear(self, task: Task, said: Mapping[str, Any]) -> None:
        """Making a shard is silent."""

    def done(self, task: Task) -> None:
        """A shard is there: what only it needed goes."""
        self._left.remove(task["shard"])
        plan = self._assembly.plans[task["shard"]]
        if self._work.shuffled:
            self._cut(plan.split)
        else:
            self._drop(plan)
        self._progress.done()

    def _open(self, index: int) -> bool:
        return self._work.shard(self._assembly.plans[index], self._mark) is None

    def _drop(self, plan: ShardPlan) -> None:
        names = {part.segment for part in plan.parts}
        self._users.subtract(part.segment for part in plan.parts)
        unused = {name for name in names if self._users[name] <= 0}
        segments = self._assembly.segments[plan.split]
        self._work.drop([segment for segment in segments if segment.name in unused])

    def _cut(self, split: str) -> None:
        """Takes off what lies behind the units of the shards that are still to be made."""
        left = [plan.number for plan in map(self._plan, self._left) if plan.split == split]
        for segment in self._assembly.segments[split]:
            if left:
                of = next(plan.of for plan in self._assembly.plans if plan.split == split)
                self._cut_behind(segment, max(left) + 1, of)
            else:
                self._work.drop([segment])

    def _cut_behind(self, segment: Segment, number: int, of: int) -> None:
        places, ends = read_order(self._work.path, segment)
        units = first_unit_of(places, number, of)
        os.truncate(self._work.path / segment.name, int(ends[units - 1]) if units else 0)

    def _plan(self, index: int) -> ShardPlan:
        return self._assembly.plans[index]
