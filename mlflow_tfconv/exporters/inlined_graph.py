"""The graph of a traced function with the functions it calls put into it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, rewriter_config_pb2
from tensorflow.python.framework.convert_to_constants import disable_lower_using_switch_merge
from tensorflow.python.grappler import tf_optimizer

#: Attributes that keep a call from being replaced by what it calls: another implementation that
#: may be chosen (cuDNN's for an LSTM), compilation as a whole (Keras' convolution in groups).
_KEPT_APART = frozenset({"api_implements", "_XlaCompile", "_XlaMustCompile", "_noinline"})


def inlined_graph(function: Any) -> Any:
    """The `GraphDef` of a `ConcreteFunction`; loops and conditions stay calls of functions.

    As TensorFlow's freezing does it, for calls too that are to be compiled as a whole.
    """
    graph_def = disable_lower_using_switch_merge(function.graph.as_graph_def())
    for called in graph_def.library.function:
        _forget(called.attr)
        for node in called.node_def:
            _forget(node.attr)
    for node in graph_def.node:
        _forget(node.attr)
    with tf.Graph().as_default():
        meta_graph = tf.compat.v1.train.export_meta_graph(graph_def=graph_def)
    kept = meta_graph_pb2.CollectionDef()
    kept.node_list.value.extend(tensor.name for tensor in (*function.inputs, *function.outputs))
    meta_graph.collection_def["train_op"].CopyFrom(kept)
    return tf_optimizer.OptimizeGraph(_only_inlining(), meta_graph)


def _forget(attributes: Any) -> None:
    for name in _KEPT_APART & set(attributes):
        del attributes[name]


def _only_inlining() -> config_pb2.ConfigProto:
    config = config_pb2.ConfigProto()
    options = config.graph_options.rewrite_options
    options.min_graph_nodes = -1  # small graphs too
    options.optimizers.append("function")
    options.function_optimization = rewriter_config_pb2.RewriterConfig.AGGRESSIVE
    return config
