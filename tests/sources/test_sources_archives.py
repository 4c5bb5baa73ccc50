from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources import archives
from mlflow_tfconv.sources.archive_models import model_in, split_archive_path
from mlflow_tfconv.sources.archives import unpacked

FIXTURES = Path(__file__).parents[1] / "fixtures"


def tar_of(path: Path, *entries: tarfile.TarInfo, mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for entry in entries:
            entry.size = 3 if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(b"abc"))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zip_of(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "abc")
    return path


def refused(path: Path, says: str, folder: Path | None = None) -> ConversionError:
    with pytest.raises(ConversionError) as error, unpacked(path, folder):
        pass
    assert says in str(error.value)
    return error.value


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_unpacked_and_removed_again(mode: str, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a", entry("model/a.txt"), mode=mode)
    with unpacked(path) as folder:
        assert (folder / "model" / "a.txt").read_bytes() == b"abc"
    assert not folder.exists()


def test_a_zip_is_unpacked_also_when_it_was_made_on_windows(tmp_path: Path) -> None:
    with unpacked(zip_of(tmp_path / "a.zip", "model\\a.txt", "b.txt")) as folder:
        assert (folder / "model" / "a.txt").read_bytes() == b"abc"
        assert (folder / "b.txt").exists()


@pytest.mark.parametrize("opener", [gzip.open, bz2.open, lzma.open])
def test_a_single_compressed_file_keeps_its_name(
    opener: Callable[..., Any], tmp_path: Path
) -> None:
    suffix = {gzip.open: "gz", bz2.open: "bz2", lzma.open: "xz"}[opener]
    with opener(tmp_path / f"model.h5.{suffix}", "wb") as file:
        file.write(b"abc")
    with unpacked(tmp_path / f"model.h5.{suffix}") as folder:
        assert (folder / "model.h5").read_bytes() == b"abc"


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/a", "..\\a", "C:\\a", "a/.."])
def test_entries_that_leave_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    for path in (tar_of(tmp_path / "a.tar", entry(name)), zip_of(tmp_path / "a.zip", name)):
        assert repr(name) in str(refused(path, "would leave the folder"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("link", ["../../secret", "/etc/passwd", "a/../../../b"])
def test_links_that_leave_the_folder_are_refused(kind: bytes, link: str, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", entry("model/link", kind, link))
    refused(path, f"'model/link', a link to {link!r}, would leave")


def test_a_link_to_a_file_of_the_archive_becomes_a_copy(tmp_path: Path) -> None:
    link = entry("model/latest", tarfile.SYMTYPE, "a.txt")
    path = tar_of(tmp_path / "a.tar", link, entry("model/a.txt"))
    with unpacked(path) as folder:
        assert (folder / "model" / "latest").read_bytes() == b"abc"
        assert not (folder / "model" / "latest").is_symlink()


def test_a_symbolic_link_in_a_zip_is_looked_at_too(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "../../secret")
    refused(tmp_path / "a.zip", "a link to '../../secret'")


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_devices_and_pipes_are_refused(kind: bytes, tmp_path: Path) -> None:
    refused(tar_of(tmp_path / "a.tar", entry("dev", kind)), "'dev' is a device or a pipe")


def test_an_encrypted_zip_is_told(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", "a.txt")
    data = bytearray(path.read_bytes())
    data[6] |= 1  # in the entry
    data[data.index(b"PK\x01\x02") + 8] |= 1  # in the directory
    path.write_bytes(data)
    refused(path, "'a.txt' is encrypted")


def test_an_archive_that_swells_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(archives, "_UNSUSPICIOUS_BYTES", 1_000_000)
    with gzip.open(tmp_path / "a.gz", "wb") as file:
        file.write(bytes(30_000_000))
    refused(tmp_path / "a.gz", "would become")


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(archives, "_MOST_ENTRIES", 3)
    refused(zip_of(tmp_path / "a.zip", *"abcd"), "more than 3 entries")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_cut_archive_is_told(mode: str, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", entry("a.txt"), mode=mode)
    path.write_bytes(path.read_bytes()[: 514 if mode == "w" else 60])
    refused(path, "damaged or cut off: a.tar")


@pytest.mark.parametrize(
    "name", ["c06_keras_zip_traversal/m.keras", "c06_savedmodel_tar_traversal/model.tar.gz"]
)
def test_hostile_archives_write_nothing(name: str, tmp_path: Path) -> None:
    below = tmp_path / "a" / "b" / "c"
    below.mkdir(parents=True)
    refused(FIXTURES / "hostile" / name, "would leave the folder", below)
    assert not list(tmp_path.rglob("HOSTILE*"))


def test_a_folder_in_a_folder_is_descended(tmp_path: Path) -> None:
    inner = tmp_path / "up" / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "net.cfg").write_text("[net]\nwidth=3")
    assert model_in(tmp_path / "up", tmp_path / "m.zip") == inner / "net.cfg"


def test_several_models_are_listed_and_one_can_be_named(tmp_path: Path) -> None:
    for name in ("a.cfg", "b.cfg"):
        (tmp_path / name).write_text("[net]\nwidth=3")
    with pytest.raises(ConversionError, match="holds 2 models: which") as error:
        model_in(tmp_path, Path("m.zip"))
    assert "m.zip!a.cfg" in str(error.value.fix)
    assert model_in(tmp_path, Path("m.zip"), "b.cfg") == tmp_path / "b.cfg"
    with pytest.raises(ConversionError, match=r"has no '\.\./b\.cfg'"):
        model_in(tmp_path, Path("m.zip"), "../b.cfg")


def test_an_archive_without_a_model_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(ConversionError, match="holds no model that is known") as error:
        model_in(tmp_path, Path("m.zip"))
    assert error.value.received == "readme.txt"


def test_the_place_in_an_archive_stands_behind_an_exclamation_mark(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", "b.txt")
    assert split_archive_path(path) == (path, None)
    assert split_archive_path(Path(f"{path}!model/b.txt")) == (path, "model/b.txt")
    assert split_archive_path(tmp_path / "what!is") == (tmp_path / "what!is", None)
