"""ONNX files as strangers make them: every type, shape, name and fault that a file can have.

`KINDS` names them all; each is made into a file of that name in a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx_of_known_cost import of_activations, of_matrices, of_rounds, of_weights, saved, value

Make = Callable[[Path], Path]
_TOO_MANY = 2**62


def one_node(
    operation: str,
    *,
    kind: int = TensorProto.FLOAT,
    gives: int | None = None,
    shape: Any = ("n", 4),
    out: Any = ("n", 4),
    second: Any = None,
    opset: int = 17,
    **attributes: Any,
) -> Make:
    """`y = operation(x)`, or `operation(x, second)` with a constant.

    Args:
        operation: Type of the node.
        kind: Element type of `x`, and of `y` unless `gives` says otherwise.
        gives: Element type of `y`.
        shape: Of `x`.
        out: Of `y`.
        second: Array of the constant.
        opset: Of the file.
        attributes: Of the node.
    """

    def make(path: Path) -> Path:
        constants = [] if second is None else [numpy_helper.from_array(np.array(second), "c")]
        names = ["x", *(constant.name for constant in constants)]
        graph = helper.make_graph(
            [helper.make_node(operation, names, ["y"], **attributes)],
            "one",
            [value("x", kind, shape)],
            [value("y", gives or kind, out)],
            constants,
        )
        return saved(graph, path, opset=opset)

    return make


def graph_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    **constants: Any,
) -> Make:
    """A graph as it is given; the constants are its initializers by name."""

    def make(path: Path) -> Path:
        kept = [numpy_helper.from_array(np.array(v), name) for name, v in constants.items()]
        return saved(helper.make_graph(nodes, "graph", inputs, outputs, kept), path)

    return make


def named(given: str, gives: str) -> Make:
    """`gives = given + given`, for names that trip those who make files or keywords of them."""
    return graph_of(
        [helper.make_node("Add", [given, given], [gives])], [value(given)], [value(gives)]
    )


def of_many_outputs(count: int) -> Make:
    """Outputs y_0, y_1, ..."""
    names = [f"y_{number}" for number in range(count)]
    return graph_of(
        [helper.make_node("Relu", ["x"], [name]) for name in names],
        [value("x")],
        [value(name) for name in names],
    )


def grown(path: Path) -> Path:
    """A loop that doubles a tensor in each round, until there is no memory left."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Concat", ["state", "state"], ["after"], axis=0),
        ],
        "body",
        [
            value("round", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("state", shape=None),
        ],
        [value("on", TensorProto.BOOL, []), value("after", shape=None)],
    )
    return graph_of(
        [helper.make_node("Loop", ["rounds", "", "x"], ["y"], body=body)],
        [value("x")],
        [value("y", shape=["m", 4])],
        rounds=np.int64(_TOO_MANY),
    )(path)


def crash(path: Path) -> Path:
    """Divides the smallest int64 by -1, which ends the process with SIGFPE on x86 (a bug of
    ONNX Runtime up to 1.31 at least: only a divisor of 0 is checked)."""
    smallest, minus_one = np.array([np.iinfo(np.int64).min]), np.array([-1])
    return graph_of(
        [
            helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.INT64),
            helper.make_node("Mul", ["whole", "zero"], ["zeros"]),
            helper.make_node("Add", ["zeros", "smallest"], ["numbers"]),
            helper.make_node("Mod", ["numbers", "minus_one"], ["y"]),
        ],
        [value("x")],
        [value("y", TensorProto.INT64)],
        zero=np.array([0]),
        smallest=smallest,
        minus_one=minus_one,
    )(path)


def damaged(change: Callable[[bytes], bytes]) -> Make:
    """An ordinary file whose bytes are changed."""

    def make(path: Path) -> Path:
        of_matrices(path, 16)
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def of_versions(opset: int, ir: int) -> Make:
    """A file that says that it is of these versions."""

    def make(path: Path) -> Path:
        model = onnx.load(of_matrices(path, 16))
        model.opset_import[0].version, model.ir_version = opset, ir
        path.write_bytes(model.SerializeToString())
        return path

    return make


def unknown_operation(path: Path) -> Path:
    """A file with an operation of somebody's own, as contrib and plugin makers write them."""
    node = helper.make_node("Frobnicate", ["x"], ["y"], domain="com.example")
    graph = helper.make_graph([node], "own", [value("x")], [value("y")])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    )
    return path


def without_its_data(path: Path) -> Path:
    """A file whose external data was not copied with it."""
    of_weights(path, 100_000, external=True)
    path.with_name(f"{path.name}.data").unlink()
    return path


def folder(path: Path) -> Path:
    """A folder that is called like a file."""
    path.mkdir()
    return path


def text(path: Path) -> Path:
    """Text that is called like a model."""
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
    return path


def sequence(path: Path) -> Path:
    """An output that is a sequence of tensors."""
    kind = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("SplitToSequence", ["x"], ["y"], axis=1)
    return graph_of([node], [value("x")], [kind])(path)


def optional(path: Path) -> Path:
    """An output that is optional."""
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", 4])
    kind = helper.make_value_info("y", helper.make_optional_type_proto(tensor))
    return graph_of([helper.make_node("Optional", ["x"], ["y"])], [value("x")], [kind])(path)


