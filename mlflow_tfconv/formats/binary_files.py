"""Files that begin, or end, with bytes that only one format has."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from mlflow_tfconv.formats.checkpoint_files import checkpoint_at
from mlflow_tfconv.formats.known_formats import Recognised
from mlflow_tfconv.formats.unknown_files import damaged_file, git_lfs_pointer, unknown_file

LFS_MAGIC = b"version https://git-lfs"
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
#: A block of the user's own may come first, of these sizes (HDF5 file format, section II.A).
_HDF5_PLACES = (0, 512, 1024, 2048, 4096)
#: What Keras of one age or another calls the parts of its files.
_KERAS_PARTS = ("layers", "_layer_checkpoint_dependencies", "vars", "model_weights", "_trackable")


def by_magic(path: Path, head: bytes, tail: bytes) -> Recognised | None:
    """The format that the first or the last bytes tell; None when they tell none.

    Raises:
        ConversionError: It is damaged, or something that is no model.
    """
    for offset, magic, told in _MAGICS:
        if (head[offset:] if offset >= 0 else tail[offset:]).startswith(magic):
            return told(path)
    if any(head[place:].startswith(_HDF5_MAGIC) for place in _HDF5_PLACES):
        return _hdf5(path)
    return None


def _zip(path: Path) -> Recognised:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise damaged_file(path, f"a zip archive that can't be read ({error})") from error
    if "config.json" in names and names & {"model.weights.h5", "metadata.json"}:
        detail = "" if "model.weights.h5" in names else "its weights are missing"
        return Recognised(format="keras", path=path, detail=detail)
    if any(name.endswith("/data.pkl") or name == "data.pkl" for name in names):
        raise unknown_file(path, "but one of PyTorch", fix="Export it from PyTorch to ONNX.")
    if names and all(name.endswith(".npy") for name in names):
        raise unknown_file(path, "but an .npz of numpy arrays", fix=_ARRAYS)
    return Recognised(format="archive", path=path, detail=f"zip of {len(names)} files")


def _hdf5(path: Path) -> Recognised:
    import h5py  # only Keras files need it, and the benchmark's worker goes without

    try:
        with h5py.File(path, "r") as file:
            if "model_config" in file.attrs:
                return Recognised(format="keras_h5", path=path)
            names = list(file)
            known = "layer_names" in file.attrs or bool(set(names) & set(_KERAS_PARTS))
    except Exception as error:  # h5py raises OSError, KeyError, RuntimeError and more
        raise damaged_file(path, f"an HDF5 file that can't be read ({error})") from error
    if known or not names:
        return Recognised(format="weights_h5", path=path)
    shown = ", ".join(names[:8])
    return Recognised(format="weights_h5", path=path, detail=f"not as Keras writes them: {shown}")


def _git_lfs(path: Path) -> Recognised:
    raise git_lfs_pointer(path)


def _numpy(path: Path) -> Recognised:
    raise unknown_file(path, "but a numpy array", fix=_ARRAYS)


def _pickle(path: Path) -> Recognised:
    raise unknown_file(
        path,
        "but a pickle of Python, which can't be read without running what is in it",
        fix="Load it where it was made, and save the model as .keras or as a SavedModel.",
    )


def _plain(told: str, detail: str = "") -> Callable[[Path], Recognised]:
    return lambda path: Recognised(format=told, path=path, detail=detail)


_ARRAYS = "Load the arrays into a model that was built in Python, and save that."

#: Where in the file (negative: from its end), which bytes, and who tells more.
_MAGICS: tuple[tuple[int, bytes, Callable[[Path], Recognised]], ...] = (
    (0, LFS_MAGIC, _git_lfs),
    (0, b"PK\x03\x04", _zip),
    (0, b"PK\x05\x06", _zip),
    (4, b"TFL3", _plain("tflite")),
    (0, b"\x1f\x8b", _plain("archive", "gzip")),
    (0, b"BZh", _plain("archive", "bzip2")),
    (0, b"\xfd7zXZ\x00", _plain("archive", "xz")),
    (257, b"ustar", _plain("archive", "tar")),
    (0, b"\x93NUMPY", _numpy),
    (0, b"\x80\x02", _pickle),
    (0, b"\x80\x03", _pickle),
    (0, b"\x80\x04\x95", _pickle),
    (0, b"\x80\x05\x95", _pickle),
    (-8, b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", checkpoint_at),
)
