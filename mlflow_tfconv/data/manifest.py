"""manifest.json: what a dataset consists of, where its shards are, how to tell they are whole."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlflow_tfconv.arguments import did_you_mean, path_of
from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.data.schema import Schema
from mlflow_tfconv.errors import DataError

FILE_NAME = "manifest.json"
#: How a shard that is not what it was is mended; what a recipe keeps, it does not make again.
INGEST_AGAIN = (
    "Bring the file back, or run the step `ingest` again; in a recipe after `mlflow recipes clean "
    "--step ingest`."
)
_FORMAT = 2
#: What is in the values of a shard, for a manifest that somebody has edited.
_KINDS = {"path": str, "count": int, "size_bytes": int, "sha256": str, "crc32c": str}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A TFRecord file of a split.

    Attributes:
        path: Relative to the manifest's folder, or absolute for a file that was there before.
        count: Number of examples.
        size_bytes: Of the file.
        sha256: Of the file.
        content: Sum of the sha256 of its examples modulo 2**256, in hex: the same in any order.
        crc32c: CRC32C (Castagnoli) of the file, 8 hex digits: quick to check.
        compression: "gzip", or "" for a plain file.
    """

    path: str
    count: int
    size_bytes: int
    sha256: str
    content: str
    crc32c: str = ""
    compression: Literal["", "gzip"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A dataset on disk.

    Attributes:
        schema: What an example consists of.
        splits: Split name ("train", "validation", "test") to its shards, in order.
        folder: Where relative paths of shards start.
    """

    schema: Schema
    splits: Mapping[str, tuple[Shard, ...]]
    folder: Path = field(default_factory=Path, compare=False)

    @property
    def counts(self) -> dict[str, int]:
        """Number of examples of each split."""
        return {name: sum(shard.count for shard in shards) for name, shards in self.splits.items()}

    @property
    def digest(self) -> str:
        """32 hex digits that tell the content: schema and examples of each split.

        Independent of the order of the examples, of the size of the shards and of the number of
        their writers.
        """
        content = {name: _sum_of_contents(shards) for name, shards in sorted(self.splits.items())}
        text = json.dumps([self.schema.to_json(), self.counts, content], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def shard_paths(self, split: str) -> tuple[Path, ...]:
        """The files of a split.

        Raises:
            DataError: There is no such split.
        """
        if not isinstance(split, str) or split not in self.splits:
            raise DataError(
                f"The dataset in {self.folder} has no split of this name.",
                received=repr(split),
                expected=" or ".join(map(repr, self.splits)),
                fix=did_you_mean(split, self.splits)
                or "Ask for a split that is there, or ingest the data with it.",
            )
        return tuple(self.folder / shard.path for shard in self.splits[split])


def content_of(records_sum: int) -> str:
    """Writes the sum of the examples' digests as `Shard.content`."""
    return f"{records_sum % 2**256:064x}"


def record_digest(record: bytes | memoryview) -> int:
    """What one serialized example adds to the sum."""
    return int.from_bytes(hashlib.sha256(record).digest(), "big")


def write_manifest(manifest: Manifest, folder: Path) -> Path:
    """Writes manifest.json into a folder, all or nothing; gives its path."""
    splits = {
        name: [{key: getattr(shard, key) for key in Shard.__slots__} for shard in shards]
        for name, shards in manifest.splits.items()
    }
    data = {
        "format": _FORMAT,
        "digest": manifest.digest,
        "counts": manifest.counts,
        "schema": manifest.schema.to_json(),
        "splits": splits,
    }
    path = folder / FILE_NAME
    unfinished = folder / f".{FILE_NAME}.unfinished"
    unfinished.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return unfinished.replace(path)


def read_manifest(path: Path | str) -> Manifest:
    """Reads manifest.json, given itself or its folder.

    Raises:
        DataError: It is missing, damaged, or does not agree with its own digest.
    """
    path = Path(path)
    try:
        with readable(path):
            path = path / FILE_NAME if path.is_dir() else path
            data = json.loads(path.read_text(encoding="utf-8"))
        manifest = _manifest_from_json(data, path.parent)
        digest = data["digest"]
    except FileNotFoundError as e:
        raise DataError(
            "There is no manifest of the dataset.", received=path, fix="Run the step `ingest`."
        ) from e
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise _damaged(path, f"{type(e).__name__}: {e}") from e
    if digest != manifest.digest:
        raise _damaged(path, f"digest {digest}, its content gives {manifest.digest}")
    return manifest


def open_manifest(manifest: Dataset | Manifest | Path | str) -> Manifest:
    """The manifest of whatever names a dataset: the noun, the manifest itself, its path or folder.

    Raises:
        DataError: See `read_manifest`.
        ConfigError: It is none of these.
    """
    if isinstance(manifest, Manifest):
        return manifest
    if isinstance(manifest, Dataset):
        return read_manifest(manifest.manifest)
    return read_manifest(path_of(manifest, "The dataset"))


def check_split(manifest: Manifest, split: str) -> None:
    """Refuses a split that can't be read, without opening its files.

    Raises:
        DataError: No such split; no examples; a shard is missing or has another size.
    """
    paths = manifest.shard_paths(split)
    if manifest.counts[split] == 0:
        raise DataError(
            f"The split {split!r} of the dataset in {manifest.folder} has no examples.",
            received=f"examples: {manifest.counts}",
            fix="Ingest more data, or change `ingest.split_ratios`.",
        )
    for path, shard in zip(paths, manifest.splits[split], strict=True):
        _check_shard(path, shard)


def verify_split(manifest: Manifest, split: str) -> None:
    """Reads every byte of a split's shards and compares their checksums.

    Raises:
        DataError: As `check_split`, or a shard's content has changed.
    """
    check_split(manifest, split)
    for path, shard in zip(manifest.shard_paths(split), manifest.splits[split], strict=True):
        found = file_sha256(path)
        if found != shard.sha256:
            raise _changed(path, f"sha256 {found}", f"sha256 {shard.sha256}")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """A context in which a file that is there, but can't be read, is told.

    Raises:
        DataError: The disk or the rights to the file do not allow it.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as e:
        raise DataError(
            f"The file {path} of the dataset can't be read.",
            received=f"{e.strerror or e}",
            fix="See to its rights and to the disk that it is on.",
        ) from e


def file_sha256(path: Path) -> str:
    """The sha256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_shard(path: Path, shard: Shard) -> None:
    try:
        with readable(path):
            found = path.stat()
    except FileNotFoundError as e:
        raise DataError(
            "A shard of the dataset is missing.",
            received=f"no file {path}",
            expected=f"{shard.count} examples in {shard.size_bytes} bytes",
            fix=INGEST_AGAIN,
        ) from e
    if not stat.S_ISREG(found.st_mode):
        raise _changed(path, "no file, but a folder or a device", f"{shard.size_bytes} bytes")
    if found.st_size != shard.size_bytes:
        raise _changed(path, f"{found.st_size} bytes", f"{shard.size_bytes} bytes")


def _changed(path: Path, received: str, expected: str) -> DataError:
    return DataError(
        f"The shard {path} has changed since it was ingested.",
        received=received,
        expected=expected,
        fix=INGEST_AGAIN,
    )


def _manifest_from_json(data: Mapping[str, Any], folder: Path) -> Manifest:
    if data["format"] != _FORMAT:
        raise ValueError(f"format {data['format']!r}; this version reads format {_FORMAT}")
    splits = {
        name: tuple(_shard_from_json(shard) for shard in shards)
        for name, shards in data["splits"].items()
    }
    return Manifest(schema=Schema.from_json(data["schema"]), splits=splits, folder=folder)


def _shard_from_json(data: Mapping[str, Any]) -> Shard:
    shard = Shard(**data)
    for name, kind in _KINDS.items():
        value = getattr(shard, name)
        if type(value) is not kind or (isinstance(value, int) and value < 0):
            raise ValueError(f"a shard's {name} is {value!r}")
    if shard.compression not in ("", "gzip"):
        raise ValueError(f"a shard's compression is {shard.compression!r}")
    return shard


def _sum_of_contents(shards: tuple[Shard, ...]) -> str:
    return content_of(sum(int(shard.content, 16) for shard in shards))


def _damaged(path: Path, problem: str) -> DataError:
    return DataError(
        f"The manifest {path} can't be used.",
        received=problem,
        expected="a manifest.json as the step `ingest` writes it",
        fix="Run the step `ingest` again.",
    )
