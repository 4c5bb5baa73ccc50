from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.data import unchanged
from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.data.unchanged import check_unchanged, remember_unchanged
from mlflow_tfconv.errors import DataError

LONG_AGO_NS = time.time_ns() - 3_600_000_000_000


@pytest.fixture
def manifest(write_dataset: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Manifest:
    """Shards that were written a while ago; in a new process, and with a home of its own."""
    monkeypatch.setattr(unchanged, "_VERIFIED", {})
    monkeypatch.setattr(unchanged, "_SETTLED_NS", -(10**12))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found: Manifest = write_dataset([{"x": n, "label": 0} for n in range(60)])
    return found


def flip(path: Path) -> None:
    """Changes one bit, and says that nothing was changed since long ago."""
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))


def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The shards that are read from now on."""
    seen: list[Path] = []
    whole = unchanged._check_content
    monkeypatch.setattr(
        unchanged, "_check_content", lambda path, shard: (seen.append(path), whole(path, shard))
    )
    return seen


def test_other_sound_records_of_the_same_size_are_told(manifest: Manifest) -> None:
    first, second, *_ = manifest.shard_paths("train")
    assert first.stat().st_size == second.stat().st_size
    shutil.copy2(first, second)
    with pytest.raises(DataError, match="another content") as caught:
        read_dataset(manifest, "train", 2)
    assert second.name in str(caught.value)
    assert "crc32c" in str(caught.value)


def test_a_damaged_record_is_told_by_its_number(manifest: Manifest) -> None:
    flip(manifest.shard_paths("train")[1])
    with pytest.raises(DataError, match=r"train-00001.* record 0 \(from 0\) at byte 0") as caught:
        read_dataset(manifest, "train", 2)
    assert "`mlflow recipes clean --step ingest`" in str(caught.value)


def test_unchanged_shards_are_read_once(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = reads(monkeypatch)
    check_unchanged(manifest, "train")
    assert len(seen) == len(manifest.splits["train"]) > 1
    check_unchanged(manifest, "train")
    monkeypatch.setattr(unchanged, "_VERIFIED", {})  # another process
    check_unchanged(manifest, "train")
    assert len(seen) == len(manifest.splits["train"])


def test_a_shard_that_changes_later_is_read_again(manifest: Manifest) -> None:
    check_unchanged(manifest, "train")
    flip(manifest.shard_paths("train")[0])
    with pytest.raises(DataError, match="is damaged"):
        check_unchanged(manifest, "train")


def test_who_has_written_shards_can_say_so(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = reads(monkeypatch)
    remember_unchanged(manifest)
    check_unchanged(manifest, "train")
    assert seen == []


def test_what_changed_just_now_is_not_remembered(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged, "_SETTLED_NS", 10**15)
    check_unchanged(manifest, "train")
    assert not (manifest.folder / ".verified.json").exists()


def test_of_a_folder_that_is_read_only_the_cache_remembers(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(path: Path, text: str) -> None:
        if path.parent == manifest.folder:
            raise PermissionError(path)
        written(path, text)

    written = unchanged.write_text
    monkeypatch.setattr(unchanged, "write_text", refuse)
    check_unchanged(manifest, "train")
    (kept,) = (tmp_path / "home").rglob("*.json")
    assert len(json.loads(kept.read_text())) == len(manifest.splits["train"])


@pytest.mark.parametrize("text", ["", "[1]", '{"train-00000.tfrecord": 3}'])
def test_a_damaged_memory_is_as_none(manifest: Manifest, text: str) -> None:
    (manifest.folder / ".verified.json").write_text(text)
    check_unchanged(manifest, "train")
    assert "sha" not in text
    assert len(json.loads((manifest.folder / ".verified.json").read_text())) > 1
