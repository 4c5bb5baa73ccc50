"""Data on an S3 server: a real one, in this process."""

from __future__ import annotations

import io
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

from mlflow_tfconv.data.manifest import read_manifest
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.locations import source_files
from mlflow_tfconv.steps.ingest.source_file import reading
from mlflow_tfconv.steps.ingest.sources.table import open_source
from mlflow_tfconv.steps.ingest.step import IngestStep


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a server."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture(scope="module")
def options(server: str) -> Iterator[dict[str, Any]]:
    """What a recipe says of the server; the credentials are in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "who")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "what")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield {"endpoint_url": server}


@pytest.fixture(scope="module")
def bucket(options: dict[str, Any]) -> S3FileSystem:
    """A bucket with some CSV files under `set`."""
    system = S3FileSystem(**options)
    system.mkdir("data")
    files = {
        "a.csv": b"x,label\n1,cat\n2,dog\n",
        "b b/[c].csv": b"label,x\ncat,3\n",
        "_SUCCESS": b"",
    }
    for name, content in files.items():
        system.pipe(f"data/set/{name}", content)
    return system


def config(location: Any, options: dict[str, Any], **more: Any) -> IngestConfig:
    using = more.pop("using", "csv")
    return IngestConfig(
        using=using, location=location, label="label", storage_options=options, **more
    )


def examples(asked: IngestConfig) -> list[Any]:
    source = open_source(asked, Path("/"), lambda event: None)
    return [found for piece in source.pieces() for found in source.examples(piece)]


@pytest.mark.parametrize(
    ("location", "names"),
    [
        ("s3://data/set", ["a.csv", "b b/[c].csv"]),
        ("s3://data/set/", ["a.csv", "b b/[c].csv"]),
        ("s3://data/set/*.csv", ["a.csv"]),
        ("s3://data/**/*.csv", ["set/a.csv", "set/b b/[c].csv"]),
        ("s3://data/set/b b/[c].csv", ["[c].csv"]),
        (("s3://data/set/b b", "s3://data/set/a.csv"), ["[c].csv", "a.csv"]),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_files_of_a_bucket_are_found(options, location, names):
    files = source_files(location, Path("/"), suffixes=(".csv",), storage_options=options)
    assert [file.name for file in files] == names
    assert all(file.identity["tag"] and file.size_bytes for file in files)


@pytest.mark.usefixtures("bucket")
def test_csv_is_read_from_a_bucket(options):
    found = examples(config("s3://data/set", options))
    assert [one.example["x"] for one in found] == [1, 2, 3]
    assert found[1].where == "s3://data/set/a.csv, line 3 (row 2)"


def test_parquet_is_read_from_a_bucket(bucket, options):
    target = io.BytesIO()
    pq.write_table(pa.table({"x": [1.5, 2.5, 3.5], "label": ["a", "b", "a"]}), target, 2)
    bucket.pipe("data/t/1.parquet", target.getvalue())
    found = examples(config("s3://data/t/*.parquet", options, using="parquet"))
    assert [one.example["x"] for one in found] == [1.5, 2.5, 3.5]


def test_ingest_runs_again_when_an_object_has_changed(bucket, options):
    bucket.pipe("data/changed/a.csv", b"x,label\n1,cat\n2,dog\n")
    step = IngestStep(config("s3://data/changed", options))
    before = step.outside()
    assert before == step.outside()
    assert before.keys() == {"s3://data/changed"}
    assert step.inputs() == ()
    bucket.pipe("data/changed/a.csv", b"x,label\n1,cat\n2,cow\n")
    assert step.outside() != before


@pytest.mark.usefixtures("bucket")
def test_credentials_are_in_no_message_and_no_result(ingest, events, options, caplog):
    secret = options | {"key": "my-key-id", "secret": "my-secret"}
    asked = {"using": "csv", "location": "s3://data/set", "storage_options": secret, "writers": 1}
    result = ingest(**asked, label="label", split_ratios=(1, 0, 0))
    assert read_manifest(result.output.manifest).counts["train"] == 3
    folder = result.output.manifest.parent
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"my-secret" not in kept
    assert b"my-key-id" not in kept
    assert "my-" not in f"{events} {result} {caplog.text}"


@pytest.mark.parametrize("location", ["s3://none/a.csv", "s3://none/*.csv", "s3://data/none"])
@pytest.mark.usefixtures("bucket")
def test_a_bucket_or_an_object_that_is_not_there_is_named(options, location):
    with pytest.raises(DataError, match="There is nothing at s3://"):
        source_files(location, Path("/"), storage_options=options)


@pytest.mark.usefixtures("bucket")
def test_without_credentials_the_error_says_where_they_belong(options, monkeypatch, request):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
    S3FileSystem.clear_instance_cache()  # they were read before
    request.addfinalizer(S3FileSystem.clear_instance_cache)
    with pytest.raises(DataError, match="AWS_ACCESS_KEY_ID"):
        source_files("s3://data/set", Path("/"), storage_options=options)
    anonymous = options | {"anon": True}
    assert source_files("s3://data/set", Path("/"), storage_options=anonymous)


def test_an_object_that_changes_while_it_is_read_ends_the_reading(bucket, options):
    bucket.pipe("data/long/a.csv", b"x,label\n" + b"1,cat\n" * 2_000_000)
    (file,) = source_files("s3://data/long/a.csv", Path("/"), storage_options=options)
    with file.open() as stream:
        stream.read(100)
        bucket.pipe("data/long/a.csv", b"y,label\n" + b"2,dog\n" * 2_000_000)
        with pytest.raises(DataError, match=r"s3://data/long/a.csv"), reading(file):
            shutil.copyfileobj(stream, io.BytesIO())
