"""Files that a SavedModel's graph reads when it is loaded, and the nodes that fill its tables."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2

from mlflow_tfconv.errors import ConversionError

_INIT_SIGNATURE = "__saved_model_init_op"
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")


def assets_of(folder: Path, meta: Any) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Tensor that names a file, to the file in `assets/`; and what is missing, in words.

    Raises:
        ConversionError: A name leaves the folder.
    """
    assets: dict[str, Path] = {}
    warnings = []
    for tensor, name in _named(meta):
        pure = PurePosixPath(name)
        path = folder / "assets" / pure
        outside = not path.resolve().is_relative_to((folder / "assets").resolve())
        if pure.is_absolute() or ".." in pure.parts or outside:
            raise ConversionError(
                "This SavedModel is refused: it names a file outside its folder as its own.",
                received=f"asset {name!r} for {tensor}, in {folder}",
                expected="files in assets/",
                fix="Export the model again, from a source that you trust.",
            )
        if path.is_file():
            assets[tensor] = path
        else:
            warnings.append(f"The asset {name} is missing; what reads it ({tensor}) can't be used.")
    return assets, tuple(warnings)


def init_ops_of(meta: Any) -> tuple[str, ...]:
    """Names of the nodes that are run once after loading, before inference."""
    names = []
    if _INIT_SIGNATURE in meta.signature_def:
        outputs = meta.signature_def[_INIT_SIGNATURE].outputs
        names += [info.name for info in outputs.values()]
    for key in _INIT_COLLECTIONS:
        if key in meta.collection_def:
            names += list(meta.collection_def[key].node_list.value)
    return tuple(dict.fromkeys(name.removeprefix("^").split(":")[0] for name in names if name))


def _named(meta: Any) -> list[tuple[str, str]]:
    """Tensor and file name of each asset; old exports keep them in a collection."""
    assets = list(meta.asset_file_def)
    if not assets and "saved_model_assets" in meta.collection_def:
        for value in meta.collection_def["saved_model_assets"].any_list.value:
            try:
                assets.append(meta_graph_pb2.AssetFileDef.FromString(value.value))
            except DecodeError:
                continue  # not what the collection's name says
    return [(asset.tensor_info.name, asset.filename) for asset in assets]
