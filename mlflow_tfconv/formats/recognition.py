"""Which format a model on disk has, told by its content and never by its name.

Nothing is executed and no heavy library is imported; HDF5 files are opened with h5py, read-only.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlflow_tfconv.errors import ConversionError

#: Name of a format to what a person calls it.
FORMATS = {
    "keras": "Keras 3 model (.keras archive)",
    "keras_h5": "Keras model in HDF5, architecture and weights",
    "weights_h5": "Keras weights in HDF5, without the architecture",
    "keras_json": "Keras architecture in JSON, without weights",
    "keras_yaml": "Keras architecture in YAML, without weights",
    "saved_model": "TensorFlow SavedModel",
    "onnx": "ONNX model",
    "tf_checkpoint": "TensorFlow checkpoint",
    "tf_checkpoint_v1": "TensorFlow checkpoint of the first kind (V1)",
    "object_checkpoint": "TensorFlow 2 checkpoint of objects",
    "tf_checkpoint_folder": "folder of TensorFlow checkpoints",
    "meta_graph": "TensorFlow MetaGraph (the graph that belongs to a checkpoint)",
    "graph_def": "TensorFlow GraphDef (frozen graph)",
    "graph_text": "TensorFlow graph as text",
    "tflite": "TensorFlow Lite model",
    "darknet_weights": "darknet weights",
    "darknet_cfg": "darknet architecture (cfg)",
    "archive": "archive",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What a path holds.

    Attributes:
        format: A key of `FORMATS`.
        path: The file or folder; for a checkpoint its prefix.
        detail: What was seen that a person may want to know, or "".
    """

    format: str
    path: Path
    detail: str = ""

    def __str__(self) -> str:
        """In words."""
        return FORMATS[self.format] + (f": {self.detail}" if self.detail else "")


def recognised(path: str | Path) -> Recognised:
    """The format of a model file, a folder, or a checkpoint's prefix.

    Raises:
        ConversionError: There is nothing there, it is damaged, or it is no model we know.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return _file(path)
    if _siblings(path):
        return _checkpoint(path)
    raise ConversionError(
        "There is no model at this path.",
        received=str(path),
        expected="a model file, a SavedModel folder, or the prefix of a checkpoint",
        fix="Check the path; relative paths of a recipe start at the folder of its recipe.yaml.",
    )


def _folder(path: Path) -> Recognised:
    names = {entry.name for entry in path.iterdir()}
    if names & {"saved_model.pb", "saved_model.pbtxt"}:
        return Recognised(format="saved_model", path=path)
    if "checkpoint" in names or any(name.endswith((".index", ".meta")) for name in names):
        return Recognised(format="tf_checkpoint_folder", path=path, detail=_prefixes(names))
    missing = "saved_model.pb is missing beside variables/" if "variables" in names else None
    raise ConversionError(
        f"This folder holds no model: {missing or 'nothing in it is known'}.",
        received=f"{path} with {', '.join(sorted(names)[:8]) or 'nothing in it'}",
        expected="saved_model.pb, or the files of a checkpoint (*.index)",
        fix="Name the model file itself, or the folder that holds saved_model.pb.",
    )


def _prefixes(names: set[str]) -> str:
    found = {name.rsplit(".", 1)[0] for name in names if name.endswith((".index", ".meta"))}
    return ", ".join(sorted(found))


def _siblings(prefix: Path) -> set[str]:
    """Suffixes of the checkpoint files that share a prefix: ".index", ".meta", ".data-..."."""
    if not prefix.parent.is_dir():
        return set()
    suffixes = {
        entry.name[len(prefix.name) :]
        for entry in prefix.parent.iterdir()
        if entry.name.startswith(prefix.name + ".")
    }
    return {s for s in suffixes if s in (".index", ".meta") or s.startswith(".data-")}


def _checkpoint(prefix: Path) -> Recognised:
    found = _siblings(prefix)
    has = "with its graph (.meta)" if ".meta" in found else "without a graph (no .meta beside it)"
    if ".index" not in found:
        has += "; the .index file is missing"
    if not any(suffix.startswith(".data-") for suffix in found):
        has += "; the .data file is missing"
    return Recognised(format="tf_checkpoint", path=prefix, detail=has)


def _file(path: Path) -> Recognised:
    with path.open("rb") as file:
        head = file.read(512)
        file.seek(max(0, path.stat().st_size - 8))
        tail = file.read(8)
    for offset, magic, told in _MAGICS:
        if (head[offset:] if offset >= 0 else tail[offset:]).startswith(magic):
            return told(path)
    shard = re.search(r"\.data-\d{5}-of-\d{5}$", path.name)
    if shard and ".index" in _siblings(path.with_name(path.name[: shard.start()])):
        return _checkpoint(path.with_name(path.name[: shard.start()]))
    return _text(path, head) or _protobuf(path)


def _zip(path: Path) -> Recognised:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile as error:
        raise _damaged(path, f"a zip archive that can't be read ({error})") from error
    if "config.json" in names:
        detail = "" if "model.weights.h5" in names else "its weights are missing"
        return Recognised(format="keras", path=path, detail=detail)
    return Recognised(format="archive", path=path, detail=f"zip of {len(names)} files")


def _hdf5(path: Path) -> Recognised:
    import h5py  # only Keras files need it, and the benchmark's worker goes without

    try:
        with h5py.File(path, "r") as file:
            whole = "model_config" in file.attrs
    except OSError as error:
        raise _damaged(path, f"an HDF5 file that can't be read ({error})") from error
    return Recognised(format="keras_h5" if whole else "weights_h5", path=path)


def _table(path: Path) -> Recognised:
    """TensorFlow's table of keys: the index of a V2 checkpoint, or a whole V1 checkpoint."""
    if path.suffix == ".index":
        return _checkpoint(path.with_suffix(""))
    return Recognised(format="tf_checkpoint_v1", path=path)


