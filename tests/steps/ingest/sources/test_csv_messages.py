"""Files that are meant otherwise than they look are told, and nothing is lost in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.sources.csv_options import CsvOptions
from mlflow_tfconv.steps.ingest.sources.csv_source import CsvSource

Read = Callable[..., tuple[list[dict[str, Any]], str]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The rows of a file, and what was said of it."""

    def read(text: str, label: str | None = None, **options: Any) -> tuple[list[Any], str]:
        (tmp_path / "a.csv").write_text(text)
        said: list[str] = []
        config = IngestConfig(using="csv", location="a.csv", label=label, csv=CsvOptions(**options))
        source = CsvSource.open(config, tmp_path, lambda event: said.append(event.text))
        found = [one.example for piece in source.pieces() for one in source.examples(piece)]
        for example in found:
            if isinstance(example, DataError):
                raise example
        return [dict(example) for example in found], "\n".join(said)

    return read


@pytest.mark.parametrize(
    "text", ["150,2,a,b\n1.5,2,0\n2.5,3,1\n", "a,b\n1,2,\n3,4,\n", 'a,b\n"open,1\nx,2\ny,3\n']
)
def test_a_header_that_fits_no_row_is_told_with_the_first_row(read: Read, text: str) -> None:
    with pytest.raises(DataError, match=r"No row fits .*line 2 \(row 1\)|looks like a row"):
        read(text)


@pytest.mark.parametrize(
    "line", ["5.1,3.5,1.4,0.2,Iris-setosa", "0,0,0", "59,2,32.1,101", "-1,5,2"]
)
def test_a_row_in_the_place_of_the_header_is_no_header(read: Read, line: str) -> None:
    with pytest.raises(DataError, match=r"the first line looks like a row(.|\n)*header: false"):
        read(f"{line}\n{line}\n")
    assert len(read(f"{line}\n{line}\n", header=False)[0]) == 2


@pytest.mark.parametrize(
    "line", ["0,1,2", ",0,1,2", "name,2019,2020", "400.5,401,1000", "9,8,7,6,5,4,3,2,1"]
)
def test_numbers_that_count_something_are_names(read: Read, line: str) -> None:
    row = ",".join("5" for _ in line.split(","))
    assert len(read(f"{line}\n{row}\n")[0]) == 1


def test_integers_too_large_for_any_type_are_text(read: Read) -> None:
    rows, said = read("id,x\n18446744073709551616,1\n18446744073709551617,2\n")
    assert [row["id"] for row in rows] == [b"18446744073709551616", b"18446744073709551617"]
    assert "too large for an int64: id (such as '18446744073709551616')" in said


def test_numbers_with_commas_are_pointed_out(read: Read) -> None:
    text = "a;b\n0,5;x\n1,25;y\n"
    rows, said = read(text)
    assert rows[0]["a"] == b"0,5"
    assert "because of commas in numbers: a (such as '0,5')" in said
    assert read(text, decimal=",")[0][1]["a"] == 1.25
    assert "1,234" in read('a,b\n"1,234",x\n"5,678",y\n')[1]


def test_zeros_before_other_digits_are_pointed_out(read: Read) -> None:
    rows, said = read("zip,x\n00123,1\n90210,2\n")
    assert rows[0]["zip"] == 123
    assert "begin with 0 lose it: zip" in said
    rows, said = read("zip,x\n00123,1\n90210,2\n", types={"zip": "string"})
    assert rows[0]["zip"] == b"00123"
    assert "begin with 0" not in said


def test_classes_written_as_decimals_can_be_integers(read: Read) -> None:
    text = "a,y\n1,0.0\n2,1.0\n"
    assert "The label is a float, although its values are whole: y" in read(text, "y")[1]
    rows, _ = read(text, "y", types={"y": "int64"})
    assert [row["y"] for row in rows] == [0, 1]
    with pytest.raises(DataError, match="is no int64"):
        read("a,y\n1,0.5\n", "y", types={"y": "int64"})


def test_yes_and_no_are_truth_values_where_they_are_asked_for(read: Read) -> None:
    text = "a,b\nyes,T\nNo,f\n"
    assert read(text)[0][0] == {"a": b"yes", "b": b"T"}
    rows, _ = read(text, types={"a": "bool", "b": "bool"})
    assert [(bool(row["a"]), bool(row["b"])) for row in rows] == [(True, True), (False, False)]


def test_text_after_a_closing_quote_is_pointed_out(read: Read) -> None:
    text = "text\tlabel\n" + '"so it goes\tpos\n' * 4
    _, said = read(text, delimiter="\t")
    assert "a.csv, line 3: a quote is closed, and more text follows it" in said
    rows, said = read(text, delimiter="\t", quote=None)
    assert len(rows) == 4
    assert "quote" not in said


def test_a_file_with_another_delimiter_has_one_column(read: Read) -> None:
    assert "There is only one column, 'a b c'" in read("a b c\n1 2 3\n")[1]
    assert "one column" not in read("text\nhello world\n")[1]


def test_patterns_say_types_and_fills(read: Read) -> None:
    text = "p1,p2,q\n1,,\n2,3,4\n"
    options = {"types": {"p*": "int64"}, "missing": {"p*": 7, "*": 9}}
    rows, _ = read(text, **options)
    assert rows[0] == {"p1": 1, "p2": 7, "q": 9}


@pytest.mark.parametrize("option", ["types", "missing"])
def test_a_column_that_is_not_there_is_refused(read: Read, option: str) -> None:
    with pytest.raises(ConfigError, match=f"csv.{option} names a column that is not there"):
        read("a,b\n1,2\n", **{option: {"aa": "int64" if option == "types" else 0}})


def test_the_types_of_many_columns_are_told_in_short(read: Read) -> None:
    names = [f"p{n}" for n in range(200)]
    _, said = read(",".join(["name", *names]) + "\n" + ",".join(["x", *"1" * 200]) + "\n")
    assert "  p0 to p199 (200 columns): int64, gathered in features" in said
    assert said.count("\n") < 5


def test_a_label_without_a_value_is_an_error_and_not_nan(read: Read) -> None:
    with pytest.raises(DataError, match="'y' has no value"):
        read("a,y\n1,0.5\n2,\n", "y")


def test_rows_that_are_dropped_are_told(read: Read) -> None:
    rows, said = read("a,b\n1,x\n,y\n3,z\n4,w\n", missing={"a": "drop"})
    assert len(rows) == 3
    assert "Rows without a value are left out, as `csv.missing` says: a (25.0%)" in said
