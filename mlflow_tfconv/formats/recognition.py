"""Which format a model on disk has, told by its content and never by its name.

Nothing is executed and no heavy library is imported; HDF5 files are opened with h5py, read-only.
"""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.formats.binary_files import LFS_MAGIC, by_magic
from mlflow_tfconv.formats.checkpoint_files import (
    checkpoint_named,
    checkpoint_of_shard,
    has_v1_shards,
    prefixes,
    siblings,
)
from mlflow_tfconv.formats.darknet_files import by_numbers
from mlflow_tfconv.formats.known_formats import FORMATS as FORMATS
from mlflow_tfconv.formats.known_formats import Recognised as Recognised
from mlflow_tfconv.formats.protobuf_files import by_fields
from mlflow_tfconv.formats.text_files import by_text
from mlflow_tfconv.formats.unknown_files import damaged_file, git_lfs_pointer, unknown_file

_SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
_STATE = b"model_checkpoint_path:"
_HEAD_BYTES = 8192


def recognised(path: str | Path) -> Recognised:
    """The format of a model file, a folder, or a checkpoint's prefix.

    Raises:
        ConversionError: There is nothing there, it is damaged, or it is no model we know.
    """
    path = Path(path)
    try:
        return _told(path)
    except (OSError, ValueError) as error:  # not to be read, or a name that no file can have
        raise ConversionError(
            "There is no model that can be read at this path.",
            received=f"{str(path)[:300]!r}: {getattr(error, 'strerror', None) or error}",
            fix="Check the path, and that you may read it.",
        ) from error


def _told(path: Path) -> Recognised:
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return _file(path)
    if siblings(path):
        return _whole(checkpoint_named(path))
    if has_v1_shards(path):
        return Recognised(format="tf_checkpoint_v1", path=path, detail="in several files")
    raise ConversionError(
        "There is no model at this path.",
        received=str(path),
        expected="a model file, a SavedModel folder, or the prefix of a checkpoint",
        fix="Check the path; relative paths of a recipe start at the folder of its recipe.yaml.",
    )


def _folder(path: Path) -> Recognised:
    names = {entry.name for entry in path.iterdir()}
    if names & set(_SAVED_MODEL):
        return Recognised(format="saved_model", path=path)
    if "checkpoint" in names or any(name.endswith((".index", ".meta")) for name in names):
        detail = ", ".join(prefixes(names))
        return Recognised(format="tf_checkpoint_folder", path=path, detail=detail)
    exports = _exports(path)
    if exports:
        return Recognised(format="exports_folder", path=path, detail=", ".join(exports[-8:]))
    missing = "saved_model.pb is missing beside variables/" if "variables" in names else None
    raise ConversionError(
        f"This folder holds no model: {missing or 'nothing in it is known'}.",
        received=f"{path} with {', '.join(sorted(names)[:8]) or 'nothing in it'}",
        expected="saved_model.pb, or the files of a checkpoint (*.index)",
        fix="Name the model file itself, or the folder that holds saved_model.pb.",
    )


def _exports(path: Path) -> list[str]:
    """SavedModels in folders below, as an Estimator exports them and as TF Serving wants them."""
    found = {file.parent for name in _SAVED_MODEL for file in path.glob(f"*/{name}")}
    found |= {file.parent for name in _SAVED_MODEL for file in path.glob(f"export/*/{name}")}
    found |= {file.parent for name in _SAVED_MODEL for file in path.glob(f"export/*/*/{name}")}
    return sorted(str(folder.relative_to(path)) for folder in found)


def _file(path: Path) -> Recognised:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(max(0, path.stat().st_size - 8))
        tail = file.read(8)
    if not head:
        raise damaged_file(path, "it is empty")
    if head.lstrip().startswith(_STATE):
        return _folder(path.parent)
    found = by_magic(path, head, tail) or checkpoint_of_shard(path) or by_text(path, head)
    found = found or by_fields(path) or by_numbers(path)
    if found is None:
        raise unknown_file(path, "or it was cut off" if not _is_text(head) else "")
    return _whole(found) if found.format in ("tf_checkpoint", "object_checkpoint") else found


def _whole(checkpoint: Recognised) -> Recognised:
    """Raises when a file of a checkpoint only stands for the real one."""
    prefix = checkpoint.path
    for suffix in sorted(siblings(prefix)):
        place = prefix.with_name(prefix.name + suffix)
        with place.open("rb") as file:
            if file.read(len(LFS_MAGIC)) == LFS_MAGIC:
                raise git_lfs_pointer(place)
    return checkpoint


def _is_text(head: bytes) -> bool:
    return b"\x00" not in head