def _git_lfs(path: Path) -> Recognised:
    raise ConversionError(
        "This is a Git LFS pointer, not the model itself.",
        received=str(path),
        expected="the file that the pointer stands for",
        fix="Run `git lfs pull` where the file comes from.",
    )


def _plain(told: str, detail: str = "") -> Callable[[Path], Recognised]:
    return lambda path: Recognised(format=told, path=path, detail=detail)


#: Where in the file (negative: from its end), which bytes, and who tells more.
_MAGICS: tuple[tuple[int, bytes, Callable[[Path], Recognised]], ...] = (
    (0, b"PK\x03\x04", _zip),
    (0, b"\x89HDF\r\n\x1a\n", _hdf5),
    (0, b"version https://git-lfs", _git_lfs),
    (4, b"TFL3", _plain("tflite")),
    (0, b"\x1f\x8b", _plain("archive", "gzip")),
    (257, b"ustar", _plain("archive", "tar")),
    (-8, b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", _table),
)


def _text(path: Path, head: bytes) -> Recognised | None:
    start = head.lstrip()
    if start.startswith(b"model_checkpoint_path:"):
        return _folder(path.parent)
    if start.startswith((b"{", b'"{')) and b"class_name" in head:
        return Recognised(format="keras_json", path=path)
    if start.startswith((b"node {", b"meta_info_def {", b"graph_def {")):
        return Recognised(format="graph_text", path=path)
    return None


def _protobuf(path: Path) -> Recognised:
    """Protobuf has no magic number: what the top-level fields are tells the message."""
    fields = list(_top_level_fields(path))
    kinds = set(fields)
    if {(1, 0), (7, 2)} <= kinds:
        return Recognised(format="onnx", path=path)
    if kinds <= {(1, 0), (2, 2)} and (1, 0) in kinds:
        return Recognised(format="saved_model", path=path.parent)
    if (1, 2) in kinds and (2, 2) in kinds and fields.count((1, 2)) == 1:
        return Recognised(format="meta_graph", path=path)
    if (1, 2) in kinds and kinds <= {(1, 2), (2, 2), (3, 0), (4, 2), (5, 2)}:
        return Recognised(format="graph_def", path=path, detail=f"{fields.count((1, 2))} nodes")
    raise _unknown(path)


def _top_level_fields(path: Path) -> Iterator[tuple[int, int]]:
    """The (number, wire type) of each top-level field; contents are skipped, not read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while file.tell() < size:
            key = _varint(file.read, path)
            number, wire = key >> 3, key & 7
            if number == 0 or wire not in (0, 1, 2, 5):
                raise _unknown(path)
            length = {1: 8, 5: 4}.get(wire, 0)
            if wire in (0, 2):
                value = _varint(file.read, path)
                length = value if wire == 2 else 0
            if file.tell() + length > size:
                raise _unknown(path, "or it was cut off")
            file.seek(length, 1)
            yield number, wire


def _varint(read: Callable[[int], bytes], path: Path) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = read(1)
        if not byte:
            break
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise _unknown(path, "or it was cut off")


def _unknown(path: Path, more: str = "") -> ConversionError:
    return ConversionError(
        f"This file is no model that we know{', ' + more if more else ''}.",
        received=f"{path} ({path.stat().st_size:,} bytes)",
        expected="a model of Keras or TensorFlow, or an ONNX model",
        fix="Check that the right file was named and that its copy is complete.",
    )


def _damaged(path: Path, what: str) -> ConversionError:
    return ConversionError(
        f"The model file is damaged or cut off: {what}.",
        received=f"{path} ({path.stat().st_size:,} bytes)",
        fix="Copy or download the file again and compare its size.",
    )
