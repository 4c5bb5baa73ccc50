from __future__ import annotations

import os

from mlflow_tfconv.engine.digests import Digests


def test_unchanged_files_are_not_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("mlflow_tfconv.engine.digests._SETTLED_NS", 0)
    file, memory = tmp_path / "a", tmp_path / "memory.json"
    file.write_text("one")
    digests = Digests(memory)
    first = digests.of(file)
    digests.save()
    monkeypatch.setattr("hashlib.file_digest", None)
    assert Digests(memory).of(file) == first


def test_a_change_of_same_size_and_mtime_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr("mlflow_tfconv.engine.digests._SETTLED_NS", 0)
    file = tmp_path / "a"
    file.write_text("one")
    digests = Digests(tmp_path / "memory.json")
    first, stat = digests.of(file), file.stat()
    file.write_text("two")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert digests.of(file) != first


def test_a_file_that_just_changed_is_not_remembered(tmp_path):
    file, memory = tmp_path / "a", tmp_path / "memory.json"
    file.write_text("one")
    digests = Digests(memory)
    digests.of(file)
    digests.save()
    assert not memory.exists()


def test_a_folder_is_its_files_and_their_names(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("1")
    digests = Digests()
    first = digests.of(tmp_path / "d")
    (tmp_path / "d" / "a").rename(tmp_path / "d" / "b")
    assert digests.of(tmp_path / "d") != first


def test_what_is_not_there_has_no_digest(tmp_path):
    assert Digests().of(tmp_path / "nothing") is None


def test_a_damaged_memory_is_forgotten(tmp_path):
    (tmp_path / "memory.json").write_text("{half")
    (tmp_path / "a").write_text("x")
    assert Digests(tmp_path / "memory.json").of(tmp_path / "a")


def test_a_folder_includes_what_links_in_it_lead_to(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a").write_text("1")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "disk")
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data")
    first = Digests().of(tmp_path / "data")
    (tmp_path / "disk" / "a").write_text("2")
    assert Digests().of(tmp_path / "data") != first
