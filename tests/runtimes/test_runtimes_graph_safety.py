from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.graph_safety import CONDITIONALLY_UNSAFE_OPS, refuse_unsafe_nodes
from mlflow_tfconv.runtimes.saved_model_safety import refuse_unsafe_saved_model
from mlflow_tfconv.runtimes.unsafe_operations import UNSAFE_OPS

_SUSPECT = re.compile(
    r"(?!.*_suffix).*(file|path|prefix|address|url|uri|logdir|shard_dir|directory|graph_def|driver"
    r"|output_stream|token).*"
)
_STRING, _ANY = tf.string.as_datatype_enum, 0
#: Take a text that only looks like a place: counters' names, tokens of an order of collectives.
_SAFE = {"ExperimentalSetStatsAggregatorDataset", "SetStatsAggregatorDataset", "ShardedFilename"}


def test_every_operation_that_takes_a_file_or_an_address_is_known() -> None:
    registered = tf.raw_ops.__dict__  # public; without the private operations of the runtime
    suspects = {
        name
        for name, operation in registered.items()
        if callable(operation) and not name.startswith("_") and _takes_a_place(name)
    }
    assert len(suspects) > 40
    assert suspects - set(UNSAFE_OPS) - CONDITIONALLY_UNSAFE_OPS - _SAFE == set()


def _takes_a_place(name: str) -> bool:
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(name)
    if definition is None:
        return False
    taken = [arg.name for arg in definition.input_arg if arg.type in (_STRING, _ANY)]
    taken += [attr.name for attr in definition.attr if "string" in attr.type]
    return any(_SUSPECT.fullmatch(text) for text in taken)


def graph_of(function: Any, *specs: Any) -> Any:
    return tf.function(function).get_concrete_function(*specs).graph.as_graph_def()


def test_an_unsafe_node_is_named_with_the_function_it_is_in() -> None:
    @tf.function
    def inner(x: Any) -> Any:
        return tf.strings.length(tf.io.read_file("/etc/hostname")) + x

    graph = graph_of(lambda x: inner(x), tf.TensorSpec((), tf.int32))
    with pytest.raises(ConversionError, match=r"ReadFile, node ReadFile of function __inference"):
        refuse_unsafe_nodes(graph, where="model.pb")


def test_functions_inside_of_a_condition_are_looked_into() -> None:
    def branch(x: Any) -> Any:
        return tf.numpy_function(lambda v: v, [x], tf.float32)

    graph = graph_of(lambda x: tf.cond(x > 0, lambda: branch(x), lambda: x), tf.TensorSpec(()))
    with pytest.raises(ConversionError, match="runs Python"):
        refuse_unsafe_nodes(graph, where="model.pb")


def test_what_the_outputs_do_not_need_does_no_harm() -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (), "x")
        tf.identity(x + 1, "y")
        tf.io.write_file("saved", tf.strings.as_string(x), name="save")
    refuse_unsafe_nodes(graph.as_graph_def(), where="model.pb", roots=["y:0"])
    with pytest.raises(ConversionError, match="node save"):
        refuse_unsafe_nodes(graph.as_graph_def(), where="model.pb", roots=["y:0", "^save"])


def test_printing_is_safe_but_not_into_a_file() -> None:
    graph = graph_of(lambda x: [tf.print(x), x][1], tf.TensorSpec(()))
    refuse_unsafe_nodes(graph, where="model.pb")
    path = "file:///somewhere/log"
    graph = graph_of(lambda x: [tf.print(x, output_stream=path), x][1], tf.TensorSpec(()))
    with pytest.raises(ConversionError, match="prints into a file"):
        refuse_unsafe_nodes(graph, where="model.pb")


def test_a_function_that_may_be_swapped_in_is_looked_into() -> None:
    graph = graph_pb2.GraphDef()
    for name, op in (("slow", "NoOp"), ("fast", "ReadFile")):
        function = graph.library.function.add()
        function.signature.name = name
        function.node_def.add(name="body", op=op)
        function.attr["api_implements"].s = b"lstm"
    graph.node.add(name="call", op="PartitionedCall").attr["f"].func.name = "slow"
    with pytest.raises(ConversionError, match="node body of function fast"):
        refuse_unsafe_nodes(graph, where="model.pb")


def table_model(vocabulary: Path, folder: Path) -> Path:
    """A SavedModel that looks words up in a table filled from an asset."""
    module = tf.Module()
    lines = tf.lookup.TextFileInitializer(
        str(vocabulary), tf.string, 0, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    module.table = tf.lookup.StaticHashTable(lines, -1)
    specs = [tf.TensorSpec((None,), tf.string, "words")]
    signature = tf.function(module.table.lookup, input_signature=specs)
    tf.saved_model.save(module, str(folder), signatures=signature)
    return folder


def test_a_table_from_the_models_own_assets_is_safe(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\nb\n")
    refuse_unsafe_saved_model(table_model(tmp_path / "words.txt", tmp_path / "sm"))


def test_an_asset_outside_of_the_saved_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\nb\n")
    graph = table_model(tmp_path / "words.txt", tmp_path / "sm") / "saved_model.pb"
    graph.write_bytes(graph.read_bytes().replace(b"\x12\x09words.txt", b"\x12\x09../../abc"))
    with pytest.raises(ConversionError, match=r"asset '../../abc'"):
        refuse_unsafe_saved_model(tmp_path / "sm")


def test_a_table_from_any_other_file_is_refused(tmp_path: Path) -> None:
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "words")])
    def lookup(words: Any) -> Any:
        table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
        tf.raw_ops.InitializeTableFromTextFileV2(
            table_handle=table, filename="/etc/hostname", key_index=-2, value_index=-1
        )
        missing = tf.constant(-1, tf.int64)
        return tf.raw_ops.LookupTableFindV2(table_handle=table, keys=words, default_value=missing)

    tf.saved_model.save(module, str(tmp_path / "sm"), signatures=lookup)
    with pytest.raises(ConversionError, match="not among the model's assets"):
        refuse_unsafe_saved_model(tmp_path / "sm")


@pytest.mark.parametrize("case", ["writefile_in_path", "writefile_main_op"])
def test_a_saved_model_of_tensorflow_1_that_writes_is_refused(case: str, hostile: Path) -> None:
    with pytest.raises(ConversionError, match="node WriteFile"):
        refuse_unsafe_saved_model(hostile / f"c05_savedmodel_{case}/sm")


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("no_data", "variables.data-00000-of-00001 is missing"),
        ("no_variables", "without the folder variables/"),
        ("no_pb", "no saved_model.pb"),
    ],
)
def test_what_a_damaged_saved_model_lacks_is_named(case: str, says: str, hostile: Path) -> None:
    with pytest.raises(ConversionError, match=says):
        refuse_unsafe_saved_model(hostile / f"c07_savedmodel_{case}/export")


def test_a_pointer_of_git_lfs_is_told_from_a_file(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    (tmp_path / "saved_model.pb").write_bytes(pointer)
    with pytest.raises(ConversionError, match=r"saved_model.pb is a Git LFS pointer"):
        refuse_unsafe_saved_model(tmp_path)
