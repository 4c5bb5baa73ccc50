"""Damaged files of every kind that is parsed here: an error of ours or a model, never a crash."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from darknet_reference import made_network

from mlflow_tfconv.errors import TfconvError
from mlflow_tfconv.sources.archives import unpacked
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader
from mlflow_tfconv.sources.darknet.cfg_text import sections_from_cfg
from mlflow_tfconv.sources.darknet.network_from_cfg import network_from_cfg
from mlflow_tfconv.sources.darknet.weights_file import fitted_header, weights_file
from mlflow_tfconv.sources.keras.object_nodes import root_of_checkpoint

K15 = Path(__file__).parents[1] / "fixtures" / "legacy" / "k15_tfkeras23_tfckpt_json"
ROUNDS = 60

CFG = """
[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky
[maxpool]
size=2
stride=2
[route]
layers=-1,0
groups=2
group_id=1
[shortcut]
from=-2
[upsample]
stride=2
[connected]
output=14
activation=linear
"""


def damaged(data: bytes, random: Random) -> bytes:
    """Cut, bits flipped, bytes overwritten, a piece repeated or a number swollen."""
    changed = bytearray(data)
    place = random.randrange(len(data))
    kind = random.randrange(5)
    if kind == 0:
        return data[:place]
    if kind == 1:
        for _ in range(random.randrange(1, 6)):
            changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
    if kind == 2:
        changed[place : place + 8] = random.randbytes(8)
    if kind == 3:
        changed[place:place] = data[place : place + random.randrange(64)]
    if kind == 4:
        digits = [n for n, byte in enumerate(data) if 48 <= byte <= 57] or [place]
        changed[random.choice(digits)] = 57
        changed[random.choice(digits) : 0] = b"9" * random.randrange(12)
    return bytes(changed)


def survives(data: bytes, read: Callable[[bytes], Any]) -> None:
    random = Random(0)
    errors = 0
    for _ in range(ROUNDS):
        try:
            read(damaged(data, random))
        except TfconvError:
            errors += 1
    assert errors, "nothing was damaged"


def test_the_text_of_a_network(tmp_path: Path) -> None:
    path = tmp_path / "net.cfg"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        network_from_cfg(sections_from_cfg(path))

    survives(b"[net]\nheight=12\nwidth=16\nchannels=4\n" + CFG.encode(), read)


def test_the_weights_of_a_network(tmp_path: Path) -> None:
    conv = "[convolutional]\nfilters=4\nsize=3\nactivation=leaky\n"
    made = made_network(tmp_path, conv)
    slots = network_from_cfg(sections_from_cfg(made.cfg)).slots

    def read(data: bytes) -> None:
        made.weights.write_bytes(data)
        fitted_header(weights_file(made.weights), slots, "net.cfg")

    survives(made.weights.read_bytes(), read)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip", "stored zip"])
def test_archives(kind: str, tmp_path: Path) -> None:
    path, content = tmp_path / "archive", tmp_path / "content"
    content.write_bytes(Random(1).randbytes(2000))
    if "zip" in kind:
        how = zipfile.ZIP_STORED if "stored" in kind else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(path, "w", how) as archive:
            archive.write(content, "model/a.bin")
    else:
        mode: Any = f"w:{kind.partition('.')[2]}"
        with tarfile.open(path, mode) as packed:
            packed.add(content, "model/a.bin")

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with unpacked(path, tmp_path):
            pass

    survives(path.read_bytes(), read)
    assert {entry.name for entry in tmp_path.iterdir()} == {"archive", "content"}


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_checkpoints_of_objects(suffix: str, tmp_path: Path) -> None:
    for end in (".index", ".data-00000-of-00001"):
        (tmp_path / f"w{end}").write_bytes((K15 / f"weights.ckpt{end}").read_bytes())
    path = tmp_path / f"w{suffix}"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        reader = CheckpointReader(tmp_path / "w")
        for variable in root_of_checkpoint(reader).variables():
            reader.read(variable.key)

    survives(path.read_bytes(), read)
