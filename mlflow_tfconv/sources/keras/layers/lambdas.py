"""Lambda layers: program code, which is replaced by name and not executed."""

from __future__ import annotations

from typing import Any

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.bytecode import bytecode_of, function_from
from mlflow_tfconv.runtimes.layers_of_old.given_function import GivenFunction
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.plain import made
from mlflow_tfconv.sources.keras.translated import Translated


def given_function(layer: LayerConfig) -> Any:
    """What the user gives in place of a layer's code, or None."""
    layer.around.lambda_names.append(layer.name)
    function = layer.around.options.lambdas.get(layer.name)
    if function is not None:
        layer.around.lambdas_used.add(layer.name)
    return function


def _lambda(layer: LayerConfig) -> Translated:
    function = given_function(layer) or _custom(layer) or _trusted(layer)
    if function is None:
        raise lambda_refused(layer.name)
    arguments = layer.get("arguments")
    return made(
        GivenFunction,
        layer,
        function=function,
        keywords=arguments if isinstance(arguments, dict) else None,
    )


def lambda_refused(name: str) -> ConversionError:
    """The error for a Lambda that nothing replaces."""
    return ConversionError(
        f"This model is refused: layer {name!r} is a Lambda, which holds program code (marshalled "
        "bytecode of Python). It is not executed.",
        received=f"Lambda {name!r}",
        expected="a function in place of its code",
        fix=f'Say what it computes: lambdas={{"{name}": function}}, where the function takes and '
        "gives tensors, such as `lambda x: x / 127.5 - 1.0`.",
    )


def _custom(layer: LayerConfig) -> Any:
    """A Lambda of a named function holds the name alone."""
    named = layer.get("function")
    if layer.get("function_type") != "function" or not isinstance(named, str):
        return None
    return layer.around.options.custom_objects.get(named)


def _trusted(layer: LayerConfig) -> Any:
    """The code itself, when the user trusts it.

    Raises:
        ConversionError: It is bytecode of another Python, or damaged.
    """
    if not layer.around.options.trust:
        return None
    dumped = layer.get("function")
    defaults = dumped[1] if isinstance(dumped, list) and len(dumped) > 1 else None
    function = function_from(bytecode_of(dumped), defaults, f"the Lambda {layer.name!r}")
    layer.around.warnings.append(f"The program code of the Lambda {layer.name!r} was run.")
    return function


LAYERS: dict[str, Any] = {"Lambda": _lambda}
