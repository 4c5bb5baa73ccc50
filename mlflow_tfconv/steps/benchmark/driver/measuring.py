"""Measures variants, and reads back what was measured of them before.

What does not depend on the moment (memory, outputs, profile) is kept with the variant. Timings are
kept as long as the machine times the reference as it did when they were taken: when there are new
variants the reference is timed beside them once more, and when it does not agree with its kept
timing, all are timed again.
"""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.engine.parts import fingerprint_of
from mlflow_tfconv.errors import BenchmarkError, ConversionError, DeviceError, TfconvError
from mlflow_tfconv.steps.benchmark.driver.bench import Bench
from mlflow_tfconv.steps.benchmark.driver.opened_variant import (
    OpenedVariant,
    opened_variant,
    write_answers,
)
from mlflow_tfconv.steps.benchmark.driver.progress import OPENING_SHARE
from mlflow_tfconv.steps.benchmark.driver.room import can_work, has_room
from mlflow_tfconv.steps.benchmark.driver.time_plan import TimePlan
from mlflow_tfconv.steps.benchmark.driver.timings import (
    agrees,
    kept_timings,
    numbered,
    read_timings,
    write_timings,
)
from mlflow_tfconv.steps.benchmark.driver.turns import time_in_turn
from mlflow_tfconv.steps.benchmark.driver.worker_process import ShortOfMemoryError
from mlflow_tfconv.steps.benchmark.worker.job import RESULT_FILE

#: What became of timings that were kept.
Kept = Literal[
    "all were timed now",
    "all were kept",
    "some were kept: the reference, timed again, is as fast as it was",
    "all were timed again: the reference is not as fast as it was",
]
APART = (
    "was timed apart from the reference: beside it there was too little memory, or it was killed"
)


@dataclass(slots=True, kw_only=True)
class Found:
    """What there is of a variant.

    Attributes:
        opened: Folder of what does not depend on the moment, or None.
        timing: Folder of its timing, or None.
        failure: Why it could not be measured, or None.
    """

    opened: Path | None = None
    timing: Path | None = None
    failure: TfconvError | None = None