def sequence_of_maps(path: Path) -> Path:
    """Probabilities as scikit-learn's exporter writes them: a list of {class: probability}."""
    key_and_value = helper.make_map_type_proto(
        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    )
    kind = helper.make_value_info("y", helper.make_sequence_type_proto(key_and_value))
    node = helper.make_node(
        "ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2, 3]
    )
    return graph_of([node], [value("x")], [kind])(path)


_INT32, _INT64, _BOOL = TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL

#: Costs and types that ONNX Runtime knows: all of these can be measured.
MEASURED: dict[str, Make] = {
    "dense": lambda path: of_matrices(path, 16),
    "activations": lambda path: of_activations(path, 4_000_000),
    "weights": lambda path: of_weights(path, 1_000_000),
    "external": lambda path: of_weights(path, 1_000_000, external=True),
    "rounds": lambda path: of_rounds(path, 3),
    "float16": one_node("Relu", kind=TensorProto.FLOAT16),
    "bfloat16": one_node("Identity", kind=TensorProto.BFLOAT16),
    "float8": one_node("Identity", kind=TensorProto.FLOAT8E4M3FN, opset=19),
    "double": one_node("Exp", kind=TensorProto.DOUBLE),
    "uint8": one_node("Cast", kind=TensorProto.UINT8, gives=TensorProto.FLOAT, to=1),
    "int8": one_node("Abs", kind=TensorProto.INT8),
    "uint64": one_node("Identity", kind=TensorProto.UINT64),
    "bool": one_node("Not", kind=_BOOL),
    "strings": one_node("Identity", kind=TensorProto.STRING),
    "words": one_node(
        "StringConcat", kind=TensorProto.STRING, shape=["n"], out=["n"], second="!", opset=20
    ),
    "fixed_batch": one_node("Relu", shape=[3, 4], out=[3, 4]),
    "batch_last": one_node("Transpose", shape=[4, "n"], out=["n", 4], perm=[1, 0]),
    "varying": one_node("Relu", shape=["n", "length", 4], out=["n", "length", 4]),
    "scalar_input": one_node("Exp", shape=[], out=[]),
    "scalar_output": one_node("ReduceMean", out=[], keepdims=0, axes=[0, 1]),
    "nonzero": one_node("NonZero", gives=_INT64, out=[2, "found"]),
    "empty_output": graph_of(
        [helper.make_node("Slice", ["x", "start", "end", "axis"], ["y"])],
        [value("x")],
        [value("y", shape=["n", 0])],
        start=np.array([2]),
        end=np.array([2]),
        axis=np.array([1]),
    ),
    "sequence": sequence,
    "optional": optional,
    "maps": sequence_of_maps,
    "no_inputs": graph_of(
        [helper.make_node("RandomUniform", [], ["y"], shape=[2, 3])], [], [value("y", shape=[2, 3])]
    ),
    "two_batches": graph_of(
        [
            helper.make_node("Transpose", ["b"], ["turned"], perm=[1, 0]),
            helper.make_node("MatMul", ["a", "turned"], ["y"]),
        ],
        [value("a"), value("b", shape=["m", 4])],
        [value("y", shape=["n", "m"])],
    ),
    "table_input": graph_of(
        [helper.make_node("MatMul", ["x", "table"], ["y"])],
        [value("x"), value("table", shape=[4, 7])],
        [value("y", shape=["n", 7])],
    ),
    "slashes": named("model/in/x:0", "model/out/y:0"),
    "unicode": named("größe 魚", "ergebnis → 🐟"),
    "dots": named("..", "../../y"),
    "keywords": named("file", "self"),
    "long_name": named("x" * 5000, "y" * 5000),
    "many_outputs": of_many_outputs(300),
}

#: What breaks, and what its failure says.
BROKEN: dict[str, tuple[Make, str]] = {
    "complex": (one_node("Identity", kind=TensorProto.COMPLEX64), "complex64"),
    "int4": (
        one_node(
            "DequantizeLinear",
            kind=TensorProto.INT4,
            gives=TensorProto.FLOAT,
            second=np.float32(1),
            opset=21,
        ),
        "int4",
    ),
    "crash": (crash, "SIGFPE"),
    "out_of_range": (
        graph_of(
            [helper.make_node("Gather", ["table", "x"], ["y"])],
            [value("x", _INT64)],
            [value("y", shape=["n", 4, 3])],
            table=np.ones((1, 3), np.float32),
        ),
        "out of data bounds",
    ),
    "new_opset": (of_versions(99, 10), "opset"),
    "new_ir": (of_versions(17, 99), "IR"),
    "truncated": (damaged(lambda data: data[: len(data) // 2]), "load"),
    "half_a_header": (damaged(lambda data: data[:3]), "load"),
    "empty": (damaged(lambda data: b""), "load"),
    "text": (text, "load"),
    "folder": (folder, ""),
    "own_operation": (unknown_operation, "Frobnicate"),
    "without_data": (without_its_data, "data"),
    "huge": (
        graph_of(
            [
                helper.make_node("ReduceMean", ["x"], ["one"], axes=[0, 1], keepdims=1),
                helper.make_node("Expand", ["one", "shape"], ["large"]),
                helper.make_node("ReduceMax", ["large"], ["y"], keepdims=1),
            ],
            [value("x")],
            [value("y", shape=[1, 1])],
            shape=np.array([1, 2**50]),
        ),
        "alloc",
    ),
}
