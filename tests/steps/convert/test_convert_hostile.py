"""Damaged and hostile files: an error in words, nothing executed, the output as it was."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import mlflow_tfconv as tfconv
from mlflow_tfconv.artifacts import ConvertedModel
from mlflow_tfconv.errors import TfconvError

FOLDER = Path(__file__).parents[2] / "fixtures/hostile"
FACTS = {file.parent.name: json.loads(file.read_text()) for file in FOLDER.glob("*/case.json")}
#: What `says` in case.json comes down to, as a message has it.
WORDS = {
    "c01_bitflip_data": "checksum mismatch",
    "c01_truncated_data": r"\.data file is damaged or cut off",
    "c01_truncated_index": r"\.index file is damaged",
    "c01_truncated_meta": r"\.meta file is damaged",
    "c02_missing_data": r"\.data file is missing",
    "c02_missing_meta": r"cnn\.ckpt\.meta is missing: these are weights without a graph",
    "c03_checkpoint_state_escape": "points outside the folder",
    "c03_meta_missing_variable": r"variable gate .* is not in the checkpoint",
    "c03_meta_other_graph": "variable layer1/w1 .* is not in the checkpoint",
    "c03_two_models_in_folder": r"cnn\.ckpt, model\.ckpt-60\. Which one",
    "c04_h5_bad_config": "model_config is not JSON",
    "c04_h5_missing_layer": "weights of layer 'dense_1' are missing",
    "c04_h5_truncated": "truncated file",
    "c04_h5_weights_only": r"weights only: the architecture \(JSON\) is needed",
    "c04_lfs_pointer": "a Git LFS pointer",
    "c05_h5_external_link": "external link or storage",
    "c05_h5_lambda_py311": "'evil' is a Lambda.*not executed.*lambdas=",
    "c05_h5_lambda_py312": "'evil' is a Lambda.*not executed.*lambdas=",
    "c05_h5_lambda_py36": "'evil' is a Lambda.*not executed.*lambdas=",
    "c05_h5_lambda_py39": "'evil' is a Lambda.*not executed.*lambdas=",
    "c05_json_lambda": "'evil' is a Lambda.*not executed",
    "c05_keras3_lambda": "'evil' is a Lambda.*not executed",
    "c05_savedmodel_writefile_in_path": "refused.*WriteFile",
    "c05_savedmodel_writefile_main_op": "refused.*WriteFile",
    "c05_yaml_object": "YAML architecture is refused",
    "c06_keras_zip_traversal": "would leave the folder",
    "c06_savedmodel_tar_traversal": "would leave the folder.*link",
    "c07_frozen_truncated": "not a whole GraphDef",
    "c07_savedmodel_no_data": r"variables\.data-00000-of-00001 is missing",
    "c07_savedmodel_no_pb": r"saved_model\.pb is missing",
    "c07_savedmodel_no_variables": "without the folder variables/",
    "c08_nan_weights_keras": "'dense_1' .*holds NaN",
    "c08_nan_weights_tf1": "Variable v holds 1 NaN and 1 inf",
    "c12_endless_while": "stopped while comparing: it took longer than 4 s",
    "c12_pyfunc_in_path": "node PyFunc",
    "c12_unknown_custom_op": "LabPrivateActivation of node Elu is not registered",
    "c13_json_other_weights": r"shape \(7, 5\) in the file, and the layer wants \(4, 5\)",
    "c14_h5_bomb": r"shape \(1048576, 262144\) in the file, and the layer wants \(4, 5\)",
    "c20_gpu_pinned": "",
}
#: What may take the process down, or never ends.
IN_A_PROCESS = ("c05_h5_lambda_py312", "c12_endless_while")


@pytest.mark.parametrize("name", sorted(WORDS.keys() - set(IN_A_PROCESS)))
def test_it_is_told_and_nothing_is_executed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(name, tmp_path, monkeypatch)


@pytest.mark.own_process
@pytest.mark.parametrize("name", IN_A_PROCESS)
def test_what_may_take_a_process_down_has_one_of_its_own(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = {"time_limit_s": 4.0} if name == "c12_endless_while" else {}
    check(name, tmp_path, monkeypatch, **limit)


@pytest.mark.slow
@pytest.mark.own_process
@pytest.mark.parametrize("name", sorted(WORDS.keys() - set(IN_A_PROCESS)))
def test_so_it_is_in_guarded_processes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(name, tmp_path, monkeypatch)


def test_no_case_is_left_out() -> None:
    models = {name for name, facts in FACTS.items() if facts["source_format"] != "tfrecord"}
    assert models == WORDS.keys()


def check(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **limits: float) -> None:
    facts, work, output = FACTS[name], tmp_path / "a/b/c", tmp_path / "a/out"
    shutil.copytree(FOLDER / name, work)
    output.mkdir()
    (output / "model.onnx").write_text("of a former conversion")
    monkeypatch.chdir(work)
    entries = [facts[key] for key in ("entry", "alternative_entry") if key in facts]
    for entry in entries:
        said = converted(entry, work, output, **limits)
        assert re.search(WORDS[name], said, re.DOTALL), said
    markers = facts.get("must_not_exist_after", [])
    assert [path for marker in markers for path in tmp_path.rglob(marker)] == []


def converted(entry: Any, work: Path, output: Path, **limits: float) -> str:
    """The error's words, or the warnings; with an error the output must be as it was."""
    files = entry if isinstance(entry, dict) else {"json": entry, "weights": None}
    weights = work / files["weights"] if files["weights"] else None
    try:
        result: ConvertedModel = tfconv.convert(
            work / files["json"], output, weights=weights, **limits
        )
    except TfconvError as error:
        assert [path.name for path in output.iterdir()] == ["model.onnx"]
        assert (output / "model.onnx").read_text() == "of a former conversion"
        return str(error)
    assert result.parity.passed
    return " ".join(result.warnings)
