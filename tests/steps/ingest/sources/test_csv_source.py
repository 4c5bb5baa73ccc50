from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import FeatureConfig, IngestConfig
from mlflow_tfconv.steps.ingest.sources import csv_rows, csv_spans
from mlflow_tfconv.steps.ingest.sources.csv_options import CsvOptions
from mlflow_tfconv.steps.ingest.sources.csv_source import CsvSource

_OPTIONS = set(CsvOptions.__dataclass_fields__)


class Csv:
    """Files of a folder, read as a source."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said: list[str] = []

    def write(self, content: str | bytes, name: str = "a.csv") -> None:
        data = content if isinstance(content, bytes) else content.encode()
        (self.root / name).write_bytes(data)

    def source(self, location: str = "a.csv", **config: Any) -> CsvSource:
        options = {name: config.pop(name) for name in list(config) if name in _OPTIONS}
        asked = IngestConfig(using="csv", location=location, csv=CsvOptions(**options), **config)
        return CsvSource.open(asked, self.root, lambda event: self.said.append(event.text))

    def found(self, content: str | bytes | None = None, **config: Any) -> list[Any]:
        if content is not None:
            self.write(content)
        source = self.source(**config)
        sent = pickle.loads(pickle.dumps(source))
        return [found for piece in source.pieces() for found in sent.examples(piece)]

    def rows(self, content: str | bytes | None = None, **config: Any) -> list[dict[str, Any]]:
        return [dict(found.example) for found in self.found(content, **config)]

    def errors(self, content: str | bytes, **config: Any) -> list[str]:
        found = self.found(content, **config)
        return [str(one.example) for one in found if isinstance(one.example, DataError)]


@pytest.fixture
def csv(tmp_path: Path) -> Csv:
    return Csv(tmp_path)


@pytest.fixture(params=[64, 2**20], ids=["small blocks", "a block"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "_BLOCK_BYTES", request.param)


def test_types_are_inferred_and_said_in_a_form_that_recipe_yaml_takes(csv):
    text = "i,f,b,s,label\n1,1.5,true,x,cat\n-2,2,FALSE,7 up,dog\n"
    rows = csv.rows(text, label="label")
    assert rows[1] == {"i": -2, "f": 2.0, "b": False, "s": b"7 up", "label": b"dog"}
    assert [type(value).__name__ for value in rows[0].values()] == [
        *("int64", "float32", "bool", "bytes", "bytes"),
    ]
    said = yaml.safe_load(csv.said[0].split(":\n", 1)[1])
    assert csv.rows(text, label="label", types=said["csv"]["types"]) == rows
    assert len(csv.said) == 1  # nothing is left to infer


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_quoted_line_breaks_delimiters_and_quotes_are_parts_of_values(csv, end, last):
    values = ["plain", f"two{end}lines", 'he said ""hi""', "a,b", "üñ", f"x{end}{end}y"] * 20
    lines = [f'{number},"{value}",{number}' for number, value in enumerate(values)]
    text = end.join(["a,b,c", *lines]) + end * last
    rows = csv.rows(text.encode())
    assert [row["b"].decode() for row in rows] == [v.replace('""', '"') for v in values]
    assert [row["c"] for row in rows] == list(range(len(values)))


@pytest.mark.usefixtures("blocks")
def test_every_unfit_row_is_named_by_line_and_row_and_the_others_are_read(csv):
    good = "\n".join(f'{n},"x"' for n in range(40))
    text = f'a,b\n{good}\n1,"l\nl"\n\nbad,y\n2\n3,y,z\n4,y\n'
    found = csv.found(text, sample_rows=5)
    errors = [f"{one.example}" for one in found if isinstance(one.example, DataError)]
    assert [one.where for one in found if isinstance(one.example, DataError)] == [
        *("a.csv, line 45 (row 43)", "a.csv, line 46 (row 44)", "a.csv, line 47 (row 45)"),
    ]
    assert "the value of the column 'a' is no int64" in errors[0]
    assert "Received: 'bad'" in errors[0]
    assert "types: {a: string}" in errors[0]
    assert "on_error: skip" in errors[0]
    assert "1 values for 2 columns" in errors[1]
    assert "3 values for 2 columns" in errors[2]
    assert len(found) == 40 + 1 + 3 + 1
    assert found[-1].example == {"a": 4, "b": b"y"}


def test_a_few_odd_values_among_numbers_are_mistakes_and_many_make_text(csv):
    numbers = "".join(f"{n}\n" for n in range(30))
    errors = csv.errors(f"a\n{numbers}oops\n")
    assert "a.csv, line 32 (row 31): the value of the column 'a' is no int64" in errors[0]
    assert "a (1 of 31 values, such as 'oops')" in csv.said[1]
    assert csv.rows(f"a\n{numbers}12b\n7c\n")[0] == {"a": b"0"}
    assert csv.rows(f"a\n{numbers}12b\n", types={"a": "string"})[-1] == {"a": b"12b"}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_are_known_by_their_content(csv, pack):
    csv.write(pack(b"a,b\n1,x\n") + pack(b"2,y\n"), "data.csv.gz")
    assert csv.rows(location="data.csv.gz")[1] == {"a": 2, "b": b"y"}


@pytest.mark.parametrize("cut", [-4, -20, 30])
def test_a_compressed_file_that_is_cut_off_is_damaged(csv, cut):
    text = "a\n" + "".join(f"{n}\n" for n in range(1000))
    csv.write(gzip.compress(text.encode())[:cut], "a.csv.gz")
    with pytest.raises(DataError, match=r"a.csv.gz is damaged: it can't be decompressed"):
        csv.found(location="a.csv.gz")


def test_encodings_and_byte_order_marks(csv):
    for encoding in ("latin-1", "cp1252", "utf-16", "utf-8", "utf-8-sig", "shift_jis"):
        word = "日本" if encoding == "shift_jis" else "é"
        rows = csv.rows(f"n,{word}\n1,{word}\n".encode(encoding), encoding=encoding)
        assert rows == [{"n": 1, word: word.encode()}]
    assert csv.rows(b"\xef\xbb\xbfa\n1\n") == [{"a": 1}]


def test_text_of_another_encoding_names_the_row_and_says_how_to_tell_it(csv):
    found = csv.found("a,b\n1,x\n2,caf\xe9\n3,y\n".encode("latin-1"))
    assert [isinstance(one.example, DataError) for one in found] == [False, True, False]
    assert "a.csv, line 3 (row 2), column 'b': this is no UTF-8" in str(found[1].example)
    assert "encoding: latin-1" in str(found[1].example)
    with pytest.raises(DataError, match=r"a.csv is UTF-16"):
        csv.found("a,b\n1,x\n".encode("utf-16"))


@pytest.mark.parametrize(
    ("text", "options", "row"),
    [
        ("a;b\n1,5;2\n", {"decimal": ","}, {"a": 1.5, "b": 2}),
        ("a|b\n1|2\n", {}, {"a": 1, "b": 2}),
        ("a\tb\n1\t2\n", {}, {"a": 1, "b": 2}),
        ("a^b\n1^2\n", {"delimiter": "^"}, {"a": 1, "b": 2}),
        ("'a';b\n'1;0';2\n", {"quote": "'"}, {"a": b"1;0", "b": 2}),
        ('a,b\n5" pipe,"x\n', {"quote": None}, {"a": b'5" pipe', "b": b'"x'}),
        ("a,b\n1\\,0,2\n", {"escape": "\\"}, {"a": b"1,0", "b": 2}),
        ("# made\n\na,b\n1,2\n", {"skip_lines": 1}, {"a": 1, "b": 2}),
        ("1,2\n", {"header": False}, {"column_1": 1, "column_2": 2}),
        ("1,2\n", {"header": False, "column_names": ("x", "y")}, {"x": 1, "y": 2}),
        ("a,a\n1,2\n", {"column_names": ("x", "y")}, {"x": 1, "y": 2}),
        (",a\n0,1\n", {}, {"a": 1}),
        (" a , b\n1,2\n", {}, {"a": 1, "b": 2}),
        ("a,b,c\n1,2,3\n", {"columns": ("c", "a")}, {"a": 1, "c": 3}),
        ("a,b,c\n1,2,3\n", {"ignore": ("b*",)}, {"a": 1, "c": 3}),
        ("a,b\n1,x\n", {"types": {"a": "string"}}, {"a": b"1", "b": b"x"}),
    ],
)
def test_options_say_how_a_file_is_written(csv, text, options, row):
    assert csv.rows(text, **options) == [row]


def test_times_are_integers_where_they_are_asked_for(csv):
    text = "t\n1970-01-02\n1970-01-01T00:00:01.5\n1970-01-01 00:00:02\n1970-01-01T02:00:00+02:00\n"
    assert csv.rows(text)[0] == {"t": b"1970-01-02"}
    rows = csv.rows(text, types={"t": "datetime"})
    assert [row["t"] for row in rows] == [86400, 1, 2, 0]
    assert csv.rows(text, types={"t": "datetime"}, time_unit="ms")[1] == {"t": 1500}
    assert "ISO 8601" in csv.errors("t\nyesterday\n", types={"t": "datetime"})[0]


class TestMissing:
    TEXT = "a,f,s,label\n1,1.5,x,p\n,NA,,q\n3,nan,NA,\n"

    def test_floats_are_nan_texts_empty_and_a_label_may_not_be_missing(self, csv):
        found = csv.found(self.TEXT, label="label")
        assert np.isnan([found[1].example["a"], found[1].example["f"]]).all()
        assert found[1].example["s"] == b""
        assert "line 4 (row 3): the column 'label' has no value" in str(found[2].example)
        assert "missing: {label: drop}" in str(found[2].example)
        assert "a (33.3%), f (66.7%)" in csv.said[1]

    def test_integers_may_not_be_missing(self, csv):
        errors = csv.errors(self.TEXT, types={"a": "int64"})
        assert "the column 'a' has no value, which is of type int64" in errors[0]

    def test_large_integers_stay_integers(self, csv):
        found = csv.found("id,x\n1234567890123,1\n,2\n")
        assert found[0].example["id"] == 1234567890123
        assert isinstance(found[1].example, DataError)

    def test_values_take_their_place_or_rows_are_dropped(self, csv):
        rows = csv.rows(self.TEXT, missing={"a": 7, "f": -1.0, "label": "drop", "*": "none"})
        assert rows == [
            {"a": 1, "f": 1.5, "s": b"x", "label": b"p"},
            {"a": 7, "f": -1, "s": b"none", "label": b"q"},
        ]

    def test_an_unfit_value_is_refused(self, csv):
        with pytest.raises(DataError, match="unfit value for the column 'a'"):
            csv.found(self.TEXT, missing={"a": "zero"})

    def test_rows_without_any_value_are_no_examples(self, csv):
        assert [row["a"] for row in csv.rows("a,b\n1,x\n\n,\n2,y\n\n\n")] == [1, 2]

    def test_columns_without_a_value_are_left_out_and_told(self, csv):
        assert csv.rows("a,b\n1,\n2,\n") == [{"a": 1}, {"a": 2}]
        assert "Left out, as they have no value in the first rows: b" in csv.said[1]


class TestVectors:
    def test_columns_are_gathered_in_natural_order(self, csv):
        text = "p10,p2,p1,q,label\n10,2,1,8,a\n30,3,,9,b\n"
        rows = csv.rows(text, vectors={"x": "p*"}, label="label")
        assert rows[0]["x"].dtype == np.float32
        assert rows[0]["x"].tolist() == [1, 2, 10]
        assert rows[1]["x"].tolist()[1:] == [3, 30]
        assert np.isnan(rows[1]["x"][0])
        assert rows[0]["q"] == 8

    def test_named_columns_keep_the_order_given(self, csv):
        rows = csv.rows("a,b,c\n1,2,3\n", vectors={"x": ("c", "a"), "y": ("b",)})
        assert {name: value.tolist() for name, value in rows[0].items()} == {"x": [3, 1], "y": [2]}

    def test_many_numeric_columns_are_gathered_by_themselves(self, csv):
        names = [f"f{n}" for n in range(40)]
        text = f"{','.join(names)},label\n{','.join(map(str, range(40)))},3\n"
        rows = csv.rows(text, label="label")
        assert rows[0]["features"].tolist() == list(range(40))
        assert rows[0]["label"] == 3
        features = csv.source(label="label").features
        assert features["features"] == FeatureSpec("float32", (40,), encoding="raw")
        assert len(csv.rows(text, vectors={})[0]) == 41

    @pytest.mark.parametrize("dtype", ["uint8", "float64", "bool", "int64", "float16"])
    def test_their_type_is_given(self, csv, dtype):
        given = {"x": FeatureConfig(dtype=dtype), "b": FeatureConfig(dtype="int64")}
        rows = csv.rows("a,b,c\n1,5,0\n", vectors={"x": ("a", "c")}, features=given)
        assert rows[0]["x"].dtype == dtype
        assert rows[0]["x"].tolist() == [1, 0]

    def test_a_value_out_of_range_is_named(self, csv):
        given = {"x": FeatureConfig(dtype="uint8")}
        errors = csv.errors("a,b\n1,2\n3,256\n", vectors={"x": ("a", "b")}, features=given)
        assert "a.csv, line 3 (row 2): the value of the column 'b' does not fit" in errors[0]

    def test_text_can_not_be_gathered(self, csv):
        csv.write("a,b\n1,x\n")
        with pytest.raises(ConfigError, match="can't be gathered"):
            csv.source(vectors={"x": ("a", "b")})


def test_files_may_have_their_columns_in_another_order(csv):
    csv.write("a,b\n1,x\n", "1.csv")
    csv.write("b;a\ny;2\n", "2.csv")
    csv.write("", "3.csv")
    assert csv.rows(location="*.csv") == [{"a": 1, "b": b"x"}, {"a": 2, "b": b"y"}]


def test_a_file_with_other_columns_is_named(csv):
    csv.write("a,b\n1,x\n", "1.csv")
    csv.write("a,c\n1,x\n", "2.csv")
    with pytest.raises(DataError, match=r"2.csv lacks the column 'b' and has the column 'c'"):
        csv.found(location="*.csv")
    assert csv.rows(location="*.csv", columns=("a",)) == [{"a": 1}, {"a": 1}]


def test_types_are_those_of_all_files_that_were_looked_into(csv):
    for number in range(30):
        csv.write(f"a\n{'1.5' if number == 29 else '1'}\n", f"{number:02}.csv")
    assert csv.source("*.csv").features == {"a": FeatureSpec("float32")}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "are empty"),
        ("\n\n", "are empty"),
        ("a,b", "have no rows"),
        ("a,b\n", "have no rows"),
        ("a,a\n1,2\n", "two columns 'a'"),
        (b"PAR1" * 9, "a Parquet file"),
        (b"PK\x03\x04" * 9, "zip archive"),
    ],
)
def test_what_is_no_csv_is_refused(csv, content, said):
    csv.write(content)
    with pytest.raises(DataError) as e:
        csv.source()
    assert said in str(e.value)


@pytest.mark.parametrize(
    "config",
    [{"label": "lable"}, {"columns": ("lable",)}, {"types": {"lable": "string"}}, {"key": "lable"}],
)
def test_a_column_that_is_not_there_is_named_with_the_nearest(csv, config):
    csv.write("a,label\n1,x\n")
    with pytest.raises((DataError, ConfigError), match="Did you mean 'label'"):
        csv.source(**config)


@pytest.mark.parametrize(
    "text", ['a,b\n1,x\n2,"open\n3,y\n4,z\n', 'a,b\n1,x\n2,"open', 'a\n"x\ny\n']
)
def test_a_quote_that_is_not_closed_is_told_and_not_taken_for_text(csv, text):
    assert "a quote is opened here and not closed" in csv.errors(text)[0]


def test_a_quote_that_is_not_closed_in_the_middle_is_a_row_of_many_lines(csv):
    errors = csv.errors('a,b\n1,x\n"2,x\n3,y\n4,z\n')
    assert "line 3 (row 2): the row has 1 values for 2 columns" in errors[0]
    assert "runs over 3 lines: a quote may not be closed" in errors[0]


def test_a_row_without_an_end_is_told(csv, monkeypatch):
    monkeypatch.setattr(csv_rows, "_BLOCK_BYTES", 32)
    monkeypatch.setattr(csv_rows, "_LARGEST_BLOCK", 32 * 8)
    text = 'a,b\n1,x\n2,"' + "long text, " * 200
    with pytest.raises(DataError, match=r"after line 2 \(row 1\) does not end"):
        csv.found(text, sample_rows=1)


def test_rows_longer_than_a_block_are_read(csv, monkeypatch):
    monkeypatch.setattr(csv_rows, "_BLOCK_BYTES", 32)
    text = "a,b\n" + "".join(f"{n},{'x' * (n * 40)}\n" for n in range(20))
    assert [len(row["b"]) for row in csv.rows(text)] == [n * 40 for n in range(20)]


class TestSpans:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch):
        cut = csv_spans.spans_of
        monkeypatch.setattr(
            "mlflow_tfconv.steps.ingest.sources.csv_source.spans_of",
            lambda file, options: cut(file, options, 100),
        )

    def test_a_long_file_without_quotes_is_read_in_parts_with_the_same_rows(self, csv):
        csv.write("a,b\n" + "".join(f"{n},x\n" if n % 7 else f"{n},\n\n" for n in range(200)))
        pieces = csv.source().pieces()
        whole = csv.found()
        assert len(pieces) > 5
        assert [found.example["a"] for found in whole] == list(range(200))
        assert whole[-1].where == "a.csv, line 230 (row 229)"

    def test_a_file_with_quotes_is_not_cut(self, csv):
        csv.write("a,b\n" + "".join(f"{n},x\n" for n in range(200)) + '1,"a\nb"\n')
        assert len(csv.source().pieces()) == 1


def test_the_same_file_gives_the_same_pieces_and_a_changed_one_others(csv):
    csv.write("a\n1\n")
    before = csv.source().pieces()
    assert csv.source().pieces() == before
    csv.write("a\n22\n")
    assert csv.source().pieces() != before


def test_a_long_file_takes_the_memory_of_a_short_one(csv):
    csv.write("a,b\n" + f"1,{'x' * 2000}\n" * 30_000)
    source = csv.source()
    (piece,) = source.pieces()
    before = pa.total_allocated_bytes()
    most = max(pa.total_allocated_bytes() for _ in source.examples(piece))
    assert most - before < 40_000_000


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ""},
        {"delimiter": ",,"},
        {"quote": "\n"},
        {"encoding": "utf-9"},
        {"column_names": ("a", "a")},
        {"sample_rows": 0},
    ],
)
def test_options_that_can_not_be_are_refused(options):
    with pytest.raises(ConfigError):
        CsvOptions(**options)
