from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from saver_checkpoints import saved, saved_v1, two_devices

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader

HOSTILE = Path(__file__).parents[2] / "fixtures" / "hostile"


def everything(prefix):
    checkpoint = CheckpointReader(prefix)
    return {key: checkpoint.read(key).tolist() for key in checkpoint}


@pytest.mark.parametrize(
    ("case", "says"),
    [
        (
            "c01_bitflip_data",
            r"ExponentialMovingAverage in model.ckpt-60.data-00000-of-00001: checksum mismatch",
        ),
        ("c01_truncated_data", r"\.data file is damaged.* 98,509 bytes are missing"),
        ("c01_truncated_index", r"\.index file is damaged.*cnn.ckpt.index"),
        ("c02_missing_data", r"\.data file is missing: cnn.ckpt.data-00000-of-00001"),
        ("c04_lfs_pointer", r"cnn.ckpt.data-00000-of-00001 is a Git LFS pointer"),
    ],
)
def test_damage_is_told_with_the_file(case, says):
    (index,) = (HOSTILE / case).glob("*.index")
    with pytest.raises(ConversionError, match=says):
        everything(index)


@pytest.mark.parametrize(
    ("save", "file"),
    [(saved, "m.index"), (saved, "m.data-00000-of-00001"), (saved_v1, "m")],
)
def test_a_file_of_any_shorter_length_is_damaged(save, file, tmp_path):
    save(tmp_path / "m")
    whole = (tmp_path / file).read_bytes()
    for length in range(len(whole)):
        (tmp_path / file).write_bytes(whole[:length])
        with pytest.raises(ConversionError, match="damaged or cut off"):
            CheckpointReader(tmp_path / "m")


@pytest.mark.parametrize(
    ("save", "file"),
    [(saved, "m.index"), (saved, "m.data-00000-of-00001"), (saved_v1, "m")],
)
def test_an_altered_byte_is_found_or_changes_nothing(save, file, tmp_path):
    save(tmp_path / "m")
    right = everything(tmp_path / "m")
    whole = (tmp_path / file).read_bytes()
    found = 0
    for place in range(len(whole)):
        altered = bytes([whole[place] ^ 4])
        (tmp_path / file).write_bytes(whole[:place] + altered + whole[place + 1 :])
        try:
            assert everything(tmp_path / "m") == right
        except ConversionError:
            found += 1
    assert found > len(whole) / 2


@pytest.mark.parametrize("gone", ["m.index", "m.data-00001-of-00002"])
def test_a_missing_file_is_named(gone, tmp_path):
    saved(tmp_path / "m", build=two_devices, sharded=True)
    (tmp_path / gone).unlink()
    with pytest.raises(ConversionError, match=f"file is missing: {gone}"):
        CheckpointReader(tmp_path / "m")


def test_a_missing_file_of_a_v1_checkpoint_is_named(tmp_path):
    saved_v1(tmp_path / "m", build=two_devices, sharded=True)
    (tmp_path / "m-00000-of-00002").unlink()
    with pytest.raises(ConversionError, match="missing: m-00000-of-00002"):
        CheckpointReader(tmp_path / "m")


@pytest.mark.parametrize("file", ["m.index", "m.data-00000-of-00001"])
def test_an_empty_file_is_told(file, tmp_path):
    saved(tmp_path / "m")
    (tmp_path / file).write_bytes(b"")
    with pytest.raises(ConversionError, match="it is empty"):
        CheckpointReader(tmp_path / "m")


def test_data_of_another_checkpoint_is_found_by_its_checksum(tmp_path):
    saved(tmp_path / "m")
    data = tmp_path / "m.data-00000-of-00001"
    data.write_bytes(bytes(data.stat().st_size))
    with pytest.raises(ConversionError, match="checksum mismatch"):
        CheckpointReader(tmp_path / "m").verify()


def test_where_nothing_is_other_checkpoints_are_offered(tmp_path):
    saved(tmp_path / "model.ckpt", step=7)
    with pytest.raises(ConversionError, match=r"no checkpoint model.ckp[\s\S]*model.ckpt-7"):
        CheckpointReader(tmp_path / "model.ckp")


def test_a_big_checkpoint_is_not_read_to_verify_it(tmp_path):
    shutil.copytree(HOSTILE / "c01_bitflip_data", tmp_path, dirs_exist_ok=True)
    CheckpointReader(tmp_path / "model.ckpt-60").verify(at_most_bytes=1000)
