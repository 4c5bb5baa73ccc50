"""Where TensorFlow has put the nodes of a function, from the graphs that it makes for each device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

from mlflow_tfconv.device import Device
from mlflow_tfconv.runtimes.runtime import Runtime
from mlflow_tfconv.steps.benchmark.worker.placement import Assignment, bare_name

#: What computes nothing: the ends of a function.
_ENDS = ("_Arg", "_Retval", "_DeviceArg", "_DeviceRetval", "NoOp")
_SENDS, _RECEIVES = ("_Send", "_HostSend"), ("_Recv", "_HostRecv")


def tensorflow_assignment(
    runtime: Runtime, batch: Mapping[str, np.ndarray[Any, Any]], device: Device
) -> Assignment:
    """The nodes by their devices, after TensorFlow's own placement and optimization.

    The function is traced once more: graphs are kept of functions that are made from here on.

    Args:
        runtime: With a TensorFlow function `call`.
        batch: What it is given.
        device: What was asked for.
    """
    call = getattr(runtime, "call")  # noqa: B009 (each of TensorFlow's runtimes has one)
    with tf.device("/CPU:0" if device.kind == "cpu" else "/GPU:0"):
        tensors = {name: tf.convert_to_tensor(value) for name, value in batch.items()}
        nodes = [node for graph in _graphs(call, tensors) for node in graph.node]
    working = [node for node in nodes if node.op not in (*_ENDS, *_SENDS, *_RECEIVES)]
    places = {bare_name(node.name): _short(node.device) for node in working}
    return Assignment(
        device=device,
        counts=Counter(_short(node.device) for node in working),
        places=places,
        copies=sum(node.op in _SENDS for node in nodes),
    )


def _graphs(call: Any, tensors: Mapping[str, Any]) -> list[Any]:
    """One for each device; `tf.summary.trace_on` switches on the same."""
    process = context.context()
    process.enable_graph_collection()
    try:
        tf.function(call, autograph=False)(tensors)
        told = process.export_run_metadata()
    finally:
        process.disable_graph_collection()
    return list(told.partition_graphs)


def _short(name: str) -> str:
    """As the profiler names it: "/device:GPU:0" of "/job:localhost/.../device:GPU:0"."""
    return name[name.find("/device:") :] if "/device:" in name else name
