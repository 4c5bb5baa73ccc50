"""What is kept of an ingest until it has ended, so that it can go on after a kill."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.data.manifest import FILE_NAME, Shard
from mlflow_tfconv.data.shards import Disk
from mlflow_tfconv.engine.atomic import write_text
from mlflow_tfconv.engine.parts import fingerprint_of
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.ingest.bundles import Bundle
from mlflow_tfconv.steps.ingest.reading_job import BundleRead, ReadingJob
from mlflow_tfconv.steps.ingest.segments import Segment, files_of
from mlflow_tfconv.steps.ingest.shard_plan import ShardPlan
from mlflow_tfconv.steps.ingest.statistics import Statistics

NAME = ".unfinished"
_INPUTS, _ASSEMBLY = "inputs.json", "assembly.json"
_SHARD = re.compile(r"(train|validation|test)-\d{5}\.tfrecord(\.gz)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """How the segments become shards; from here on segments disappear.

    Attributes:
        plans: The shards.
        segments: Split to its segments, in order.
        row_bytes: Size of a row of the layout "block".
        bundles: Keys and identities of the bundles that the segments were read from.
    """

    plans: tuple[ShardPlan, ...]
    segments: Mapping[str, tuple[Segment, ...]]
    row_bytes: int | None
    bundles: tuple[tuple[str, str], ...]

    @property
    def mark(self) -> str:
        """Tells it from every other: shards that were made by another are not taken for its own."""
        return fingerprint_of(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "plans": [plan.to_json() for plan in self.plans],
            "segments": {
                split: [segment.to_json() for segment in segments]
                for split, segments in self.segments.items()
            },
            "row_bytes": self.row_bytes,
            "bundles": [list(pair) for pair in self.bundles],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Assembly:
        """The inverse of `to_json`."""
        return cls(
            plans=tuple(map(ShardPlan.from_json, data["plans"])),
            segments={
                split: tuple(map(Segment.from_json, found))
                for split, found in data["segments"].items()
            },
            row_bytes=data["row_bytes"],
            bundles=tuple((key, identity) for key, identity in data["bundles"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFolder:
    """Segments, and notes on what is done.

    Attributes:
        path: The folder.
        output: The folder of the shards.
        shuffled: Whether the segments are.
        needed_bytes: About what all of it takes; None when nobody knows.
        assembling: Whether shards are being made already, so that segments may be gone.
        writes: Whether there are going to be shards.
    """

    path: Path
    output: Path
    shuffled: bool = False
    needed_bytes: int | None = None
    assembling: bool = False
    writes: bool = True

    @classmethod
    def of(cls, job: ReadingJob) -> WorkFolder:
        """The folder of a job."""
        return cls(
            path=job.folder,
            output=job.output,
            shuffled=job.config.shuffle,
            needed_bytes=job.needed_bytes,
            writes=job.write,
        )

    def open(self, inputs: Mapping[str, Any]) -> None:
        """Makes it ready; what was made of other inputs goes, and the shards made of it.

        Raises:
            ConfigError: Somebody else's files have names that shards would get.
        """
        file, mark = self.path / _INPUTS, {"inputs": fingerprint_of(inputs)}
        if _read(file) == mark:
            return
        self._remove_shards()
        (self.output / FILE_NAME).unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)
        if self.writes:
            refuse_foreign_shards(self.output, own_shards(self.output))
        with self._disk.writing():
            self.path.mkdir(parents=True)
            write_text(file, json.dumps(mark))

    def remove(self, kept: Collection[str]) -> None:
        """Removes the folder, and of the shards that were made those that have no examples."""
        self._remove_shards(kept)
        shutil.rmtree(self.path, ignore_errors=True)

    def keep_bundle(self, bundle: Bundle, read: BundleRead, statistics: Statistics) -> None:
        """Notes that a bundle was read; its segments are complete."""
        with self._disk.writing():
            unfinished = self.path / f".{bundle.key}.npz"
            statistics.save(unfinished)
            unfinished.replace(self.path / f"{bundle.key}.npz")
            write_text(self.path / f"{bundle.key}.json", json.dumps(read.to_json()))

    def bundle(self, bundle: Bundle) -> BundleRead | None:
        """What is known of a bundle that was read and is unchanged; None when it is to be read."""
        data = _read(self.path / f"{bundle.key}.json")
        if data is None:
            return None
        read = BundleRead.from_json(data)
        if read.identity != bundle.identity:
            return None
        return read if self.assembling or self._is_whole(bundle, read) else None

    def statistics(self, bundle: Bundle) -> Statistics:
        """Those of a bundle that was read."""
        return Statistics.load(self.path / f"{bundle.key}.npz")

    def keep_assembly(self, assembly: Assembly) -> None:
        """Notes how the shards are made."""
        with self._disk.writing():
            write_text(self.path / _ASSEMBLY, json.dumps(assembly.to_json()))

    def assembly(self) -> Assembly | None:
        """How the shards are made, once that is decided."""
        data = _read(self.path / _ASSEMBLY)
        return None if data is None else Assembly.from_json(data)

    def drop_assembly(self) -> None:
        """Forgets how the shards were to be made: the data have changed since."""
        (self.path / _ASSEMBLY).unlink()

    def keep_shard(self, plan: ShardPlan, shard: Shard, mark: str) -> None:
        """Notes what a shard is; `mark` is that of the assembly."""
        known = {key: getattr(shard, key) for key in Shard.__slots__}
        with self._disk.writing():
            write_text(self.path / f"{plan.name}.json", json.dumps({"mark": mark, "shard": known}))

    def shard(self, plan: ShardPlan, mark: str) -> Shard | None:
        """A shard that is there; None when it is to be made."""
        note, file = _read(self.path / f"{plan.name}.json"), self.output / plan.name
        if note is None or note["mark"] != mark or not file.is_file():
            return None
        shard = Shard(**note["shard"])
        return shard if file.stat().st_size == shard.size_bytes else None

    def drop(self, segments: Sequence[Segment]) -> None:
        """Removes segments whose units are all in shards."""
        for segment in segments:
            for name in files_of(segment, shuffled=self.shuffled):
                (self.path / name).unlink(missing_ok=True)

    def _remove_shards(self, kept: Collection[str] = ()) -> None:
        """Of this ingest, or of the one that has left its manifest; never what others have made."""
        assembly = self.assembly()
        own = {plan.name for plan in assembly.plans} if assembly else set()
        for name in (own | own_shards(self.output)) - set(kept):
            (self.output / name).unlink(missing_ok=True)
        for unfinished in self.output.glob(".*.unfinished"):
            if _SHARD.fullmatch(unfinished.stem.removeprefix(".")):
                unfinished.unlink()

    @property
    def _disk(self) -> Disk:
        return Disk(self.output, self.needed_bytes)

    def _is_whole(self, bundle: Bundle, read: BundleRead) -> bool:
        """Whether the disk has all that was written, also after the machine itself had stopped."""
        segments = [segment for found in read.segments.values() for segment in found]
        names = [name for s in segments for name in files_of(s, shuffled=self.shuffled)]
        files = [self.path / name for name in (*names, f"{bundle.key}.npz")]
        if not all(file.is_file() and file.stat().st_size for file in files):
            return False
        return all((self.path / s.name).stat().st_size == s.size_bytes for s in segments)


def own_shards(folder: Path) -> set[str]:
    """The shards in a folder that its manifest lists, not those that lie elsewhere."""
    data = _read(folder / FILE_NAME) or {}
    shards = [shard for found in data.get("splits", {}).values() for shard in found]
    return {shard["path"] for shard in shards if _SHARD.fullmatch(shard["path"])}


def refuse_foreign_shards(folder: Path, own: Collection[str]) -> None:
    """Refuses a folder in which other files than its own have the names of shards.

    Raises:
        ConfigError: There is one.
    """
    for file in sorted(folder.iterdir()):
        if _SHARD.fullmatch(file.name) and file.name not in own:
            raise ConfigError(
                f"{folder} holds TFRecord files of somebody else, which would be written over.",
                received=file.name,
                expected="a folder without train-*, validation-* and test-*.tfrecord",
                fix="Name another folder for the dataset.",
            )


def _read(file: Path) -> Any:
    """A note; None without one, or when it is cut because the machine itself had stopped."""
    try:
        return json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return None
