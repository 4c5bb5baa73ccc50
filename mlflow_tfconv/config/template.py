"""recipe.yaml with the variables of a profile filled in, and where each key stands."""

from __future__ import annotations

import difflib
import json
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from mlflow_tfconv.config.yaml_text import Location, dotted, parse_yaml
from mlflow_tfconv.errors import ConfigError

__all__ = [
    "Location",
    "RecipeText",
    "available_profiles",
    "dotted",
    "read_recipe_text",
    "suggestion",
]
RECIPE_FILE = "recipe.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeText:
    """A resolved recipe: plain values, and the place of every key.

    Attributes:
        data: recipe.yaml with the profile's variables and keys.
        places: Location of a key to "file, line n".
    """

    data: dict[str, Any]
    places: Mapping[Location, str]

    def place(self, location: Location) -> str:
        """Where a key stands, or the nearest key above it that stands anywhere."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.places:
                return self.places[location[:end]]
        return "recipe.yaml"


def read_recipe_text(root: Path, profile: str) -> RecipeText:
    """Reads `recipe.yaml` and `profiles/<profile>.yaml` of a recipe.

    Upper-case keys of the profile are Jinja variables of recipe.yaml; its other keys are laid over
    the recipe's, as in MLflow's own recipes.

    Raises:
        ConfigError: A file is missing or is no YAML mapping, or a variable has no value.
    """
    variables, overlay, overlay_places = _read_profile(root, profile)
    source = _read_file(root / "recipe.yaml", root)
    rendered = _render(source, variables, profile)
    data, places = _parse(rendered, "recipe.yaml")
    _lay_over(data, overlay)
    return RecipeText(data=data, places={**places, **overlay_places})


def available_profiles(root: Path) -> list[str]:
    """Names of the recipe's profiles."""
    return sorted(path.stem for path in (root / "profiles").glob("*.yaml"))


def suggestion(word: str, words: Iterable[str]) -> str | None:
    """The question "Did you mean ...?", when something is near enough."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else None


def _read_profile(
    root: Path, profile: str
) -> tuple[dict[str, Any], dict[str, Any], dict[Location, str]]:
    name = f"profiles/{profile}.yaml"
    if not (root / name).is_file():
        known = available_profiles(root)
        raise ConfigError(
            f"The recipe in {root} has no profile {profile!r}.",
            received=profile,
            expected=f"one of {', '.join(known)}" if known else "a file in profiles/",
            fix=suggestion(profile, known) or f"Write {name}, or name another with --profile.",
        )
    data, places = _parse(_read_file(root / name, root), name)
    variables = {key: value for key, value in data.items() if key.isupper()}
    overlay = {key: value for key, value in data.items() if not key.isupper()}
    return variables, overlay, {at: place for at, place in places.items() if at[0] in overlay}


def _read_file(path: Path, root: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path.name} is missing in {root}.",
            fix="Run this in a recipe's folder; `mlflow recipes init` makes one.",
        ) from error
    except UnicodeDecodeError as error:
        line = path.read_bytes().count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path.relative_to(root)}, line {line}: not UTF-8 text.",
            received=str(error),
            fix="Save the file as UTF-8.",
        ) from error


def _render(source: str, variables: Mapping[str, Any], profile: str) -> str:
    environment = jinja2.Environment(  # noqa: S701 (YAML, not HTML)
        undefined=jinja2.StrictUndefined, finalize=_as_yaml, keep_trailing_newline=True
    )
    try:
        return environment.from_string(source).render(variables)
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(
            f"recipe.yaml, line {error.lineno}: the Jinja template is damaged.",
            received=error.message,
            fix="Variables are written as {{NAME}}.",
        ) from error
    except Exception as error:  # a template can do whatever Python can
        raise _failed_template(error, variables, profile) from error


def _as_yaml(value: Any) -> Any:
    """Text stays as it is, so that it can be part of a longer one; the rest becomes JSON."""
    if isinstance(value, str | jinja2.Undefined):
        return value
    return json.dumps(value)


def _failed_template(error: Exception, variables: Mapping[str, Any], profile: str) -> ConfigError:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == "<template>"]
    where = f"recipe.yaml, line {lines[-1]}" if lines else "recipe.yaml"
    words = str(error).split("'")
    if not isinstance(error, jinja2.UndefinedError) or words[-1] != " is undefined":
        return ConfigError(
            f"{where}: the Jinja template fails.", received=f"{type(error).__name__}: {error}"
        )
    name = words[1]
    return ConfigError(
        f"{where}: the variable {name} has no value.",
        received=f"profiles/{profile}.yaml sets {', '.join(variables) or 'no variables'}",
        expected=f"a line `{name}: ...` there",
        fix=suggestion(name, variables) or f"Add it to profiles/{profile}.yaml.",
    )


def _parse(text: str, file: str) -> tuple[dict[str, Any], dict[Location, str]]:
    data, places = parse_yaml(text, file)
    if data is None and file != RECIPE_FILE:
        return {}, {}  # a profile that sets nothing
    if not isinstance(data, dict):
        raise ConfigError(
            f"{file} is no mapping of names to values.",
            received="an empty file" if data is None else type(data).__name__,
            expected="keys and values, such as `steps:`",
        )
    return data, places


def _lay_over(data: dict[str, Any], overlay: Mapping[str, Any]) -> None:
    for key, value in overlay.items():
        if isinstance(value, Mapping) and isinstance(data.get(key), dict):
            _lay_over(data[key], value)
        else:
            data[key] = value
