"""A call of `convert` or `inspect_model`: its arguments checked, and made into a request."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow_tfconv.arguments import in_short, path_of, settings
from mlflow_tfconv.artifacts import ConvertedModel
from mlflow_tfconv.engine.events import Emit, ignore
from mlflow_tfconv.engine.guarded import Guard
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.runtimes.given_model import is_live_model, model_path
from mlflow_tfconv.runtimes.tolerance import tolerance_of
from mlflow_tfconv.steps.convert.config import ConvertConfig
from mlflow_tfconv.steps.convert.conversion import Conversion
from mlflow_tfconv.steps.convert.request import Given, Request, registered_with_keras
from mlflow_tfconv.steps.convert.workplace import LIVE_MODEL

#: Other names of the parts of a tolerance, as numpy calls them.
_PARTS = {"atol": "absolute", "rtol": "relative"}
#: A model that is converted on the CPU must not take a GPU's memory meanwhile.
_ENVIRON = {"CUDA_VISIBLE_DEVICES": "-1"}
#: With oneDNN TensorFlow's allocator keeps all that it ever had: with large weights some 400 MB
#: more at the same speed, and the source must be gone before its export is loaded.
_DEFAULTS = {"TF_ENABLE_ONEDNN_OPTS": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a caller has asked for.

    Attributes:
        source: A path, or a live `keras.Model`.
        plain: Arguments that a recipe.yaml could hold, fields of `ConvertConfig`.
        objects: Those that it could not, fields of `Given`.
        samples: What to compare on, or None.
        emit: Takes events, or None.
    """

    source: Any
    plain: Mapping[str, Any] = field(default_factory=dict)
    objects: Mapping[str, Any] = field(default_factory=dict)
    samples: Any = None
    emit: Emit | None = None

    def into(self, output: Path) -> ConvertedModel:
        """Converts.

        Raises:
            TfconvError: As `convert` says.
        """
        live = self.source if is_live_model(self.source) else None
        request = self.request(output / LIVE_MODEL if live is not None else None)
        emit = self.emit or ignore
        guard = self.guard(request, "Converting")
        conversion = Conversion(
            request=request, caller=guard, model=live, samples=self.samples, emit=emit
        )
        return conversion.into(output)[0]

    def request(self, place: Path | None = None) -> Request:
        """The arguments, checked.

        Args:
            place: Where a live model is said to come from; None for a source on disk.

        Raises:
            ConfigError: An argument can't be used.
        """
        config = settings(ConvertConfig, _plain(self.plain))
        path = place or model_path(self.source, "a path or a keras.Model")
        return Request(source=path, config=config, given=_given(self.objects, config))

    def guard(self, request: Request, doing: str) -> Guard:
        """Who runs it."""
        return Guard(
            what=f"{doing} {request.source.name}",
            memory_mb=request.config.memory_limit_mb,
            emit=self.emit or ignore,
            environ=_ENVIRON,
            defaults=_DEFAULTS,
        )


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a config, without those that were not given."""
    plain = {name: value for name, value in given.items() if value is not None}
    for name in ("weights", "architecture"):
        if name in plain:
            plain[name] = os.fspath(path_of(plain[name], f"`{name}`"))
    if isinstance(plain.get("tags"), set | frozenset):
        plain["tags"] = sorted(plain["tags"])
    if "shapes" in plain:
        plain["shapes"] = _shapes(plain["shapes"])
    return plain


def _shapes(given: Any) -> dict[str, tuple[int | None, ...]]:
    try:
        shapes = {name: tuple(shape) for name, shape in given.items()}
        sizes = [size for shape in shapes.values() for size in shape]
        if all(size is None or (isinstance(size, int) and size > 0) for size in sizes):
            return shapes
    except (TypeError, AttributeError):
        pass
    raise ConfigError(
        "`shapes` can't be used.",
        received=in_short(given),
        expected="input name to its whole shape, with None where it varies",
        fix='Write shapes={"image": (1, 224, 224, 3)}.',
    )


def _given(objects: Mapping[str, Any], config: ConvertConfig) -> Given:
    found = {name: value for name, value in objects.items() if value is not None}
    for name in ("lambdas", "custom_objects"):
        _require_mapping(name, found.get(name, {}))
    tolerance = found.get("tolerance")
    if isinstance(tolerance, Mapping):
        found["tolerance"] = {_PARTS.get(part, part): value for part, value in tolerance.items()}
    tolerance_of(found.get("tolerance"), config.precision or "float32")
    return Given(**found, registered=registered_with_keras())


def _require_mapping(name: str, value: Any) -> None:
    if not isinstance(value, Mapping) or not all(callable(one) for one in value.values()):
        raise ConfigError(
            f"`{name}` can't be used.",
            received=in_short(value),
            expected="a mapping of names to functions or classes",
            fix=f'Write {name}={{"name_of_the_layer": function}}.',
        )
