"""Models as strangers make them: each ends in numbers or in words of its own, and fails no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_of_many_kinds import BROKEN, MEASURED

import mlflow_tfconv as tfconv
from mlflow_tfconv.artifacts import VariantReport
from mlflow_tfconv.errors import TfconvError
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.memory_options import MemoryOptions
from mlflow_tfconv.steps.benchmark.step import benchmark

Rows = Mapping[str, VariantReport]
_QUICK = BenchmarkConfig(
    batch_sizes=(1, 3),
    min_time_s=0.002,
    min_count=3,
    blocks=1,
    retries=0,
    warmup_time_s=0.0,
    warmup_limit_s=0.005,
    time_limit_s=120,  # TensorFlow starts slowly on a busy machine
    profile=False,
    memory=MemoryOptions(estimate=False),
)
_FULL = dataclasses.replace(_QUICK, profile=True, memory=MemoryOptions())
#: Types that numpy lacks can't be made up.
_NO_VALUES = {"bfloat16", "float8"}
_FEW = (
    *("strings", "varying", "table_input", "sequence", "maps", "no_inputs", "fixed_batch"),
    *("unicode", "dots", "keywords", "long_name", "bfloat16"),
)
_FEW_BROKEN = ("crash", "int4", "new_opset", "truncated", "own_operation", "huge")


def made(folder: Path, names: Any, makers: Mapping[str, Callable[[Path], Path]]) -> dict[str, Path]:
    return {name: makers[name](folder / f"{name}.onnx") for name in names}


def rows_of(models: Mapping[str, Any], config: BenchmarkConfig = _QUICK, **asked: Any) -> Rows:
    rows = benchmark(models, config=config, **asked).reports.rows
    return {row.run_name.partition("/")[0]: row for row in rows}


def require_right(rows: Rows) -> None:
    """Every one has a latency, or fails in the words that belong to it."""
    for name, row in rows.items():
        if name in BROKEN:
            assert BROKEN[name][1] in (row.failure or ""), name
        elif name in _NO_VALUES:
            assert "numpy lacks it" in (row.failure or ""), name
        else:
            assert row.failure is None, name
            assert any(metric.startswith("latency/p50_ms") for metric in row.metrics), name


@pytest.fixture
def makers() -> dict[str, Callable[[Path], Path]]:
    return {**MEASURED, **{name: make for name, (make, _) in BROKEN.items()}}


def test_each_stranger_ends_in_a_result_of_its_own(tmp_path: Path, makers: Any) -> None:
    require_right(rows_of(made(tmp_path, (*_FEW, *_FEW_BROKEN), makers)))


@pytest.mark.slow
def test_all_strangers_end_in_results_of_their_own(tmp_path: Path, makers: Any) -> None:
    require_right(rows_of(made(tmp_path, makers, makers), _FULL))


@pytest.mark.parametrize("name", MEASURED)
def test_memory_of_strangers_is_estimated_or_it_is_said_why_not(tmp_path: Path, name: str) -> None:
    model = MEASURED[name](tmp_path / "m.onnx")
    with suppress(TfconvError):  # anything else would have no words for a user
        assert tfconv.estimate_memory(model, batch_sizes=1).peak_mb(1) >= 0


def test_outputs_that_are_not_one_row_an_example_are_not_judged(
    tmp_path: Path, makers: Any
) -> None:
    names = ("dense", "scalar_output", "nonzero", "maps", "empty_output")
    samples = {"x": np.random.default_rng(0).random((10, 4), np.float32)}
    rows = rows_of(made(tmp_path, names, makers), samples=samples, labels=np.arange(10) % 3)
    assert "quality/accuracy" in rows["dense"].metrics
    for name in names[1:]:
        assert "latency/p50_ms" in rows[name].metrics
        assert any("can't be judged" in note for note in rows[name].notes), name


@pytest.mark.slow
def test_saved_models_and_keras_files_of_strangers_end_in_results_too(tmp_path: Path) -> None:
    from saved_models_of_many_kinds import BROKEN as BROKEN_FOLDERS
    from saved_models_of_many_kinds import MEASURED as FOLDERS

    folders = {**FOLDERS, **{name: make for name, (make, _) in BROKEN_FOLDERS.items()}}
    rows = rows_of({name: make(tmp_path / name) for name, make in folders.items()}, _FULL)
    for name, row in rows.items():
        if name in FOLDERS:
            assert "latency/p50_ms" in row.metrics, row.failure
        else:
            assert BROKEN_FOLDERS[name][1] in (row.failure or ""), name
