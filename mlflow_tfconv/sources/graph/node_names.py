"""What a node's name tells: chosen by somebody, or TensorFlow's own."""

from __future__ import annotations

import re

from tensorflow.python.framework import op_def_registry

from mlflow_tfconv.sources.graph.graph_view import Node

_NUMBER = re.compile(r"_\d+$")
#: Names that TensorFlow's Python functions give to their last node, other than its operation.
_DEFAULTS = frozenset(
    [
        "abs",
        "accuracy",
        "add",
        "addv2",
        "and",
        "all",
        "any",
        "argmax",
        "batchnorm",
        "bias_add",
        "cast",
        "checknumerics",
        "check_numerics",
        "clip_by_value",
        "concat",
        "cond",
        "div",
        "dropout",
        "embedding_lookup",
        "equal",
        "expand_dims",
        "flatten",
        "floordiv",
        "gather",
        "gather_nd",
        "group",
        "identity",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "log_softmax",
        "logical_and",
        "logical_not",
        "logical_or",
        "logistic_loss",
        "matmul",
        "max",
        "maximum",
        "mean",
        "merge",
        "min",
        "minimum",
        "mod",
        "mul",
        "neg",
        "negative",
        "not",
        "not_equal",
        "one_hot",
        "ones",
        "ones_like",
        "or",
        "pack",
        "packed",
        "preventgradient",
        "print",
        "pow",
        "range",
        "reduce_mean",
        "reduce_sum",
        "relu",
        "reshape",
        "round",
        "select",
        "sigmoid",
        "slice",
        "softmax",
        "split",
        "sqrt",
        "square",
        "squeeze",
        "stack",
        "stop_gradient",
        "stopgradient",
        "strided_slice",
        "sub",
        "sum",
        "tensordot",
        "tofloat",
        "toint32",
        "toint64",
        "todouble",
        "transpose",
        "truediv",
        "unstack",
        "variance",
        "where",
        "xw_plus_b",
        "zeros",
        "zeros_like",
    ]
)
_LOSS = re.compile(
    r"loss|cost|accuracy|metric|cross_?entropy|xentropy|x_ent|correct|error|regulari|penalty"
    r"|evaluat|(^|/)acc(/|$)|mean_squared|(^|/)mse(/|$)|optimi[sz]er"
    r"|objective|divergence|summar(y|ies)",
    re.IGNORECASE,
)
_LOGITS = re.compile(r"logits?|scores?|unscaled|pre_?softmax|pre_?activation", re.IGNORECASE)
_EVALUATION = re.compile(r"test|infer|predict|eval|deploy|serv", re.IGNORECASE)
_VALIDATION = re.compile(r"valid|dev(/|_|$)", re.IGNORECASE)


def leaf(name: str) -> str:
    """The last part of a name, without the number that makes it unique."""
    return _NUMBER.sub("", name.rsplit("/", 1)[-1])


def is_chosen(node: Node) -> bool:
    """Whether somebody chose the node's name."""
    last = leaf(node.name)
    if last.lower() in _DEFAULTS or op_def_registry.get(last) is not None:
        return False
    return last.lower().replace("_", "") != re.sub(r"v\d$", "", node.op.lower())


def in_loss(name: str) -> bool:
    """Whether a scope around the node says that a loss or a metric is computed in it."""
    return bool(_LOSS.search(name.rpartition("/")[0]))


def says_logits(node: Node) -> bool:
    """Whether the node, or the layer that it ends, is called logits or scores."""
    parts = node.name.split("/")
    named = parts[-1] if is_chosen(node) or len(parts) == 1 else parts[-2]
    return bool(_LOGITS.search(named))


def evaluation_rank(name: str) -> int:
    """0 of names that speak of testing or predicting, 1 of validation, 2 of others, 3 of training.

    Of several equal computations, that of the lowest rank is the one to convert.
    """
    if _EVALUATION.search(name):
        return 0
    if _VALIDATION.search(name):
        return 1
    return 3 if "train" in name.lower() else 2
