"""Which files belong to a checkpoint, whatever of them the user named.

A checkpoint is named by its prefix: V2 is `prefix.index` and `prefix.data-?????-of-?????`, V1 is
the file `prefix` itself or `prefix-?????-of-?????`. The graph may lie beside it as `prefix.meta`.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.damaged_file import missing_file

_SUFFIX = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
_V1_SHARD = re.compile(r"-(\d{5}|\?{5})-of-(\d{5})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFiles:
    """A checkpoint on disk.

    Attributes:
        prefix: What every file's name begins with; the checkpoint's name.
        version: 2 with an .index file, else 1.
        v1_files: The files of a V1 checkpoint, in order.
    """

    prefix: Path
    version: int
    v1_files: tuple[Path, ...] = ()

    @property
    def meta(self) -> Path:
        """Where its graph lies if it was saved with it."""
        return self.prefix.with_name(f"{self.prefix.name}.meta")

    def called(self, prefix: Path) -> str:
        """What TensorFlow calls a checkpoint of these files at a prefix.

        For a V1 checkpoint in several files, that is a pattern.
        """
        if self.version == 1 and self.v1_files != (self.prefix,):
            return f"{prefix}-?????-of-{len(self.v1_files):05d}"
        return str(prefix)

    def every_file(self) -> list[Path]:
        """The files that hold the checkpoint."""
        if self.version == 1:
            return list(self.v1_files)
        return [*_beside(self.prefix, ".index"), *_beside(self.prefix, ".data-?????-of-?????")]


def checkpoint_prefix(path: Path) -> Path:
    """The prefix of the checkpoint that a file belongs to; a prefix is given back as it is."""
    name = _SUFFIX.sub("", path.name)
    return path.with_name(_V1_SHARD.sub("", name))


def checkpoint_files(path: Path) -> CheckpointFiles | None:
    """The checkpoint that a prefix or one of its files names; None when there is none.

    Raises:
        ConversionError: Some of its files are there, but not all.
    """
    prefix = checkpoint_prefix(path)
    has_data = any(_beside(prefix, ".data-?????-of-?????"))
    if prefix.with_name(f"{prefix.name}.index").is_file():
        if not has_data:
            first = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
            raise missing_file(first, "holds the values of the variables")
        return CheckpointFiles(prefix=prefix, version=2)
    if prefix.is_file():
        return CheckpointFiles(prefix=prefix, version=1, v1_files=(prefix,))
    shards = _beside(prefix, "-?????-of-?????")
    if shards:
        return CheckpointFiles(prefix=prefix, version=1, v1_files=_all_shards(shards))
    if has_data:
        index = prefix.with_name(f"{prefix.name}.index")
        raise missing_file(index, "lists what the .data files hold")
    return None


def require_checkpoint_files(path: Path) -> CheckpointFiles:
    """As `checkpoint_files`, and a checkpoint must be there.

    Raises:
        ConversionError: No file belongs to such a checkpoint, or not all do.
    """
    files = checkpoint_files(path)
    if files is not None:
        return files
    prefix = checkpoint_prefix(path)
    raise ConversionError(
        f"There is no checkpoint {prefix.name}: neither {prefix.name}.index with its .data files "
        f"nor a file {prefix.name}.",
        received=str(path),
        expected="the prefix of a checkpoint, such as model.ckpt-1000, or one of its files",
        fix="Checkpoints in this folder: " + (", ".join(_prefixes(prefix.parent)) or "none") + ".",
    )


def _all_shards(shards: list[Path]) -> tuple[Path, ...]:
    """The shards of one V1 checkpoint, none missing."""
    found = _V1_SHARD.search(shards[-1].name)
    count = int(found.group(2)) if found else len(shards)
    stem = _V1_SHARD.sub("", shards[-1].name)
    if count > 100_000:
        raise missing_file(shards[-1], f"is one of {count:,} files")
    wanted = [
        shards[-1].with_name(f"{stem}-{number:05d}-of-{count:05d}") for number in range(count)
    ]
    for shard in wanted:
        if not shard.is_file():
            raise missing_file(shard, "is a part of the checkpoint")
    return tuple(wanted)


def _beside(prefix: Path, ending: str) -> list[Path]:
    return sorted(prefix.parent.glob(glob.escape(prefix.name) + ending))


def _prefixes(folder: Path) -> list[str]:
    """Names of the checkpoints of a folder that have an .index file."""
    if not folder.is_dir():
        return []
    return sorted(path.name.removesuffix(".index") for path in folder.glob("*.index"))
