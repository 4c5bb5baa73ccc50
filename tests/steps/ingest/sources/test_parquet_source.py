from __future__ import annotations

import datetime
import decimal
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import FeatureConfig, IngestConfig
from mlflow_tfconv.steps.ingest.sources import parquet_file, parquet_source
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.parquet_options import ParquetOptions
from mlflow_tfconv.steps.ingest.sources.parquet_source import ParquetSource

_OPTIONS = set(ParquetOptions.__dataclass_fields__)


class Parquet:
    """Files of a folder, read as a source."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said: list[str] = []

    def write(self, table: Any, name: str = "a.parquet", rows: int = 2, **how: Any) -> Path:
        data = table if isinstance(table, pa.Table) else pa.table(table)
        pq.write_table(data, self.root / name, row_group_size=rows, **how)
        return self.root / name

    def source(self, location: str = "a.parquet", **config: Any) -> ParquetSource:
        options = {name: config.pop(name) for name in list(config) if name in _OPTIONS}
        parquet = ParquetOptions(**options)
        asked = IngestConfig(using="parquet", location=location, parquet=parquet, **config)
        return ParquetSource.open(asked, self.root, lambda event: self.said.append(event.text))

    def found(self, table: Any = None, **config: Any) -> list[Any]:
        if table is not None:
            self.write(table)
        source = self.source(**config)
        sent = pickle.loads(pickle.dumps(source))
        return [found for piece in source.pieces() for found in sent.examples(piece)]

    def column(self, values: Any, **config: Any) -> list[Any]:
        found = self.found({"x": values}, **config)
        return [one.example["x"] for one in found]


@pytest.fixture
def parquet(tmp_path: Path) -> Parquet:
    return Parquet(tmp_path)


_DAY = datetime.datetime(2024, 1, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (pa.array([7], pa.int8()), np.int64(7)),
        (pa.array([7], pa.uint64()), np.int64(7)),
        (pa.array([1.5], pa.float64()), np.float32(1.5)),
        (pa.array(np.array([1.5], np.float16)), np.float32(1.5)),
        (pa.array([decimal.Decimal("1.25")]), np.float32(1.25)),
        (pa.array([True]), np.True_),
        (pa.array(["é"]), "é".encode()),
        (pa.array(["é"], pa.large_string()), "é".encode()),
        (pa.array(["é"]).dictionary_encode(), "é".encode()),
        (pa.array([b"\xff"]), b"\xff"),
        (pa.array([b"\xff"], pa.binary(1)), b"\xff"),
        (pa.array([_DAY], pa.timestamp("ns", "UTC")), np.int64(_DAY.timestamp())),
        (pa.array([datetime.date(1970, 1, 2)]), np.int64(86400)),
        (pa.array([datetime.time(0, 1)]), np.int64(60)),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_types_of_arrow_become_few(parquet, array, value):
    (found,) = parquet.column(array)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("array", "dtype", "value"),
    [
        (pa.array([[1, 2]], pa.list_(pa.uint8())), "uint8", [1, 2]),
        (pa.array([[1.5, None]]), "float32", [1.5, None]),
        (pa.array([[1.0, 2.0]], pa.list_(pa.float64(), 2)), "float32", [1, 2]),
        (pa.array([[[1, 2], [3, 4]]]), "int64", [[1, 2], [3, 4]]),
        (pa.array([["a", "b"]]), "object", [b"a", b"b"]),
        (pa.array([[]], pa.large_list(pa.int32())), "int32", []),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_lists_become_arrays(parquet, array, dtype, value):
    (found,) = parquet.column(array)
    assert found.dtype == dtype
    assert [None if one != one else one for one in found.tolist()] == value


def test_arrays_get_the_type_and_the_shape_that_are_given(parquet):
    given = {"x": FeatureConfig(dtype="float32", shape=(2, 2))}
    first, _ = parquet.column(pa.array([[1, 2, 3, 4]] * 2, pa.list_(pa.uint8())), features=given)
    assert first.dtype == np.float32
    assert first.tolist() == [[1, 2], [3, 4]]
    assert parquet.source(features=given).features["x"] == FeatureSpec(
        "float32", (2, 2), encoding="raw"
    )


@pytest.mark.parametrize("bad", [None, [1, None], [[1], [2, 3]]])
def test_a_row_without_an_array_is_named(parquet, bad):
    values = [[[1], [2]], bad] if bad and isinstance(bad[0], list) else [[1, 2], bad]
    found = parquet.found({"x": values})
    assert not isinstance(found[0].example, DataError)
    assert "a.parquet, row 2" in str(found[1].example)


def test_structs_are_flattened_and_what_can_not_be_read_is_left_out_and_told(parquet):
    table = pa.table(
        {
            "s": [{"a": 1.5, "b": {"c": "x"}}, None],
            "m": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
            "n": pa.nulls(2),
            "__index_level_0__": [0, 1],
        }
    )
    found = parquet.found(table)
    assert found[0].example == {"s.a": np.float32(1.5), "s.b.c": b"x"}
    assert np.isnan(found[1].example["s.a"])
    assert "m (map<string, int64" in parquet.said[0]


def test_missing_values_are_nan_empty_or_errors_as_in_csv(parquet):
    table = {"f": [1.5, None], "s": ["x", None], "i": pa.array([1, None], pa.int64())}
    assert "row 2: the column 'i' has no value" in str(parquet.found(table)[1].example)
    second = parquet.found(table, missing={"i": -1})[1].example
    assert (second["i"], second["s"]) == (-1, b"")
    assert np.isnan(second["f"])
    assert len(parquet.found(table, missing={"*": "drop"})) == 1


def test_columns_are_gathered_as_in_csv(parquet):
    table = {f"p{n}": [float(n), 0.0] for n in (10, 9, 1)} | {"label": ["a", "b"]}
    found = parquet.found(table, vectors={"x": "p*"}, label="label")
    assert found[0].example["x"].tolist() == [1, 9, 10]
    many = {f"f{n}": [float(n)] for n in range(40)} | {"label": [1]}
    assert parquet.found(many, label="label")[0].example["features"].shape == (40,)


def test_a_value_that_its_type_does_not_hold_is_named(parquet):
    found = parquet.found({"x": pa.array([1, 2**63, 2], pa.uint64())})
    assert [isinstance(one.example, DataError) for one in found] == [False, True, False]
    assert "a.parquet, row 2: the value of the column 'x' is no int64" in str(found[1].example)


def _png(color: int = 0) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (3, 2), (color, color, color)).save(target, "PNG")
    return target.getvalue()


def test_images_as_hugging_face_stores_them_are_decoded(parquet):
    images = [{"bytes": _png(9), "path": None}, {"bytes": b"bad", "path": "x.png"}, None]
    found = parquet.found({"image": images, "label": [0, 1, 1]})
    assert found[0].example["image"].shape == (2, 3, 3)
    assert found[0].example["image"].max() == 9
    assert found[0].original_shapes == {"image": (2, 3, 3)}
    assert "a.parquet, row 2 is no image" in str(found[1].example)
    assert isinstance(found[2].example, DataError)


def test_bytes_are_images_where_the_recipe_says_so(parquet):
    given = {"x": FeatureConfig(dtype="uint8", shape=(None, None, 3), encoding="image")}
    assert parquet.column([_png(3)], features=given)[0].shape == (2, 3, 3)
    kept = {"features": given, "image": ImageOptions(store="encoded")}
    assert parquet.column([_png(3)], **kept) == [_png(3)]
    assert parquet.source(**kept).features["x"].encoding == "image"
    parquet.write({"x": [1.5]})
    with pytest.raises(ConfigError, match="said to be an image"):
        parquet.source(features=given)


def test_class_names_that_hugging_face_wrote_are_the_labels(parquet):
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "x": {"_type": "Value"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write(pa.table({"x": [1.5], "label": [1]}).replace_schema_metadata(metadata))
    assert parquet.source(label="label").class_names == {"label": ("cat", "dog")}
    assert parquet.source().class_names == {}


def test_pieces_are_row_groups_small_ones_together(parquet, monkeypatch):
    parquet.write({"x": [float(n) for n in range(100)]}, rows=10)
    assert [piece.name for piece in parquet.source().pieces()] == ["a.parquet"]
    (whole,) = parquet.source().pieces()
    monkeypatch.setattr(parquet_source, "_PIECE_BYTES", whole.size_bytes // 4)
    monkeypatch.setattr(parquet_file, "_MOST_ROWS", 3)
    source = parquet.source()
    pieces = source.pieces()
    assert pieces[1].name == "a.parquet, row groups 2 to 3"
    found = [one for piece in pieces for one in source.examples(piece)]
    assert [one.example["x"] for one in found] == list(range(100))
    assert [one.where for one in found][-1] == "a.parquet, row 100"


def test_files_agree_by_the_names_of_their_columns(parquet):
    parquet.write({"x": [1.5], "y": ["a"]}, "1.parquet")
    parquet.write({"y": ["b"], "x": [2]}, "2.parquet")
    found = parquet.found(location="*.parquet")
    assert found[1].example == {"x": 2.0, "y": b"b"}
    parquet.write({"x": ["text"], "y": ["c"]}, "3.parquet")
    assert "3.parquet, row 1: the value of the column 'x' is no float32" in str(
        parquet.found(location="*.parquet")[2].example
    )
    parquet.write({"x": [1.5], "z": ["a"]}, "4.parquet")
    with pytest.raises(DataError, match=r"4.parquet lacks the column 'y' and has the column 'z'"):
        parquet.source("*.parquet").pieces()


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"no parquet at all", None])
def test_a_file_that_is_no_parquet_is_named(parquet, damage):
    path = parquet.write({"x": [1.5]})
    path.write_bytes(path.read_bytes()[:-9] if damage is None else damage)
    with pytest.raises(DataError, match=r"a.parquet: this is no Parquet, or damaged"):
        parquet.source()


@pytest.mark.parametrize("checksums", [False, True])
def test_a_damaged_row_group_is_named(parquet, checksums):
    values = pa.array(np.random.default_rng(0).normal(size=4000))
    how = {"compression": "none" if checksums else "snappy", "use_dictionary": False}
    path = parquet.write({"x": values}, rows=1000, write_page_checksum=checksums, **how)
    data = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(2).column(0).data_page_offset
    for place in range(start + 40, start + 400):
        data[place] ^= 0x5A
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"a.parquet, row group 2: this is no Parquet, or damaged"):
        parquet.found()


def test_a_large_row_group_is_read_in_batches(parquet):
    parquet.write({"x": pa.array(["x" * 1000] * 40_000)}, rows=40_000, use_dictionary=False)
    source = parquet.source()
    (piece,) = source.pieces()
    before = pa.total_allocated_bytes()
    most = max(pa.total_allocated_bytes() for _ in source.examples(piece))
    assert most - before < 25_000_000


def test_a_column_of_a_type_that_is_not_read_is_refused_where_it_is_named(parquet):
    parquet.write({"m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), "x": [1]})
    with pytest.raises(DataError, match=r"'m' is of a type that is not read\.\n.*map<"):
        parquet.source(columns=("m",))
    with pytest.raises(ConfigError, match=r"parquet\.missing names a column that is not there"):
        parquet.source(missing={"y": 0})
