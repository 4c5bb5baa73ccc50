"""The reference of recipe.yaml, made from the config classes: for editors and for the README.

`python -m mlflow_tfconv.config.reference` writes both anew; a test keeps them true.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter

from mlflow_tfconv.config.recipe_config import RecipeConfig
from mlflow_tfconv.config.validation import type_name
from mlflow_tfconv.engine.atomic import write_text

SCHEMA_FILE = Path(__file__).parents[1] / "recipe.schema.json"
BEGIN, END = "<!-- reference of recipe.yaml: begin -->", "<!-- reference of recipe.yaml: end -->"


_OWN_STEP = {
    "description": "A step class of your own, named by its import path, with its own keys.",
    "type": "object",
    "required": ["using"],
    "properties": {"using": {"type": "string", "pattern": "[.:]"}},
}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of recipe.yaml with its profile filled in, every key described."""
    schema = TypeAdapter(RecipeConfig).json_schema()
    described = {kind.__name__: kind for kind in _config_classes(RecipeConfig)}
    for name, part in {**schema.get("$defs", {}), "RecipeConfig": schema}.items():
        if name in described:
            _describe(part, described[name])
    for step in schema["$defs"]["StepsConfig"]["properties"].values():
        step["anyOf"].insert(1, _OWN_STEP)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "recipe.yaml",
        **schema,
    }


def _describe(part: dict[str, Any], kind: type) -> None:
    meanings = _meanings(kind)
    part["description"] = _summary(kind)
    for key, field in part["properties"].items():
        if "$ref" not in field:
            field.pop("title", None)
            field["description"] = meanings[key]


def markdown() -> str:
    """The reference for people: a table a section of recipe.yaml."""
    return "\n\n".join(_section(path, kind) for path, kind in _sections("", RecipeConfig))


def _sections(path: str, kind: type) -> Iterator[tuple[str, type]]:
    yield path, kind
    for name, hint in get_type_hints(kind).items():
        for inner, suffix in _nested(hint):
            yield from _sections(f"{path}.{name}{suffix}" if path else f"{name}{suffix}", inner)


def _nested(hint: Any) -> Iterator[tuple[type, str]]:
    """The config classes below a type, and whether they stand in a list."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        yield hint, ""
    for inner in get_args(hint):
        for kind, suffix in _nested(inner):
            in_list = (
                not isinstance(hint, types.UnionType) and getattr(hint, "__origin__", None) is tuple
            )
            yield kind, "[]" + suffix if in_list else suffix


def _config_classes(kind: type) -> Iterator[type]:
    for _, inner in _sections("", kind):
        yield inner


def _section(path: str, kind: type) -> str:
    title = f"#### `{path}`" if path else "#### The top of the file"
    hints, meanings = get_type_hints(kind), _meanings(kind)
    rows = [
        f"| `{field.name}` | {_escaped(type_name(hints[field.name]))} | {_default(field)} "
        f"| {_escaped(meanings[field.name])} |"
        for field in dataclasses.fields(kind)
    ]
    head = "| key | value | default | meaning |\n|---|---|---|---|"
    return "\n".join([f"{title}\n\n{_summary(kind)}\n", head, *rows])


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
        return "see below" if dataclasses.is_dataclass(value) else f"`{json.dumps(value)}`"
    if field.default is dataclasses.MISSING:
        return "**required**"
    if field.default is None:
        return "-"
    if dataclasses.is_dataclass(field.default):
        return "see below"
    return f"`{json.dumps(field.default)}`"


def _summary(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").partition("\n\nAttributes:")[0].split())


def _meanings(kind: type) -> dict[str, str]:
    """The lines of a docstring's `Attributes:` section, by name."""
    section = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def with_reference(readme: str) -> str:
    """A README with the reference between its marks made anew."""
    before, _, rest = readme.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{markdown()}\n\n{END}{after}"


def schema_text() -> str:
    """The published schema file's text."""
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    write_text(SCHEMA_FILE, schema_text())
    readme_file = Path(__file__).parents[2] / "README.md"
    write_text(readme_file, with_reference(readme_file.read_text(encoding="utf-8")))
