"""The architecture of a model in a text: JSON, JSON in a JSON string, or YAML."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.keras.dialect import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What a text says of a model.

    Attributes:
        config: `class_name` and `config`.
        origin: What it says of the Keras that wrote it.
    """

    config: dict[str, Any]
    origin: Origin


def architecture_from_file(path: Path) -> Architecture:
    """The architecture in a JSON or YAML file; nothing in it is executed.

    Raises:
        ConversionError: It is neither, holds tags of Python objects, or is no architecture.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConversionError(
            "The architecture can't be read.",
            received=f"{path}: {error}",
            expected="a file that model.to_json or model.to_yaml wrote",
            fix="Check the path.",
        ) from error
    value = _json(text) if text.lstrip()[:1] in ("{", '"', "[") else _yaml(text, path)
    return architecture(value, path)


def architecture(value: Any, path: Path, what: str = "The architecture") -> Architecture:
    """The architecture in a text or in what a text was decoded to.

    Args:
        value: A text, bytes, or a decoded value.
        path: The file, for messages.
        what: What is to be called damaged.

    Raises:
        ConversionError: It is not JSON, or no architecture.
    """
    for _ in range(3):  # JSON was sometimes encoded twice
        if isinstance(value, bytes | str):
            value = _json(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)
    if isinstance(value, ValueError):
        raise ConversionError(
            f"{what} is not JSON: it is damaged or cut off.",
            received=f"{path}: {value}",
            expected="JSON with class_name and config",
            fix="Copy or download the file again, or save the model again.",
        ) from value
    if isinstance(value, list):
        value = {"class_name": "Sequential", "config": value}
    if not isinstance(value, dict) or "class_name" not in value:
        raise ConversionError(
            f"{what} is not one of a Keras model.",
            received=f"{path}: {str(value)[:200]}",
            expected="class_name and config, as model.to_json writes them",
            fix="Name the file that model.to_json or model.save wrote.",
        )
    origin = Origin(version=_text(value.get("keras_version")), backend=_text(value.get("backend")))
    return Architecture(config=value, origin=origin)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _json(text: str) -> Any:
    """What a JSON text holds, or the error that it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return ValueError(str(error))


def _yaml(text: str, path: Path) -> Any:
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 (a SafeLoader)
    except yaml.constructor.ConstructorError as error:
        raise ConversionError(
            "This YAML architecture is refused: it has tags that make Python objects.",
            received=f"{path}: {error.problem} ({_line(error)})",
            expected="YAML of plain values",
            fix="Don't use this file. If it is a model of your own with tuples "
            "(!!python/tuple), write them as plain lists.",
        ) from error
    except yaml.YAMLError as error:
        raise ConversionError(
            "The architecture is neither JSON nor YAML: it is damaged or cut off.",
            received=f"{path}: {' '.join(str(error).split())[:300]}",
            expected="a file that model.to_json or model.to_yaml wrote",
            fix="Copy or download the file again, or save the model again.",
        ) from error


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader; it also reads the tags that Python 2 and tuples left behind."""


_PLAIN: dict[str, Any] = {
    "tuple": yaml.SafeLoader.construct_sequence,
    "unicode": yaml.SafeLoader.construct_scalar,
    "str": yaml.SafeLoader.construct_scalar,
    "long": yaml.SafeLoader.construct_yaml_int,
}
for _tag, _made in _PLAIN.items():
    _PlainLoader.add_constructor(f"tag:yaml.org,2002:python/{_tag}", _made)


def _line(error: yaml.MarkedYAMLError) -> str:
    return "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}"
