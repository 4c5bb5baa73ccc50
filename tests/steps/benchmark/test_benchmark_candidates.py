"""What is measured has the name that it was given."""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.steps.benchmark.candidates import candidates


def test_a_variant_keeps_its_name_unless_it_is_given_another(tmp_path: Path) -> None:
    variant = Variant(name="int8", format="onnx", path=tmp_path / "m.onnx")
    names = [v.run_name for v in candidates([variant], tmp_path)]
    given = [v.run_name for v in candidates({"new": variant}, tmp_path)]
    assert (names, given) == (["int8/onnx"], ["new/onnx"])


def test_names_that_are_taken_get_a_number(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "m.onnx", tmp_path / "b" / "m.onnx"]
    assert [v.run_name for v in candidates(paths, tmp_path)] == ["m/onnx", "m-2/onnx"]
