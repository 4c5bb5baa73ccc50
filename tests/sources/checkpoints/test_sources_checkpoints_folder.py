from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from saver_checkpoints import saved, saved_v1

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.checkpoint_folder import checkpoint_of_folder

FIXTURES = Path(__file__).parents[2] / "fixtures"


def state(folder, said):
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{said}"\n')


def test_the_newest_is_taken_by_the_state_file_of_a_machine_that_is_gone():
    found = checkpoint_of_folder(FIXTURES / "legacy" / "k01_tf1_mlp_saver")
    assert found.prefix.name == "model.ckpt-150"
    assert found.choices[0].alternatives == ("model.ckpt-100",)
    assert not found.warnings


def test_without_a_state_file_the_highest_step_is_taken(tmp_path):
    for step in (9, 10):
        saved(tmp_path / "m", step=step)
    (tmp_path / "checkpoint").unlink()
    found = checkpoint_of_folder(tmp_path)
    assert found.prefix.name == "m-10"
    assert found.choices[0].alternatives == ("m-9",)


def test_a_checkpoint_that_was_not_finished_is_passed_over_and_told(tmp_path):
    for step in (1, 2):
        saved(tmp_path / "m", step=step)
    (tmp_path / "checkpoint").unlink()
    (tmp_path / "m-2.index").unlink()
    found = checkpoint_of_folder(tmp_path)
    assert found.prefix.name == "m-1"
    assert found.warnings == ("Files of these checkpoints are missing: m-2.",)


def test_v1_checkpoints_of_a_folder_are_found(tmp_path):
    saved_v1(tmp_path / "old.ckpt", step=3)
    (tmp_path / "checkpoint").unlink()
    assert checkpoint_of_folder(tmp_path).prefix.name == "old.ckpt-3"


@pytest.mark.parametrize(
    "said", ["../other/m-1", "a/../../m-1", "..\\\\m-1", "sub/m-1", "", "m-1\\0"]
)
def test_a_state_file_leads_nowhere_else(said, tmp_path):
    (tmp_path / "here").mkdir()
    saved(tmp_path / "here" / "n", step=2)
    saved(tmp_path / "m", step=1)
    (tmp_path / "here" / "sub").symlink_to(tmp_path)
    state(tmp_path / "here", said)
    assert checkpoint_of_folder(tmp_path / "here").prefix == tmp_path / "here" / "n-2"


@pytest.mark.parametrize("said", ["/gone/from/m-1", "C:\\\\run\\\\m-1", "m-1"])
def test_a_path_of_another_machine_stands_for_the_file_of_its_name(said, tmp_path):
    for step in (1, 2):
        saved(tmp_path / "m", step=step)
    state(tmp_path, said)
    assert checkpoint_of_folder(tmp_path).prefix == tmp_path / "m-1"


def test_a_state_file_that_points_outside_is_told():
    found = checkpoint_of_folder(FIXTURES / "hostile" / "c03_checkpoint_state_escape")
    assert found.prefix.name == "model.ckpt-60"
    assert "points outside the folder" in found.warnings[0]


def test_which_of_two_models_is_asked():
    with pytest.raises(ConversionError, match=r"cnn.ckpt, model.ckpt-60. Which one"):
        checkpoint_of_folder(FIXTURES / "hostile" / "c03_two_models_in_folder")


def test_the_state_file_tells_which_of_two_models(tmp_path):
    shutil.copytree(FIXTURES / "hostile" / "c03_two_models_in_folder", tmp_path, dirs_exist_ok=True)
    state(tmp_path, "cnn.ckpt")
    assert checkpoint_of_folder(tmp_path).prefix.name == "cnn.ckpt"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"model_checkpoint_path {", b""])
def test_a_state_file_that_is_none_is_as_if_it_were_not_there(content, tmp_path):
    saved(tmp_path / "m", step=4)
    (tmp_path / "checkpoint").write_bytes(content)
    assert checkpoint_of_folder(tmp_path).prefix.name == "m-4"


def test_a_folder_without_checkpoints_says_what_it_has(tmp_path):
    saved(tmp_path / "m")
    for file in ("m.index", "m.data-00000-of-00001"):
        (tmp_path / file).unlink()
    with pytest.raises(ConversionError, match=r"no checkpoint; there are graphs without.*m.meta"):
        checkpoint_of_folder(tmp_path)
