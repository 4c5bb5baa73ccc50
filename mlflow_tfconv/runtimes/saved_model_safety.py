"""Looks into a SavedModel before TensorFlow does: loading one already runs part of its graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from mlflow_tfconv.errors import ConversionError

#: Operations that touch the file system, run Python or native code, or speak to the network.
UNSAFE_OPS = frozenset(
    {
        "DebugIdentity",
        "DebugIdentityV2",
        "EagerPyFunc",
        "MatchingFiles",
        "PyFunc",
        "PyFuncStateless",
        "ReadFile",
        "RpcCall",
        "RpcClient",
        "TFRecordReaderV2",
        "TextLineReaderV2",
        "WholeFileReader",
        "WholeFileReaderV2",
        "WriteFile",
    }
)


def refuse_unsafe_saved_model(path: Path) -> None:
    """Raises when loading or running the SavedModel could do more than compute.

    Raises:
        ConversionError: saved_model.pb or the variables are missing or damaged, or the graph holds
            an operation of `UNSAFE_OPS`.
    """
    message = parsed_saved_model(path)
    _require_variables(path, message)
    for node in _nodes(message):
        if node.op in UNSAFE_OPS:
            raise ConversionError(
                "This SavedModel is refused: it could read or write files or run foreign code.",
                received=f"operation {node.op}, node {node.name}, in {path}",
                expected="operations that only compute",
                fix="Export the model again without it, from a source that you trust.",
            )


def parsed_saved_model(path: Path) -> Any:
    """The `SavedModel` message of a folder; nothing is loaded or run.

    Raises:
        ConversionError: saved_model.pb is missing, damaged or cut off.
    """
    message = saved_model_pb2.SavedModel()
    binary, text = path / "saved_model.pb", path / "saved_model.pbtxt"
    try:
        if binary.is_file():
            message.ParseFromString(binary.read_bytes())
        else:
            text_format.Parse(text.read_text(), message)
    except (OSError, DecodeError, text_format.ParseError) as error:
        raise ConversionError(
            "The SavedModel's graph (saved_model.pb) is missing, damaged or cut off.",
            received=f"{path}: {error}",
            fix="Copy or export the whole folder again.",
        ) from error
    return message


def _require_variables(path: Path, message: Any) -> None:
    """Each variables.index needs all the data shards that its neighbours' names count."""
    folder = path / "variables"
    if not folder.is_dir():
        _refuse_variables(path, message)
        return
    shards = sorted(shard.name for shard in folder.glob("variables.data-?????-of-?????"))
    wanted = int(shards[0][-5:]) if shards else 1
    index = folder / "variables.index"
    if (index.is_file() or shards) and not (index.is_file() and len(shards) == wanted):
        raise ConversionError(
            "The SavedModel's variables are not complete.",
            received=f"{folder} with {', '.join(sorted(p.name for p in folder.iterdir()))}",
            expected=f"variables.index and {wanted} file(s) variables.data-*",
            fix="Copy the whole folder again.",
        )


def _refuse_variables(path: Path, message: Any) -> None:
    for meta_graph in message.meta_graphs:
        for node in meta_graph.graph_def.node:
            if node.op in ("VarHandleOp", "VariableV2", "Variable"):
                raise ConversionError(
                    "The SavedModel's folder variables/ is missing.",
                    received=f"variable {node.name} in {path}, and no values for it",
                    expected="variables/variables.index and variables/variables.data-*",
                    fix="Copy the whole folder again.",
                )


def _nodes(message: Any) -> Iterator[Any]:
    for meta_graph in message.meta_graphs:
        yield from meta_graph.graph_def.node
        for function in meta_graph.graph_def.library.function:
            yield from function.node_def
