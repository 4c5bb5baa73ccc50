"""What is to be converted and how: all that travels to the process which does it."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.user_files import is_installed
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.convert.config import ConvertConfig
from mlflow_tfconv.steps.convert.samples import SampleSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a caller gives that no recipe.yaml can hold.

    Attributes:
        architecture: Builds the model.
        lambdas: Name of a Lambda layer to the function that replaces it.
        custom_objects: Name to class or function that a Keras config refers to.
        registered: Name to what the caller has registered with Keras under it.
        preprocessing: What goes before the model.
        tolerance: What `tolerance_of` takes.
    """

    architecture: Callable[[], Any] | None = None
    lambdas: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    custom_objects: Mapping[str, Any] = field(default_factory=dict)
    registered: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Any = None
    tolerance: Any = None

    def named(self) -> Iterator[tuple[str, Any]]:
        """Each object with the words for it in a message."""
        yield "`architecture`", self.architecture
        yield "`preprocessing`", self.preprocessing
        for argument in ("lambdas", "custom_objects"):
            for name, value in getattr(self, argument).items():
                yield f"`{argument}[{name!r}]`", value
        for name, value in self.registered.items():
            yield f"what is registered with Keras as {name!r}", value


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One conversion, or one look at a model.

    Attributes:
        source: The model's path.
        config: What is asked for in plain values.
        given: What is asked for in objects.
        root: The recipe's folder, where relative paths begin and user code lies; None without one.
        samples: Gives the examples to compare on; None makes some up.
        device: Where to compute.
        work: The folder of this conversion.
        export: The format that is looked closer at, when one was found to differ.
        prepared: Whether the SavedModel and the source's answers are in `work` already: those of a
            live model, which only its own process has.
        layers: Names of a live model's layers.
    """

    source: Path
    config: ConvertConfig = field(default_factory=ConvertConfig)
    given: Given = field(default_factory=Given)
    root: Path | None = None
    samples: SampleSource | None = None
    device: Device = field(default_factory=Device)
    work: Path = Path()
    export: str = ""
    prepared: bool = False
    layers: tuple[str, ...] = ()


def pickled(request: Request) -> bytes:
    """The request with the caller's functions and classes.

    What an installed package defines travels by its name, all else by its code.

    Raises:
        ConfigError: An object holds what can't travel, such as an open file.
    """
    objects = [value for _, value in request.given.named() if value is not None]
    if not objects:
        return pickle.dumps(request)
    import cloudpickle  # only user code needs it

    with _by_value(objects):
        try:
            return cloudpickle.dumps(request)  # type: ignore[no-any-return]  # it has no types
        except Exception as error:
            raise _stuck(request.given, cloudpickle.dumps) from error


def registered_with_keras() -> dict[str, Any]:
    """What this process has registered with Keras, as far as it can travel."""
    keras = sys.modules.get("keras")
    if keras is None:
        return {}
    import cloudpickle  # only user code needs it

    found = dict(keras.saving.get_custom_objects())
    travelling = {}
    with _by_value(found.values()):
        for name, value in found.items():
            with suppress(Exception):  # the model may not need it
                cloudpickle.dumps(value)
                travelling[name] = value
    return travelling


@contextmanager
def _by_value(objects: Iterable[Any]) -> Iterator[None]:
    """Lets the code travel that no other process could import."""
    import cloudpickle

    modules = {module for one in objects if (module := _own_module(one)) is not None}
    known = cloudpickle.list_registry_pickle_by_value()
    ours = [module for module in modules if module.__name__ not in known]
    for module in ours:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in ours:
            cloudpickle.unregister_pickle_by_value(module)


def _own_module(value: Any) -> ModuleType | None:
    """The module of a function, class or instance, when it is the user's own."""
    name = getattr(value, "__module__", None) or type(value).__module__
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    return module if file is not None and not is_installed(Path(file)) else None


def _stuck(given: Given, dumps: Callable[[Any], bytes]) -> ConfigError:
    for words, value in given.named():
        try:
            dumps(value)
        except Exception as error:  # noqa: BLE001 (whatever pickling it runs into is the answer)
            return ConfigError(
                f"{words} can't be sent to the process that converts.",
                received=f"{type(error).__name__}: {str(error)[:300]}",
                expected="a function or class that holds no open files, locks or sessions",
                fix="Make what it needs inside of it.",
            )
    return ConfigError("The arguments can't be sent to the process that converts.")
