"""Models whose weights lie beside the ONNX file: read, written, counted and replaced whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import mlflow_tfconv as tfconv
from mlflow_tfconv.arguments import settings
from mlflow_tfconv.artifacts import ConvertedModel
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import CompressionError, ConfigError, ConversionError
from mlflow_tfconv.formats.model_files import model_bytes
from mlflow_tfconv.steps.compress.audit import audit
from mlflow_tfconv.steps.compress.config import CompressConfig, VariantConfig
from mlflow_tfconv.steps.compress.step import CompressStep

ROUTES: dict[str, dict[str, Any]] = {
    "static": {"quantize": "static_int8"},
    "dynamic": {"quantize": "dynamic_int8"},
    "float16": {"quantize": "float16"},
    "pruned": {"prune": {"sparsity": 0.75, "epochs": 0}},
    "both": {"prune": {"sparsity": 0.75, "epochs": 0}, "quantize": "float16"},
}


@pytest.fixture
def parted(onnx_file: Path, tmp_path: Path) -> Path:
    """The network with each weight in a file of its own."""
    path = tmp_path / "parted" / "model.onnx"
    path.parent.mkdir()
    onnx.save_model(
        onnx.load(onnx_file),
        path,
        save_as_external_data=True,
        all_tensors_to_one_file=False,
        size_threshold=200,  # ONNX Runtime wants shapes in the file itself
    )
    return path


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is a few kilobytes."""
    monkeypatch.setattr("mlflow_tfconv.exporters.save_onnx._LARGEST_SINGLE_FILE", 3000)


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_reads_external_data(
    route: str, parted: Path, onnx_file: Path, batches: Any, tmp_path: Path
) -> None:
    calls = {"calibration": batches, **ROUTES[route]}
    whole = tfconv.compress(onnx_file, tmp_path / "whole.onnx", **calls)
    variant = tfconv.compress(parted, tmp_path / "variant.onnx", **calls)
    sizes = {"size_bytes": 0, "compressed_bytes": 0}  # some bytes say where weights lie
    assert replace(variant.audit, **sizes) == replace(whole.audit, **sizes)
    assert tfconv.check_parity(whole.path, variant.path, samples=batches).max_abs_error == 0


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_writes_external_data_where_it_has_to(
    route: str, parted: Path, batches: Any, tmp_path: Path, small_limit: None
) -> None:
    output = tmp_path / "out" / "small.onnx"
    for _ in range(2):
        variant = tfconv.compress(parted, output, calibration=batches, **ROUTES[route])
    assert {file.name for file in output.parent.iterdir()} == {"small.onnx", "small.onnx.data"}
    onnx.load(output)  # which refuses data that are links
    assert variant.audit is not None
    assert variant.audit.size_bytes == model_bytes(output) > output.stat().st_size
    assert variant.audit.compressed_bytes > output.stat().st_size / 2
    assert tfconv.check_parity(output, output, samples=batches).passed


def test_one_file_takes_the_place_of_two(
    parted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("mlflow_tfconv.exporters.save_onnx._LARGEST_SINGLE_FILE", 3000)
        tfconv.compress(parted, tmp_path / "half.onnx", quantize="float16")
    assert (tmp_path / "half.onnx.data").is_file()
    tfconv.compress(parted, tmp_path / "half.onnx", quantize="float16")
    assert not (tmp_path / "half.onnx.data").exists()
    onnx.load(tmp_path / "half.onnx")


def test_a_recipe_s_variants_keep_their_data(
    parted: Path, converted: ConvertedModel, tmp_path: Path, small_limit: None
) -> None:
    asked = [{"name": name, **ROUTES[name]} for name in ("float16", "pruned", "dynamic")]
    config = CompressConfig(variants=tuple(settings(VariantConfig, one) for one in asked))
    work = tmp_path / "work"
    work.mkdir()
    model = replace(converted, onnx=parted)
    for number in range(2):  # the second time from what the first has kept
        step = CompressStep(config)
        folder = work / str(number)
        folder.mkdir()
        variants = step.run(model, folder, StepContext()).output.variants
    base, *others = (v for v in variants if v.format == "onnx")
    assert base.path == parted
    assert base.audit.size_bytes == model_bytes(parted)
    for variant in others:
        onnx.load(variant.path)
        assert variant.audit.size_bytes == model_bytes(variant.path) > variant.path.stat().st_size
    assert len({variant.fingerprint for variant in (base, *others)}) == 4


def test_the_audit_counts_weights_wherever_they_lie(onnx_file: Path, parted: Path) -> None:
    one, several = audit(onnx_file, "onnx"), audit(parted, "onnx")
    assert several.weights_bytes == one.weights_bytes
    assert several.size_bytes == model_bytes(parted) >= sum(one.weights_bytes.values())
    assert several.float_nodes == one.float_nodes


def test_a_model_is_not_written_over_its_own_data(parted: Path, tmp_path: Path) -> None:
    model = onnx.load(parted)
    source = tmp_path / "source.onnx"
    onnx.save_model(
        model, source, save_as_external_data=True, location="out.onnx.data", size_threshold=0
    )
    before = (tmp_path / "out.onnx.data").read_bytes()
    with pytest.raises(ConfigError, match=r"out\.onnx\.data belongs to the model"):
        tfconv.compress(source, tmp_path / "out.onnx", quantize="float16")
    assert (tmp_path / "out.onnx.data").read_bytes() == before


def test_lost_data_are_one_clear_error(parted: Path, tmp_path: Path) -> None:
    data = next(file for file in sorted(parted.parent.iterdir()) if file != parted)
    data.unlink()
    with pytest.raises(ConversionError, match="lost its external data") as caught:
        tfconv.compress(parted, tmp_path / "out.onnx", quantize="float16")
    assert data.name in str(caught.value)


def test_what_can_not_be_written_is_one_clear_error(
    parted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise ValueError("The proto size is larger than the 2 GB limit.")

    monkeypatch.setattr("mlflow_tfconv.exporters.save_onnx.onnx.save", refuses)
    with pytest.raises(CompressionError, match="too large for an ONNX file"):
        tfconv.compress(parted, tmp_path / "out.onnx", quantize="float16")


def test_other_weights_of_the_same_size_are_another_model(parted: Path) -> None:
    from mlflow_tfconv.engine.digests import Digests

    before = Digests().of(parted)
    data = max(parted.parent.iterdir(), key=lambda file: file.stat().st_size * (file != parted))
    data.write_bytes(np.random.default_rng(0).bytes(data.stat().st_size))
    assert Digests().of(parted) != before
