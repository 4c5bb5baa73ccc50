"""Looks into a SavedModel before TensorFlow does: loading one already runs part of its graph."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.graph_safety import UnsafeNode, UnsafeSearch, refuse
from mlflow_tfconv.runtimes.saved_object_graph import SavedObjectGraph

#: Collections and signatures that name operations which loading a SavedModel of TensorFlow 1 runs.
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_INIT_SIGNATURE = "__saved_model_init_op"
_ASSETS_COLLECTION = "saved_model_assets"
_LFS = b"version https://git-lfs"


def refuse_unsafe_saved_model(path: Path, *, signatures: Collection[str] | None = None) -> None:
    """Raises when loading the SavedModel, or running a signature, could do more than compute.

    Args:
        path: Its folder.
        signatures: Those that would be run; None takes all.

    Raises:
        ConversionError: saved_model.pb or the variables are missing or damaged, or an operation
            would run that touches files, calls Python, or speaks to the network.
    """
    message = parsed_saved_model(path)
    require_variables(path, message)
    for meta_graph in message.meta_graphs:
        if is_of_tensorflow_2(message):
            objects = SavedObjectGraph(meta_graph)
            found = objects.signatures()
            wanted = [found[key] for key in found if signatures is None or key in signatures]
            functions = [name for n in wanted for name in objects.concrete_functions(n)]
            everything = range(len(objects.nodes))
            refuse_unsafe_objects(objects, functions, loaded=everything, where=path)
        else:
            refuse_unsafe_meta_graph(meta_graph, where=path, signatures=signatures)


def refuse_unsafe_meta_graph(
    meta_graph: Any, *, where: Path, signatures: Collection[str] | None = None
) -> None:
    """Raises when loading a MetaGraph of TensorFlow 1, or running it, could do more than compute.

    Args:
        meta_graph: The `MetaGraphDef`.
        where: The SavedModel's folder.
        signatures: Those that would be run; None takes all.

    Raises:
        ConversionError: It could, or a file of its is not in assets/.
    """
    _require_own_assets(meta_graph, where)
    refuse(_unsafe_in_graph(meta_graph, signatures), where=where)


def is_of_tensorflow_2(message: Any) -> bool:
    """Whether TensorFlow loads it as objects; of TensorFlow 1 are flat graphs, one for each tag set."""
    graphs = message.meta_graphs
    return len(graphs) == 1 and graphs[0].HasField("object_graph_def")


def refuse_unsafe_objects(
    objects: SavedObjectGraph, functions: Collection[str], *, loaded: Collection[int], where: Path
) -> None:
    """Raises when loading objects, or calling concrete functions, could do more than compute.

    Args:
        objects: The SavedModel's objects.
        functions: Names of the concrete functions that would be called.
        loaded: The nodes that would be loaded.
        where: The SavedModel's folder.

    Raises:
        ConversionError: It could, or a file of theirs is not in assets/.
    """
    _require_own_assets(objects.meta_graph, where)
    search = UnsafeSearch(objects.meta_graph.graph_def.library)
    for name in [*objects.called_on_loading(loaded), *functions]:
        refuse(search.in_function(name, objects.asset_arguments(name)), where=where)


def parsed_saved_model(path: Path) -> Any:
    """The `SavedModel` message of a folder; nothing is loaded or run.

    Raises:
        ConversionError: saved_model.pb is missing, damaged or cut off.
    """
    message = saved_model_pb2.SavedModel()
    binary, text = path / "saved_model.pb", path / "saved_model.pbtxt"
    try:
        if binary.is_file():
            _refuse_lfs_pointer(binary)
            message.ParseFromString(binary.read_bytes())
        elif text.is_file():
            _refuse_lfs_pointer(text)
            text_format.Parse(text.read_text(), message)
        else:
            raise _damaged(path, "there is no saved_model.pb in it")
    except (OSError, DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error
    if not message.meta_graphs:
        raise _damaged(path, "there is no graph in it")
    return message


def _damaged(path: Path, why: object) -> ConversionError:
    return ConversionError(
        "The SavedModel's graph (saved_model.pb) is missing, damaged or cut off.",
        received=f"{path}: {why}",
        expected="saved_model.pb (or saved_model.pbtxt), as it was written",
        fix="Copy or export the whole folder again.",
    )


def _refuse_lfs_pointer(file: Path) -> None:
    with file.open("rb") as opened:
        if opened.read(len(_LFS)) != _LFS:
            return
    raise ConversionError(
        f"{file.name} is a Git LFS pointer, not the file itself.",
        received=f"{file}, {file.stat().st_size} bytes",
        fix="Run `git lfs pull` in the repository it comes from, and copy the folder again.",
    )


def require_variables(path: Path, message: Any) -> None:
    """Raises when a file of variables/ is missing; each shard's name says how many there are.

    Raises:
        ConversionError: One is missing, is empty, or is a Git LFS pointer; its name is told.
    """
    folder = path / "variables"
    found = {file.name for file in folder.iterdir()} if folder.is_dir() else set[str]()
    shards = sorted(n for n in found if re.fullmatch(r"variables\.data-\d{5}-of-\d{5}", n))
    total = int(shards[0][-5:]) if shards else 1
    if not shards and "variables.index" not in found and not _has_variables(message):
        return
    wanted = ["variables.index"]
    wanted += [f"variables.data-{shard:05d}-of-{total:05d}" for shard in range(total)]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ConversionError(
            f"The SavedModel's variables are not complete: {', '.join(missing[:5])} is missing.",
            received=f"{folder} with {', '.join(sorted(found)) or 'nothing in it'}"
            if folder.is_dir()
            else f"{path} without the folder variables/",
            expected=f"variables/variables.index and {total} file(s) variables/variables.data-*",
            fix="Copy the whole folder again.",
        )
    for name in wanted:
        _refuse_lfs_pointer(folder / name)


def _has_variables(message: Any) -> bool:
    for graph in message.meta_graphs:
        if any(
            node.op in ("VarHandleOp", "VariableV2", "Variable") for node in graph.graph_def.node
        ):
            return True
        if any(node.WhichOneof("kind") == "variable" for node in graph.object_graph_def.nodes):
            return True
    return False


def _require_own_assets(meta_graph: Any, where: Path) -> None:
    for asset in _assets(meta_graph):
        name = PurePosixPath(asset.filename.replace(os.sep, "/"))
        if name.is_absolute() or ".." in name.parts:
            raise ConversionError(
                "This model is refused: it could read a file that does not belong to it.",
                received=f"the asset {asset.filename!r}, in {where}",
                expected="files in the SavedModel's folder assets/",
                fix="Export the model again, from a source that you trust.",
            )


def _assets(meta_graph: Any) -> list[Any]:
    """The model's own files (`AssetFileDef`); TensorFlow 1 keeps them in a collection."""
    assets = list(meta_graph.asset_file_def)
    if not assets and _ASSETS_COLLECTION in meta_graph.collection_def:
        for value in meta_graph.collection_def[_ASSETS_COLLECTION].any_list.value:
            with contextlib.suppress(DecodeError):  # not what the collection's name says
                assets.append(meta_graph_pb2.AssetFileDef.FromString(value.value))
    return assets


def _unsafe_in_graph(meta_graph: Any, signatures: Collection[str] | None) -> Iterator[UnsafeNode]:
    """What loading a MetaGraph of TensorFlow 1 and running its signatures would run."""
    roots = [
        tensor.name
        for key, signature in meta_graph.signature_def.items()
        if signatures is None or key in signatures or key == _INIT_SIGNATURE
        for tensor in signature.outputs.values()
    ]
    collections = meta_graph.collection_def
    for name in _INIT_COLLECTIONS:
        roots += list(collections[name].node_list.value) if name in collections else []
    assets = {asset.tensor_info.name.split(":")[0] for asset in _assets(meta_graph)}
    search = UnsafeSearch(meta_graph.graph_def.library)
    yield from search.in_graph(meta_graph.graph_def.node, roots=roots, assets=assets)
