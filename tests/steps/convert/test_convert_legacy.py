"""Genuine models of old libraries: both formats must give what those libraries have computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from legacy_cases import LegacyCase, legacy_cases, matched

import mlflow_tfconv as tfconv
from mlflow_tfconv.artifacts import ConvertedModel
from mlflow_tfconv.runtimes.runtime import open_runtime

CASES = legacy_cases()
#: One of each way to read a source; the others are `slow`.
FEW = (
    "k03_tf1_layers_bn_is_training",
    "k08_tf1_frozen_cnn",
    "k11_tf1_checkpoint_v1",
    "k12_tf1_ema_ema",
    "k13_tf1_estimator_model_fn",
    "k14_keras122_theano_th_cnn",
    "k14_keras224_json_lambda",
    "k15_tfkeras23_tfckpt_json",
    "k18_tfkeras23_multi_io_dict",
)


@pytest.mark.parametrize("case", [c for c in CASES if c.name in FEW], ids=lambda case: case.name)
def test_it_becomes_files_that_give_what_the_old_library_gave(
    case: LegacyCase, tmp_path: Path
) -> None:
    converted = tfconv.convert(case.source, tmp_path / "out", **case.arguments)
    check(case, converted)


@pytest.mark.slow
@pytest.mark.own_process
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_so_do_all_of_them_in_guarded_processes(case: LegacyCase, tmp_path: Path) -> None:
    check(case, tfconv.convert(case.source, tmp_path / "out", **case.arguments))


def test_no_case_is_left_out() -> None:
    assert len({case.facts["name"] for case in CASES}) >= 29  # one has its weights elsewhere
    assert {case.name for case in CASES} >= set(FEW)


def check(case: LegacyCase, converted: ConvertedModel) -> None:
    assert converted.parity.passed
    assert converted.source_format
    assert converted.onnx_inputs is None
    for path in (converted.saved_model, converted.onnx):
        with open_runtime(path) as runtime:
            for inputs, outputs in case.expected():
                given = fed(case, converted, inputs)
                names = matched(list(outputs), converted.outputs, case.facts["outputs"])
                found = runtime.predict(given)
                for name, values in outputs.items():
                    np.testing.assert_allclose(found[names[name]], values, **case.tolerance)


def fed(case: LegacyCase, converted: ConvertedModel, inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs by the model's names, in its types; of equivalent ones the one it takes."""
    dtypes = {spec.name: spec.dtype for spec in converted.inputs}
    names = matched(list(inputs), converted.inputs, case.facts["inputs"])
    assert set(names.values()) == set(dtypes)
    return {own: inputs[name].astype(dtypes[own]) for name, own in names.items()}
