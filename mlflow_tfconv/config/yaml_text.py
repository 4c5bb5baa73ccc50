"""YAML as plain values, with the line of every key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from mlflow_tfconv.errors import ConfigError

Location = tuple[str | int, ...]
_STR = "tag:yaml.org,2002:str"
_FLOAT = "tag:yaml.org,2002:float"
_MERGE = "tag:yaml.org,2002:merge"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Gives what JSON can hold: 1e-4 is a number, a date is text, and so is every key."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as PyYAML has it)
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                key.tag = _STR
        return super().construct_mapping(node, deep=deep)


# YAML 1.1, which PyYAML reads, wants a point in it; YAML 1.2 and everybody else do not.
_Loader.add_implicit_resolver(_FLOAT, re.compile(r"^[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789"))


def parse_yaml(text: str, file: str) -> tuple[Any, dict[Location, str]]:
    """The values of a text, and "file, line n" of every key and item.

    Raises:
        ConfigError: It is no YAML, or holds what a recipe can't.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
        places = {} if node is None else dict(_places(node, (), file, ()))
        return yaml.load(text, Loader=_Loader), places  # noqa: S506 (it is a SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        fix = "Indent with spaces." if "'\\t'" in str(error.problem) else None
        raise ConfigError(f"{file}{line}: not YAML.", received=error.problem, fix=fix) from error
    except yaml.reader.ReaderError as error:
        line = f", line {text.count(chr(10), 0, error.position) + 1}"
        raise ConfigError(
            f"{file}{line}: not YAML.",
            received=f"the character {chr(int(error.character))!r}",
            fix="Remove it, or write it as an escape in double quotes.",
        ) from error


def _places(
    node: yaml.Node, at: Location, file: str, above: tuple[yaml.Node, ...]
) -> Iterator[tuple[Location, str]]:
    """Every key's line; a key that stands twice is an error, as YAML would drop the first."""
    if node in above or not node.tag.startswith(_PLAIN):
        raise _no_plain_value(node, at, file)
    for key, item, mark in _children(node):
        place = f"{file}, line {mark.line + 1}"
        if isinstance(node, yaml.MappingNode) and [k.value for k, _ in node.value].count(key) > 1:
            raise ConfigError(f"{place}: {dotted((*at, key))} is set twice.", fix="Remove one.")
        yield (*at, key), place
        yield from _places(item, (*at, key), file, (*above, node))


_PLAIN = tuple(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("str", "int", "float", "bool", "null", "seq", "map", "merge")
)


def _children(node: yaml.Node) -> Iterator[tuple[str | int, yaml.Node, yaml.Mark]]:
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            yield position, item, item.start_mark
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield key.value, value, key.start_mark


def _no_plain_value(node: yaml.Node, at: Location, file: str) -> ConfigError:
    return ConfigError(
        f"{file}, line {node.start_mark.line + 1}: {dotted(at)} has a value that can't be used.",
        received=node.tag.replace("tag:yaml.org,2002:", "!!")
        if not node.tag.startswith(_PLAIN)
        else "an alias of what it stands in",
        expected="text, a number, true, false, null, a list or a mapping",
    )


def dotted(location: Location) -> str:
    """`steps.compress.variants[1].name`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
