"""What tf2onnx lacks: operations it has no handler for, and passes that give the same bytes again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from tf2onnx import optimizer
from tf2onnx.optimizer.merge_duplicated_nodes_optimizer import MergeDuplicatedNodesOptimizer


def _erfc(graph: Any, node: Any, _name: str, _args: Any) -> None:
    """erfc(x) = 1 - erf(x): the exact GELU of Keras."""
    dtype = graph.get_dtype(node.output[0])
    one = np.ones((), dtype=np.float64 if dtype == 11 else np.float32)
    shape = graph.get_shape(node.output[0])
    erf = graph.make_node("Erf", [node.input[0]], dtypes=[dtype], shapes=[shape])
    graph.remove_node(node.name)
    graph.make_node(
        "Sub",
        [graph.make_const(f"{node.name}_one", one).output[0], erf.output[0]],
        outputs=[node.output[0]],
        name=node.name,
        dtypes=[dtype],
        shapes=[shape],
    )


class _MergeInOrder(MergeDuplicatedNodesOptimizer):  # type: ignore[misc]  # tf2onnx has no types
    """Keeps the duplicate whose name comes first, not the one whose memory address does."""

    def _del_nodes_if_duplicated(self, nodes_group: list[Any], graph: Any) -> None:
        super()._del_nodes_if_duplicated(sorted(nodes_group, key=lambda n: str(n.name)), graph)


#: TensorFlow operation to its handler, as tf2onnx takes them.
OPERATIONS: dict[str, tuple[Any, list[Any]]] = {"Erfc": (_erfc, [])}

#: tf2onnx's own passes, in its order.
OPTIMIZERS = OrderedDict(
    (name, _MergeInOrder if name == "merge_duplication" else factory)
    for name, factory in optimizer._get_optimizers().items()
)
