"""What a user says about a source, as its readers take it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from mlflow_tfconv.data.user_code import load_user_module, user_function
from mlflow_tfconv.runtimes.names import tidy_names
from mlflow_tfconv.sources.options import SourceOptions
from mlflow_tfconv.steps.convert.config import USER_FILE, ConvertConfig
from mlflow_tfconv.steps.convert.request import Request

#: Custom layers are registered with Keras in these.
_REGISTERING = ("steps/train.py", USER_FILE)


def source_options(request: Request) -> SourceOptions:
    """The options, with the recipe's own code imported and its functions found.

    Raises:
        ConfigError: A function that the config names is not there.
    """
    config, given = request.config, request.given
    _register(request)
    return SourceOptions(
        inputs=_named(config.inputs),
        outputs=_named(config.outputs),
        weights=_path(config.weights, request.root),
        architecture=given.architecture or _architecture(config, request.root),
        signature=config.signature,
        tags=None if config.tags is None else frozenset(config.tags),
        original_backend=config.original_backend,
        lambdas={**_functions(config.lambdas, request.root), **given.lambdas},
        custom_objects={
            **given.registered,
            **_functions(config.custom_objects, request.root),
            **given.custom_objects,
        },
        use_ema=config.use_ema,
        shapes={name: tuple(shape) for name, shape in config.shapes.items()},
        trust=config.trust,
    )


def preprocessing_of(request: Request) -> Any:
    """What goes before the model, or None."""
    named = request.config.preprocessing
    if request.given.preprocessing is not None or named is None:
        return request.given.preprocessing
    return _function(named, request.root)


def _register(request: Request) -> None:
    """Makes Keras know the custom layers of the recipe, or of the caller."""
    for file in _REGISTERING if request.root is not None else ():
        if (request.root / file).is_file():  # type: ignore[operator]  # there is a root, see above
            load_user_module(request.root, file)  # type: ignore[arg-type]
    if request.given.registered:
        import keras

        known = keras.saving.get_custom_objects()
        for name, value in request.given.registered.items():
            known.setdefault(name, value)


def _named(tensors: tuple[str, ...] | Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Name to tensor; one that has no new name keeps its own, tidied."""
    if tensors is None or isinstance(tensors, Mapping):
        return tensors
    return dict(zip(tidy_names(tensors), tensors, strict=True))


def _path(text: str | None, root: Path | None) -> Path | None:
    return None if text is None else (root or Path()) / text


def _architecture(config: ConvertConfig, root: Path | None) -> Path | Callable[[], Any] | None:
    if config.architecture_function is not None and root is not None:
        return cast("Callable[[], Any]", _function(config.architecture_function, root))
    return _path(config.architecture, root)


def _functions(named: Mapping[str, str], root: Path | None) -> dict[str, Any]:
    return {name: _function(function, root) for name, function in named.items()}


def _function(name: str, root: Path | None) -> Any:
    return user_function(root or Path(), USER_FILE, name)
