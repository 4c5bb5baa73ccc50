"""The files that a model on disk consists of: to be counted, copied and replaced together."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.formats.onnx_data import onnx_data

#: Ours is called like the ONNX file, with this behind it.
DATA_SUFFIX = ".data"


def model_files(path: Path) -> tuple[Path, ...]:
    """All files of a model that are there.

    Args:
        path: A folder; a file, of which an ONNX file may have external data; or the prefix of a
            checkpoint.

    Raises:
        ConversionError: An ONNX file names data outside of its folder.
    """
    if path.is_dir():
        found = sorted(path.rglob("*"))
    elif path.is_file():
        found = [path, *onnx_data(path)]
    else:
        found = sorted(file for file in path.parent.glob("*") if _belongs(file, path))
    return tuple(file for file in found if file.is_file())


def model_bytes(path: Path) -> int:
    """The size of all of them."""
    return sum(file.stat().st_size for file in model_files(path))


def link_files(source: Path, target: Path) -> None:
    """Puts the files of a folder into another one: hard links where that is possible.

    External data of ONNX files are copied: onnx refuses to read what has a second hard link.
    """
    target.mkdir(parents=True, exist_ok=True)
    files = list(source.iterdir())
    data = {name for file in files for name in onnx_data(file)}
    for file in files:
        if file in data or not _linked(file, target / file.name):
            shutil.copy2(file, target / file.name)


def copy_data(model: Path, folder: Path) -> tuple[Path, ...]:
    """Copies the external data of an ONNX file to where a copy of it in `folder` looks for them.

    Raises:
        ConversionError: Some are missing, or lie outside of the model's folder.
    """
    copies = []
    for file in require_data(model):
        copies.append(folder / file.relative_to(model.parent))
        copies[-1].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copies[-1])
    return tuple(copies)


def require_data(model: Path) -> tuple[Path, ...]:
    """The external data of an ONNX file, all of them there.

    Raises:
        ConversionError: Some are missing, or lie outside of the model's folder.
    """
    data = onnx_data(model)
    missing = [file for file in data if not file.is_file()]
    if missing:
        raise ConversionError(
            "The ONNX file has lost its external data.",
            received=f"{model} without {', '.join(str(file) for file in missing[:3])}",
            expected="the files with its weights, where the ONNX file names them",
            fix="Copy them too, or convert the model again.",
        )
    return data


def place_onnx(source: Path, target: Path) -> None:
    """Moves an ONNX file with its data; what was there before is replaced as a whole.

    A kill leaves the former model, none, or the new one, but never one with another's data.

    Args:
        source: On the same file system; its data have the names that they will have.
        target: The file.
    """
    data = [file.relative_to(source.parent) for file in require_data(source)]
    former = _own_data(target)
    if any((target.parent / name).exists() for name in data):
        target.unlink(missing_ok=True)
    for name in data:
        (target.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (source.parent / name).replace(target.parent / name)
    source.replace(target)
    if former is not None and former not in [target.parent / name for name in data]:
        former.unlink(missing_ok=True)


def own_data(model: Path) -> Path:
    """Where we put the external data of an ONNX file."""
    return model.with_name(model.name + DATA_SUFFIX)


def _own_data(model: Path) -> Path | None:
    """The data of a former model that nobody but it will use; other names are other people's."""
    try:
        return own_data(model) if own_data(model) in onnx_data(model) else None
    except (OSError, ConversionError):
        return None


def _belongs(file: Path, prefix: Path) -> bool:
    return file.name.startswith(f"{prefix.name}.")


def _linked(file: Path, target: Path) -> bool:
    try:
        os.link(file, target)
    except OSError:
        return False
    return True
