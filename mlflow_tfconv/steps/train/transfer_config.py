"""What a training may start from, and what of it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.out_of_range import above

USER_FILE = "steps/train.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFromConfig:
    """A model to start from, and how it is read; the keys are those of `convert`.

    Attributes:
        path: The file, folder or checkpoint, relative to the recipe's folder: whatever `convert`
            reads into Keras, of any age.
        weights: The weights that belong to `path`, when that is an architecture alone.
        architecture: The architecture that belongs to `path`, when that holds weights alone: a file
            (Keras JSON or YAML, darknet cfg), or "steps/train.py:NAME" for a function without
            arguments that builds the model.
        inputs: Tensors or layers that are the model's inputs, or new name to such; an inner one
            cuts off what is before it.
        outputs: The same of its outputs: `[flatten]` leaves the head away.
        original_backend: What a model of Keras 1 was trained on; its file does not say.
        lambdas: Name of a Lambda layer to the function in steps/train.py that replaces it.
        custom_objects: Name of a layer, or of anything else in a Keras config, to the class or
            function in steps/train.py that it stands for.
        shapes: Input to its whole shape, null where it varies.
        trust: Whether code in Lambda layers of the file may be executed.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    path: str
    weights: str | None = None
    architecture: str | None = None
    inputs: tuple[str, ...] | dict[str, str] | None = None
    outputs: tuple[str, ...] | dict[str, str] | None = None
    original_backend: Literal["tensorflow", "theano"] | None = None
    lambdas: dict[str, str] = field(default_factory=dict)
    custom_objects: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[int | None, ...]] = field(default_factory=dict)
    trust: bool = False

    @property
    def architecture_function(self) -> str | None:
        """The function in steps/train.py that builds the model."""
        file, colon, name = (self.architecture or "").partition(":")
        return name if colon and file == USER_FILE else None

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are read; their content decides a re-run."""
        architecture = None if self.architecture_function else self.architecture
        return tuple(file for file in (self.path, self.weights, architecture) if file is not None)

    @property
    def user_functions(self) -> tuple[str, ...]:
        """What steps/train.py must have."""
        named = (*self.lambdas.values(), *self.custom_objects.values(), self.architecture_function)
        return tuple(dict.fromkeys(name for name in named if name is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileConfig:
    """How the model of `start_from` is trained when steps/train.py has no `model_fn`.

    Attributes:
        loss: Name of a loss of Keras, or output to name.
        optimizer: Name of an optimizer of Keras.
        metrics: Names of metrics of Keras.
        from_logits: Whether the model ends without the softmax or sigmoid that the loss expects.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    loss: str | dict[str, str]
    optimizer: str = "adam"
    metrics: tuple[str, ...] = ()
    from_logits: bool = False


def check_transfer(
    start_from: object, compiled: object, rates: Mapping[str, float], unfreeze_after: Any
) -> None:
    """Refuses keys of transfer learning that mean nothing, and rates that are none.

    Raises:
        ConfigError: One is.
    """
    if compiled is not None and start_from is None:
        raise ConfigError(
            "train.compile needs a model to compile.",
            received="compile, without start_from",
            expected="start_from: PATH",
            fix="Name the model in `start_from`, or write `model_fn`, which compiles its own.",
        )
    for pattern, rate in rates.items():
        above(0, f"learning_rates[{pattern!r}]", rate)
    if unfreeze_after is not None:
        above(0, "unfreeze_after", unfreeze_after)
