from __future__ import annotations

import functools
import pickle
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from mlflow_tfconv.errors import DataError, MissingLibraryError
from mlflow_tfconv.steps.ingest.locations import local_path, remote_content, source_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "recipe [1]"
    for name in (
        *("data/b.csv", "data/a.CSV", "data/sub/ü x.csv", "data/README.md", "data/_SUCCESS"),
        *("data/.hidden.csv", "data/.git/c.csv", "data/_delta_log/d.csv", "data/_DSC1.csv"),
        *("data/sub/part-00000", "data/[a].csv"),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def names(location: str | tuple[str, ...], root: Path, suffixes: tuple[str, ...] = (".csv",)):
    return [file.name for file in source_files(location, root, suffixes=suffixes)]


def test_a_folder_gives_its_files_of_a_kind_in_order_without_hidden_ones_and_markers(root):
    assert names("data", root) == ["[a].csv", "_DSC1.csv", "a.CSV", "b.csv", "sub/ü x.csv"]


def test_a_file_is_itself_whatever_its_suffix(root):
    assert names("data/README.md", root) == ["README.md"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("data/*.csv", ["[a].csv", "_DSC1.csv", "b.csv"]),
        ("data/**/*.csv", ["[a].csv", "_DSC1.csv", "b.csv", "sub/ü x.csv"]),
        ("data/s*", ["sub/ü x.csv"]),
        ("data/*/part-*", ["sub/part-00000"]),
        ("data/[b].csv", ["b.csv"]),
        ("data/[a].csv", ["[a].csv"]),
        ("*/b.csv", ["data/b.csv"]),
    ],
)
def test_a_pattern_gives_what_it_fits_and_a_name_that_exists_is_no_pattern(root, pattern, found):
    assert names(pattern, root) == found


def test_several_locations_follow_one_another_and_a_file_comes_once(root):
    assert names(("data/sub", "data/b.csv", "data/*.csv"), root) == [
        *("ü x.csv", "b.csv", "[a].csv", "_DSC1.csv"),
    ]


def test_a_file_is_shown_from_the_recipes_folder_and_travels(root):
    file = pickle.loads(pickle.dumps(source_files("data/b.csv", root)[0]))
    assert file.shown == "data/b.csv"
    with file.open() as stream:
        assert stream.read() == b"data/b.csv"
    with file.local() as path:
        assert path == root / "data" / "b.csv"


def test_the_home_folder_and_file_urls_are_paths(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root))
    assert names("~/data/b.csv", root / "elsewhere") == ["b.csv"]
    assert names(f"file://{root}/data/b.csv", root) == ["b.csv"]
    assert local_path("~/data", Path("/")) == str(root / "data")


@pytest.mark.parametrize("location", ["nothing", "data/*.txt", "data/sub/*.md"])
def test_where_nothing_is_the_error_says_where_it_looked(root, location):
    with pytest.raises(DataError, match="There are no data") as e:
        source_files(location, root, suffixes=(".csv",))
    assert str(root) in str(e.value)


def test_a_broken_link_is_named(root):
    (root / "data" / "link.csv").symlink_to("gone.csv")
    with pytest.raises(DataError, match=r"data/link.csv leads nowhere.\n.*a link to gone.csv"):
        source_files("data", root)


def test_a_link_to_a_folder_above_ends(root):
    (root / "data" / "sub" / "up").symlink_to(root / "data")
    assert names("data", root)[-1] == "sub/ü x.csv"


def test_a_file_that_vanishes_is_named(root):
    (file,) = source_files("data/b.csv", root)
    Path(file.url_or_path).unlink()
    with pytest.raises(DataError, match=r"data/b.csv can't be read.\n.*there is nothing at"):
        file.open()


def test_urls_are_read_through_fsspec(tmp_path):
    memory = fsspec.filesystem("memory")
    for name in ("z.csv", "y y.csv", "_SUCCESS", "b [1]/x.csv"):
        memory.pipe(f"/locations/{name}", name.encode())
    assert names("memory://locations", tmp_path) == ["b [1]/x.csv", "y y.csv", "z.csv"]
    assert names("memory://locations/*.csv", tmp_path) == ["y y.csv", "z.csv"]
    assert names("memory://locations/b [1]/x.csv", tmp_path) == ["x.csv"]
    (file,) = source_files("memory://locations/z.csv", tmp_path)
    with file.local() as path:
        assert path.read_bytes() == b"z.csv"
    assert not path.exists()


def test_what_a_url_holds_is_told_by_a_digest_that_changes_with_it():
    memory = fsspec.filesystem("memory")
    memory.pipe("/content/a.csv", b"1")
    before = remote_content(("memory://content", "local/path"), {})
    assert before == remote_content(("memory://content",), {})
    memory.pipe("/content/a.csv", b"2")
    assert before.keys() == {"memory://content"}
    assert before != remote_content(("memory://content",), {})


@pytest.mark.parametrize("url", ["memory://nothing", "memory://nothing/*.csv", "memory://a/b.csv"])
def test_a_url_where_nothing_is_is_named(tmp_path, url):
    with pytest.raises(DataError, match="There is nothing at memory://"):
        source_files(url, tmp_path)


def test_an_unknown_kind_of_url_is_refused(tmp_path):
    with pytest.raises(DataError, match="Protocol not known: foo"):
        source_files("foo://user:secret@host/x", tmp_path)


def test_a_library_that_is_missing_is_named_by_its_extra(tmp_path, monkeypatch):
    def none(*_: object, **__: object) -> None:
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr("fsspec.core.url_to_fs", none)
    with pytest.raises(MissingLibraryError, match=r"mlflow-tfconv\[gcs\]"):
        source_files("gs://bucket/data.csv", tmp_path)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The URL of a web server with a file and a page that links to it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "a.csv").write_text("a,b\n")
    handler = functools.partial(Quiet, directory=str(tmp_path / "www"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_files_of_a_web_server_are_read_and_a_page_is_none(web, tmp_path):
    (direct,) = source_files(f"{web}/a.csv?version=1", tmp_path)
    (listed,) = source_files(f"{web}/*.csv", tmp_path)
    assert direct.name == listed.name == "a.csv"
    assert direct.identity == listed.identity
    with direct.open() as stream:
        assert stream.read() == b"a,b\n"
    with pytest.raises(DataError, match="is a web page"):
        source_files(f"{web}/", tmp_path)


def test_a_server_that_is_not_there_is_no_missing_file(tmp_path):
    with pytest.raises(DataError, match="over the network") as e:
        source_files("http://me:secret@127.0.0.1:9/a.csv?token=secret", tmp_path)
    assert "secret" not in str(e.value)
