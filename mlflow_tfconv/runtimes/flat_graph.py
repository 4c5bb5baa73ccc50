"""The graph of a traced function with the functions that it calls put into it."""

from __future__ import annotations

from typing import Any

from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.grappler import tf_optimizer

from mlflow_tfconv.runtimes.inlined_calls import CALLS, with_inlined_calls

#: Attributes that keep a call from being replaced by what it calls (another implementation for
#: GPUs, compilation as a whole), or turn loops and branches into TensorFlow 1's.
_KEPT_APART = frozenset(
    {
        "_lower_using_switch_merge",
        "_noinline",
        "_XlaCompile",
        "_XlaMustCompile",
        "api_implements",
    }
)


def flat_graph(function: Any) -> Any:
    """The `GraphDef` of a `ConcreteFunction`, in which nothing is called any more.

    Loops and branches stay what they are; nothing else is optimized.
    """
    # With the shapes that only Python knows, such as those of what is looked up in a table.
    graph_def = function.graph.as_graph_def(add_shapes=True)
    for nodes in (graph_def.node, *(f.node_def for f in graph_def.library.function)):
        for node in nodes:
            for name in _KEPT_APART & set(node.attr):
                del node.attr[name]
    for inner in graph_def.library.function:
        for name in _KEPT_APART & set(inner.attr):
            del inner.attr[name]
    flat = _inlined(graph_def, function) if _calls(graph_def) else graph_def
    for node in flat.node:
        node.attr.pop("_class", None)  # who shares its device: it may be cut away
    return flat


def _calls(graph_def: Any) -> bool:
    """Whether anything is left to be inlined: a function traced at once has no calls."""
    functions = {function.signature.name for function in graph_def.library.function}
    return any(node.op in CALLS or node.op in functions for node in graph_def.node)


def _inlined(graph_def: Any, function: Any) -> Any:
    meta_graph = meta_graph_pb2.MetaGraphDef(graph_def=graph_def)
    fetched = meta_graph.collection_def["train_op"].node_list.value
    fetched.extend(tensor.name for tensor in (*function.inputs, *function.outputs))
    config = config_pb2.ConfigProto()
    rewrites = config.graph_options.rewrite_options
    rewrites.min_graph_nodes = -1  # small graphs too
    rewrites.optimizers.append("function")
    rewrites.function_optimization = RewriterConfig.AGGRESSIVE
    return with_inlined_calls(tf_optimizer.OptimizeGraph(config, meta_graph))
