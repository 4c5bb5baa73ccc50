"""Different learning rates for different layers, with whatever optimizer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.layer_paths import longest_match, matched_layers
from mlflow_tfconv.steps.train.learning_rate import optimizer_of


def use_layer_rates(model: Any, rates: Mapping[str, float], initial: float) -> None:
    """Lets the optimizer move weights of the named layers at rates of their own.

    What is scaled is the learning rate, and the decay of weights with it, not the gradient, which
    Adam and its like divide by its own size. A schedule scales all rates alike. Methods of this one
    optimizer are replaced, its class and config stay: the saved model is like any other.

    Args:
        model: Built and compiled, of Keras 3 or tf_keras.
        rates: Pattern of names or paths of layers to the rate at the start; of several patterns the
            longest decides.
        initial: The optimizer's own rate at the start, for all other weights.

    Raises:
        ConfigError: A pattern is about no layer, or the optimizer can't do it.
    """
    matched_layers(model, rates, key="learning_rates")
    optimizer = optimizer_of(model)
    # FTRL makes weights anew out of its sums, whatever they were: there is nothing to scale.
    if not hasattr(optimizer, "update_step") or type(optimizer).__name__ == "Ftrl":
        raise _unable(optimizer)
    patterns = longest_match(model, rates)
    # Keras looks its own variables up by this; what update_step gets may be the variable inside.
    key = optimizer._var_key
    factors = {
        key(weight): rates[patterns[id(weight)]] / initial
        for weight in model.weights
        if id(weight) in patterns
    }

    def factor(variable: Any) -> float:
        return factors.get(key(variable), 1.0)

    methods = vars(optimizer)
    methods["update_step"] = _scaled_update(optimizer, factor)
    decay = next(n for n in ("_apply_weight_decay", "apply_weight_decay") if hasattr(optimizer, n))
    methods[decay] = _scaled_decay(optimizer, getattr(optimizer, decay), factor)


def _scaled_update(optimizer: Any, factor: Callable[[Any], float]) -> Callable[..., None]:
    update = optimizer.update_step
    if len(inspect.signature(update).parameters) > 2:

        def of_keras3(gradient: Any, variable: Any, learning_rate: Any) -> None:
            update(gradient, variable, learning_rate * factor(variable))

        return of_keras3

    def of_tf_keras(gradient: Any, variable: Any) -> None:
        # This Keras reads the rate inside; only while the step is traced it is another.
        attribute = "_learning_rate"
        rate = optimizer.learning_rate
        kept = vars(optimizer)[attribute]
        vars(optimizer)[attribute] = rate * factor(variable)
        try:
            update(gradient, variable)
        finally:
            vars(optimizer)[attribute] = kept

    return of_tf_keras


def _scaled_decay(
    optimizer: Any, decay: Callable[..., None], factor: Callable[[Any], float]
) -> Callable[..., None]:
    def scaled(variables: Iterable[Any]) -> None:
        kept = optimizer.weight_decay
        if not kept:
            decay(variables)
            return
        groups: dict[float, list[Any]] = {}
        for variable in variables:
            groups.setdefault(factor(variable), []).append(variable)
        try:
            for times, members in groups.items():
                vars(optimizer)["weight_decay"] = kept * times
                decay(members)
        finally:
            vars(optimizer)["weight_decay"] = kept

    return scaled


def _unable(optimizer: Any) -> ConfigError:
    kind = type(optimizer)
    return ConfigError(
        "This optimizer can't have learning rates by layer.",
        received="no optimizer" if optimizer is None else f"{kind.__module__}.{kind.__name__}",
        expected="one optimizer of keras.optimizers, or of tf_keras.optimizers but for Ftrl "
        "and the legacy ones",
        fix="Compile the model with such an optimizer, or take `learning_rates` out.",
    )
