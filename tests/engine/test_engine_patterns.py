from __future__ import annotations

import pytest

from mlflow_tfconv.engine.digests import Digests
from mlflow_tfconv.engine.patterns import fitting, fixed_part, is_pattern


@pytest.fixture
def folder(tmp_path):
    """A folder whose own name looks like a pattern."""
    data = tmp_path / "data [x]"
    data.mkdir()
    for name in ("a.csv", "b.csv", "[ab].txt"):
        (data / name).write_text(name)
    return data


def test_a_pattern_starts_from_what_exists(folder):
    assert fixed_part(folder / "*.csv") == folder
    assert is_pattern(folder / "[ab].csv")
    assert not is_pattern(folder / "[ab].txt")
    assert fitting(folder / "[ab].csv") == (folder / "a.csv", folder / "b.csv")
    assert not is_pattern(folder / "none.csv")


def test_the_content_of_a_pattern_is_that_of_the_files_it_fits(folder):
    before = Digests().of(folder / "*.csv")
    (folder / "other.txt").write_text("more")
    assert Digests().of(folder / "*.csv") == before
    (folder / "c.csv").write_text("more")
    assert Digests().of(folder / "*.csv") != before


def test_a_pattern_of_folders_has_the_content_of_their_files(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "x.csv").write_text("x")
    before = Digests().of(folder / "su*")
    (folder / "sub" / "x.csv").write_text("y")
    assert None is not before != Digests().of(folder / "su*")
    assert Digests().of(folder / "*.none") is None
