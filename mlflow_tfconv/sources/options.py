"""What a user may say about a source that its files leave open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """How a source is to be read; with nothing said, everything is inferred.

    Attributes:
        inputs: Name to tensor ("x" to "batch:0"), Keras layer or signature key; None infers. An
            inner tensor cuts the graph there.
        outputs: The same of outputs.
        weights: The weights that belong to an architecture.
        architecture: The architecture that belongs to weights: a file (Keras JSON or YAML, darknet
            cfg, a MetaGraph or graph), or a function without arguments that builds the model.
        signature: Key of the SavedModel's signature.
        tags: Tags of the SavedModel's MetaGraph.
        original_backend: What a Keras model was trained on; decides how kernels are laid out.
        lambdas: Name of a Lambda layer to the function that replaces it.
        custom_objects: Name to class or function that a Keras config refers to.
        use_ema: True takes the moving averages of weights instead of the weights, a text names
            their suffix, False takes the weights; None decides, and says that there was a choice.
        shapes: Input name to its whole shape, None where it varies.
        trust: Whether what a foreign file says may be executed: Lambda bytecode, operations that
            touch files, links to other files.
    """

    inputs: Mapping[str, str] | None = None
    outputs: Mapping[str, str] | None = None
    weights: Path | None = None
    architecture: Path | Callable[[], Any] | None = None
    signature: str | None = None
    tags: frozenset[str] | None = None
    original_backend: Literal["tensorflow", "theano"] | None = None
    lambdas: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    custom_objects: Mapping[str, Any] = field(default_factory=dict)
    use_ema: bool | str | None = None
    shapes: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    trust: bool = False
