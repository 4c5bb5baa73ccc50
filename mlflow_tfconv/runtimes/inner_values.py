"""The inner tensors of a model, by names that it shares with the models made from it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.runtimes.runtime import Runtime

Array = np.ndarray[Any, Any]
Batch = Mapping[str, Array]
_CALLS = re.compile(r"(?:^|(?<=/))(?:Stateful)?PartitionedCall(?:_\d+)?/")


class InnerValues(ABC):
    """A model that can tell any of its tensors.

    Attributes:
        order: Names of the tensors that can be asked for, each after those it is computed from.
        outputs: Name of an output to its tensor.
    """

    order: Sequence[str]
    outputs: Mapping[str, str]

    @abstractmethod
    def before(self, tensor: str) -> Iterable[str]:
        """The tensors that one is computed from at once."""

    @abstractmethod
    def values(self, batch: Batch, tensors: Sequence[str]) -> dict[str, Array]:
        """Their values for a batch; tensors that the batch leaves without one are not there."""


def short_name(tensor: str) -> str:
    """A tensor's name without the calls by which the function that it is in was reached."""
    return _CALLS.sub("", tensor)


def inner_values(runtime: Runtime) -> InnerValues | None:
    """Those of a loaded model, or None when it is of a kind that can't tell them."""
    if hasattr(runtime, "session"):
        from mlflow_tfconv.runtimes.onnx_inner_values import OnnxInnerValues

        return OnnxInnerValues(Path(runtime.path))
    if hasattr(runtime, "call"):
        from mlflow_tfconv.runtimes.function_inner_values import inner_values_of_call

        return inner_values_of_call(runtime.call, runtime.inputs, runtime.outputs)
    return None
