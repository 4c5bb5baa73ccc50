"""A function that a user gives in place of a Lambda layer's code."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras


class GivenFunction(keras.layers.Layer):  # type: ignore[misc]
    """Calls the function; no file can hold it, so a model with it can't be saved as `.keras`.

    Args:
        function: Takes the input, or the list of inputs, and gives tensors.
        keywords: What the original gave its own code besides.
        arguments: Those of every layer.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        keywords: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self._function = function
        self._keywords = _taken(function, keywords or {})

    def call(self, inputs: Any) -> Any:
        """What the function gives."""
        return self._function(inputs, **self._keywords)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None: Lambda layers pass no mask on."""

    def get_config(self) -> dict[str, Any]:
        """There is none.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            f"layer {self.name!r} is a function that was given for a Lambda; no file can hold it"
        )


def _taken(function: Callable[..., Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the arguments that the function takes: a replacement may have them built in."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(keywords)
    return {name: value for name, value in keywords.items() if name in parameters}
