from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.sources import text_lines, text_source
from mlflow_tfconv.steps.ingest.sources.text_options import TextOptions
from mlflow_tfconv.steps.ingest.sources.text_source import TextSource

_OPTIONS = set(TextOptions.__dataclass_fields__)


class Text:
    """Files of a folder, read as a source."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, files: dict[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def source(self, location: Any, **config: Any) -> TextSource:
        options = {name: config.pop(name) for name in list(config) if name in _OPTIONS}
        asked = IngestConfig(using="text", location=location, text=TextOptions(**options), **config)
        return TextSource.open(asked, self.root, lambda event: None)

    def found(self, location: Any, **config: Any) -> list[Any]:
        source = self.source(location, **config)
        sent = pickle.loads(pickle.dumps(source))
        return [found for piece in source.pieces() for found in sent.examples(piece)]


@pytest.fixture
def text(tmp_path: Path) -> Text:
    return Text(tmp_path)


@pytest.fixture(params=[3, 2**20], ids=["small chunks", "a chunk"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines, "_CHUNK_BYTES", request.param)


@pytest.mark.usefixtures("chunks")
def test_a_line_is_an_example_and_empty_ones_are_left_out(text):
    text.write({"a.txt": "\ufeffhello\r\nwörld\n\n \t\nlast"})
    found = text.found("a.txt")
    assert [one.example["text"].decode() for one in found] == ["hello", "wörld", "last"]
    assert [one.where for one in found] == [
        *("a.txt, line 1", "a.txt, line 2", "a.txt, line 5"),
    ]
    assert len(text.found("a.txt", skip_empty=False)) == 5


def test_compressed_files_and_other_encodings_are_read(text):
    text.write({"a.txt.gz": gzip.compress(b"one\ntwo\n"), "b.txt": "é\nü\n".encode("utf-16")})
    assert [one.example["text"] for one in text.found("*.gz")] == [b"one", b"two"]
    assert [one.example["text"].decode() for one in text.found("b.txt", encoding="utf-16")] == [
        *("é", "ü"),
    ]


@pytest.mark.usefixtures("chunks")
def test_a_line_that_is_no_text_or_too_long_is_named_and_the_others_are_read(text):
    text.write({"a.txt": b"ok\n\xff\xfe bad\n" + b"x" * 50 + b"\nlast\n"})
    found = text.found("a.txt", max_bytes=20)
    assert [one.where for one in found if isinstance(one.example, DataError)] == [
        *("a.txt, line 2", "a.txt, line 3"),
    ]
    assert "encoding: latin-1" in str(found[1].example)
    assert "too long" in str(found[2].example)
    assert found[3].example == {"text": b"last"}


REVIEWS = {"m/pos/1.txt": "good\nfilm", "m/neg/1.txt": "bad", "m/neg/2.txt": "poor"}


def test_folders_are_classes_of_whole_files(text):
    text.write(REVIEWS)
    source = text.source("m", label="label", unit="file")
    assert source.class_names == {"label": ("neg", "pos")}
    found = {one.where: one.example for one in text.found("m", label="label", unit="file")}
    assert found["m/pos/1.txt"] == {"text": b"good\nfilm", "label": 1}
    assert found["m/neg/2.txt"] == {"text": b"poor", "label": 0}


def test_folders_named_for_splits_say_the_split(text):
    text.write({f"train/{name[2:]}": value for name, value in REVIEWS.items()})
    text.write({"test/pos/9.txt": "fine"})
    found = text.found(".", label="label", unit="file")
    assert {one.where.split("/")[0]: one.split for one in found} == {
        "train": "train",
        "test": "test",
    }
    assert {one.example["label"] for one in found} == {0, 1}


def test_the_names_of_files_may_be_the_classes(text):
    text.write({"neg.txt": "bad\npoor\n", "pos.txt.gz": gzip.compress(b"good\n")})
    found = text.found(".", label="y", label_from="file")
    assert {one.example["text"]: one.example["y"] for one in found} == {
        b"bad": 0,
        b"poor": 0,
        b"good": 1,
    }


def test_a_bad_document_names_its_line(text):
    text.write({"m/a/1.txt": b"one\ntwo\n\xff\n", "m/a/2.txt": "x" * 99, "m/b/1.txt": "ok"})
    found = text.found("m", label="label", unit="file", max_bytes=50)
    errors = {one.where: str(one.example) for one in found if isinstance(one.example, DataError)}
    assert "m/a/1.txt, line 3: this is no UTF-8 text" in errors["m/a/1.txt"]
    assert "too long" in errors["m/a/2.txt"]


def test_the_file_is_a_key_that_keeps_its_lines_together(text):
    text.write({"a.txt": "1\n2\n"})
    assert text.found("a.txt", key="path")[1].example == {"text": b"2", "path": "a.txt"}


def test_long_files_are_read_in_parts_with_the_same_lines(text, monkeypatch):
    text.write({"a.txt": "".join(f"line {n}\n" for n in range(1, 300))})
    whole = [(one.where, one.example) for one in text.found("a.txt")]
    monkeypatch.setattr(text_source, "SPAN_BYTES", 100)
    cut = text_source.line_spans
    monkeypatch.setattr(text_source, "line_spans", lambda stream: cut(stream, size=100))
    assert len(text.source("a.txt").pieces()) > 10
    assert [(one.where, one.example) for one in text.found("a.txt")] == whole


@pytest.mark.parametrize(
    ("config", "error", "says"),
    [
        ({"label": "y"}, DataError, "no folders that could be their classes"),
        ({"label": "text"}, ConfigError, "does not fit"),
        ({"label": ("a", "b")}, ConfigError, "does not fit"),
        ({"label": "y", "label_from": "none"}, ConfigError, "there is none"),
        ({"key": "id"}, ConfigError, "names no feature"),
    ],
)
def test_what_text_does_not_have_is_refused(text, config, error, says):
    text.write({"a.txt": "x\n"})
    with pytest.raises(error, match=says):
        text.source("a.txt", **config)


@pytest.mark.parametrize("options", [{"encoding": "utf-9"}, {"max_bytes": 0}, {"feature": ""}])
def test_options_that_can_not_be_are_refused(options):
    with pytest.raises(ConfigError):
        TextOptions(**options)