@dataclass(slots=True, kw_only=True)
class Measuring:
    """The course of a benchmark.

    Attributes:
        bench: How, and where.
        variants: The reference first.
        found: Run name to what there is of it.
        timings: What became of timings that were kept.
    """

    bench: Bench
    variants: Sequence[Variant]
    found: dict[str, Found] = field(default_factory=dict)
    timings: Kept = "all were timed now"
    _keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _plan: TimePlan = field(init=False)
    _group: list[OpenedVariant] = field(default_factory=list)
    _first: Variant | None = None
    _waiting: deque[Variant] = field(default_factory=deque)
    _apart: set[str] = field(default_factory=set)
    _timed: set[str] = field(default_factory=set)
    _probe: Path | None = None

    def __post_init__(self) -> None:
        sizes = len(self.bench.config.batch_sizes)
        self._plan = TimePlan(config=self.bench.config, items=len(self.variants) * sizes)

    def run(self) -> dict[str, Found]:
        """Measures what is not there yet; what is kept lies among the parts."""
        try:
            return self._run()
        finally:
            for folder in ("workers", "reference"):
                shutil.rmtree(self.bench.workdir / folder, ignore_errors=True)

    def _run(self) -> dict[str, Found]:
        for variant in self.variants:
            self._look(variant)
        alive = [v for v in self.variants if self.found[v.run_name].failure is None]
        if not alive:
            return self.found
        kept = {v.run_name for v in alive[1:] if self._is_kept(v, alive[0])}
        if self._is_complete(alive[0]):
            kept.add(alive[0].run_name)
        fresh = [v for v in alive if v.run_name not in kept]
        if not fresh:
            self.timings = "all were kept"
        elif alive[0] in fresh:
            self._session(alive)
        else:
            self._beside_kept(alive, fresh)
        return self.found

    def failure(self, variant: Variant) -> TfconvError:
        """Why it could not be measured."""
        return self.found[variant.run_name].failure or BenchmarkError("It was not measured.")

    def _beside_kept(self, alive: list[Variant], fresh: list[Variant]) -> None:
        """Times what is new beside the reference, and all when that is not as it was."""
        reference, self._probe = alive[0], self.bench.workdir / "reference"
        name, probe = reference.run_name, self._probe
        before = self.found[name].timing
        self._session([reference, *fresh])
        self._probe, self.timings = (
            None,
            "some were kept: the reference, timed again, is as fast as it was",
        )
        if before is None or not probe.is_dir():
            return
        if agrees(read_timings(probe), read_timings(before)):
            return
        self.timings = "all were timed again: the reference is not as fast as it was"
        self._store(name, lambda work: shutil.copytree(probe, work, dirs_exist_ok=True))
        rest = [v for v in alive[1:] if v not in fresh]
        self._session([reference, *rest] if rest else [])

    def _look(self, variant: Variant) -> None:
        """Looks for what is kept of a variant."""
        found = self.found[variant.run_name] = Found()
        try:
            opened_keys = self.bench.opened_ingredients(variant)
        except (BenchmarkError, ConversionError) as error:
            found.failure = error
            return
        keys = self._keys[variant.run_name] = {
            "opened": opened_keys,
            "timing": self.bench.timing_ingredients(variant, opened_keys),
        }
        twins = sum(_but_for_twins(own) == keys["opened"] for own in self._keys.values()) - 1
        if twins:  # the same file twice: how much its two processes differ is worth knowing
            keys.update({kind: {**own, "twin": twins} for kind, own in keys.items()})
        opened = self.bench.parts.root / fingerprint_of(keys["opened"])
        found.opened = opened if opened.is_dir() else None
        timing, self._numbers[variant.run_name] = kept_timings(self.bench.parts, keys["timing"])
        found.timing = timing

    def _is_complete(self, variant: Variant) -> bool:
        found = self.found[variant.run_name]
        return found.opened is not None and found.timing is not None

    def _is_kept(self, variant: Variant, reference: Variant) -> bool:
        """Whether nothing of it has to be measured, if only the reference is as it was."""
        timing = self.found[variant.run_name].timing
        if timing is None or not self._is_complete(reference):
            return False
        about = read_timings(timing).about
        same: bool = about["reference"] == self._key(reference)
        return self._is_complete(variant) and same

    def _key(self, variant: Variant) -> str:
        return fingerprint_of(self._keys[variant.run_name]["timing"])

    def _session(self, variants: Sequence[Variant]) -> None:
        """Opens one after the other; those that fit into memory together are timed in turn."""
        self._first, self._timed = None, set()
        self._waiting.extend(variants)
        try:
            while self._waiting:
                self._take(self._waiting.popleft())
                if not self._waiting:
                    self._finish()
        finally:
            for one in self._group:
                one.close()
            self._group.clear()
            self._waiting.clear()

    def _take(self, variant: Variant) -> None:
        """Opens a variant, beside as many others as there is room for."""
        self.bench.progress.add(OPENING_SHARE, f"{variant.run_name}, opening")
        apart = variant.run_name in self._apart
        if apart or (self._group and self._group[0].variant is not self._first):
            self._leave(0)
        if not apart and not self._group and self._first is not None:
            self._reopen(self._first)
        for left in dict.fromkeys((len(self._group), min(len(self._group), 1), 0)):
            self._leave(left)
            pids = [one.pid for one in self._group]
            if left and not has_room(variant, pids, self.bench.device):
                continue
            failure = self._opened(variant)
            if failure is None:
                return
            if not isinstance(failure, ShortOfMemoryError) or not left:
                self.found[variant.run_name].failure = failure
                return

    def _opened(self, variant: Variant) -> TfconvError | None:
        """Opens a variant into the group; says why that was not possible."""
        found, bench = self.found[variant.run_name], self.bench
        try:
            one = opened_variant(
                bench, variant, whole=found.opened is None, reference=self._predicted(variant)
            )
        except (BenchmarkError, ConversionError, DeviceError) as error:
            return error
        if self._group and not can_work([*(o.pid for o in self._group), one.pid]):
            one.close()
            return ShortOfMemoryError("There is too little memory beside the others.")
        if found.opened is None:
            ingredients = self._keys[variant.run_name]["opened"]
            found.opened = bench.parts.build(ingredients, lambda work: write_answers(one, work))
        if self._first is not None and not self._group:
            one.notes.append(APART)
        self._first = self._first or variant
        self._group.append(one)
        return None

    def _reopen(self, variant: Variant) -> None:
        """Opens the reference once more; without it others are timed apart."""
        with suppress(BenchmarkError, ConversionError, DeviceError):
            self._group.append(opened_variant(self.bench, variant, whole=False, reference=None))

    def _predicted(self, variant: Variant) -> dict[str, Any] | None:
        """What `predict` told of the reference; None for the reference itself."""
        for other in self.variants:
            found = self.found[other.run_name]
            if found.failure is not None:
                continue
            if other is variant or found.opened is None:
                return None
            told = json.loads((found.opened / RESULT_FILE).read_text(encoding="utf-8"))
            predicted: dict[str, Any] = told["predict"]
            return predicted
        return None

    def _leave(self, left: int) -> None:
        """Times the group and closes all but the first `left` of it."""
        if len(self._group) > left:
            self._finish()
            for one in self._group[left:]:
                one.close()
            del self._group[left:]

    def _finish(self) -> None:
        """Times the group and keeps its timing; what was short of memory has to try it apart."""
        if all(one.name in self._timed for one in self._group):
            return
        time_in_turn(self._group, self.bench, self._plan)
        several, first = len(self._group) > 1, self._group[0]
        for one in self._group:
            short = isinstance(one.failure, ShortOfMemoryError) and several
            if short and one.name not in self._apart:
                self._apart.add(one.name)
                self._waiting.append(one.variant)
            elif one.failure is not None:
                self.found[one.name].failure = one.failure
            elif one.name not in self._timed:
                self._keep(one, first)
        for one in self._group:
            one.forget_turns()
            if one.failure is not None:
                one.close()
        self._group[:] = [one for one in self._group if one.failure is None]
        if first.failure is not None and first.variant is self._first:
            self._first = self._group[0].variant if self._group else None

    def _keep(self, one: OpenedVariant, first: OpenedVariant) -> None:
        self._timed.add(one.name)
        key = self._key(self._first or first.variant)
        if self._probe is not None and one.variant is self._first:
            self._probe.mkdir()
            write_timings(one, first, key, self._probe)
        else:
            self._store(one.name, lambda work: write_timings(one, first, key, work))

    def _store(self, name: str, make: Callable[[Path], Any]) -> None:
        """Keeps a timing as the newest of this variant."""
        number = self._numbers[name]
        ingredients = numbered(self._keys[name]["timing"], number)
        self.found[name].timing = self.bench.parts.build(ingredients, make)
        self._numbers[name] = number + 1


def _but_for_twins(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in keys["opened"].items() if name != "twin"}
