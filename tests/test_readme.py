"""What the README says is so: its Python runs, its commands and files exist, its tables are made."""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_type_hints

import click
import jsonschema
import pytest
import yaml

from mlflow_tfconv.config.recipe_config import StepsConfig, read_recipe
from mlflow_tfconv.config.reference import BEGIN, END, SCHEMA_FILE, schema_text, with_reference
from mlflow_tfconv.config.template import available_profiles
from mlflow_tfconv.config.validation import validate

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECIPES = sorted(file.parent for file in ROOT.glob("recipes/*/recipe.yaml"))
OURS = ("recipes", "examples", "tests", "mlflow_tfconv", ".ci", "LICENSE", "pyproject.toml")


def blocks(language: str) -> Iterator[tuple[int, str]]:
    """Line number and text of each fenced block of a language."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    for found in fence.finditer(README):
        yield README.count("\n", 0, found.start(1)) + 1, found[1]


def test_its_python_blocks_run_in_order(tmp_path: Path) -> None:
    found = list(blocks("python"))
    assert found
    script = ""
    for line, text in found:
        script += "\n" * (line - 1 - script.count("\n")) + text  # errors name the README's lines
    (tmp_path / "README.py").write_text(script, encoding="utf-8")
    (tmp_path / "home").mkdir()
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")},
        "HOME": str(tmp_path / "home"),
        "MLFLOW_RECIPES_EXECUTION_DIRECTORY": str(tmp_path / "state"),
    }
    run = subprocess.run(
        [sys.executable, "README.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr[-4000:]


@pytest.mark.parametrize(("line", "text"), list(blocks("yaml")))
def test_its_parts_of_recipe_yaml_are_understood(line: int, text: str) -> None:
    for step, config in yaml.safe_load(text).items():
        kind = get_type_hints(StepsConfig)[step]
        validate(kind, config, ("steps", step), lambda at: f"README.md, line {line}: {at}")


def test_its_reference_of_recipe_yaml_is_what_the_config_classes_say() -> None:
    assert (README.count(BEGIN), README.count(END)) == (1, 1)
    mend = "run `python -m mlflow_tfconv.config.reference`"
    assert with_reference(README) == README, mend


def test_the_published_schema_is_what_the_config_classes_say() -> None:
    mend = "run `python -m mlflow_tfconv.config.reference`"
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), mend


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    content = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(content)
    return jsonschema.Draft202012Validator(content)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_the_schema_takes_every_recipe_with_every_profile(
    recipe: Path, schema: jsonschema.Draft202012Validator
) -> None:
    for profile in available_profiles(recipe):
        assert [e.message for e in schema.iter_errors(resolved(recipe, profile))] == []


@pytest.mark.parametrize(
    ("at", "right", "wrong"),
    [
        ((), "device", "devise"),
        (("steps",), "train", "trian"),
        (("steps", "train"), "epochs", "epoch"),
        (("steps", "compress", "variants", 0), "quantize", "quantise"),
        (("steps", "register", "validation_criteria", 0), "metric", "metrik"),
    ],
)
def test_the_schema_refuses_a_misspelt_key(
    at: tuple[Any, ...], right: str, wrong: str, schema: jsonschema.Draft202012Validator
) -> None:
    data = resolved(ROOT / "recipes/digits", "local")
    section = data
    for key in at:
        section = section[key]
    section[wrong] = section.pop(right)
    assert not schema.is_valid(data)


def test_the_schema_takes_a_step_of_ones_own_with_its_own_keys(
    schema: jsonschema.Draft202012Validator,
) -> None:
    data = resolved(ROOT / "recipes/digits", "local")
    data["steps"]["train"] = {"using": "steps.my_train.MyTrain", "planets": 8}
    assert [e.message for e in schema.iter_errors(data)] == []


def resolved(recipe: Path, profile: str) -> Any:
    """A recipe as plain values that a test may change."""
    return copy.deepcopy(json.loads(json.dumps(read_recipe(recipe, profile).data)))


def commands(*programs: str) -> list[list[str]]:
    """The words of each command in the README's bash blocks that starts one of these programs."""
    found = []
    for _, text in blocks("(?:bash|sh|console)"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            found += [part for part in _parts(words) if Path(part[0]).name in programs]
    return found


def _parts(words: list[str]) -> Iterator[list[str]]:
    """The single commands of a line."""
    part: list[str] = []
    for word in [*words, "&&"]:
        if word in ("&&", "||", "|", ";", "&"):
            if part:
                yield part
            part = []
        elif part or not re.fullmatch(r"[A-Z_]+=.*", word):
            part.append(word)


@pytest.mark.mlflow
def test_its_commands_exist_with_their_options() -> None:
    import mlflow.cli

    from mlflow_tfconv.__main__ import main

    found = commands("mlflow", "tfconv")
    assert found
    for program, *words in found:
        _parse(mlflow.cli.cli if Path(program).name == "mlflow" else main, words)


def _parse(command: click.Command, words: list[str]) -> None:
    """As click does, but for whether files exist.

    Raises:
        click.UsageError: There is no such command, option or choice.
    """
    context = click.Context(command)
    if isinstance(command, click.Group):
        inner = command.get_command(context, words[0])
        assert inner is not None, f"{command.name} has no command {words[0]}"
        return _parse(inner, words[1:])
    values, rest, _ = command.make_parser(context).parse_args(list(words))
    assert rest == [], f"{command.name} does not take {rest}"
    for parameter in command.params:
        if isinstance(parameter.type, click.Choice) and parameter.name in values:
            given = values[parameter.name]
            for value in given if isinstance(given, list | tuple) else [given]:
                parameter.type.convert(value, parameter, context)
    return None


def test_the_templates_that_it_names_exist() -> None:
    for program, *words in commands("mlflow"):
        named = dict(pairwise(words))
        template = named.get("--template", named.get("-t"))
        assert template in (None, *(recipe.name for recipe in RECIPES)), (program, words)


def test_the_extras_that_it_names_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"(?:mlflow-tfconv|(?<=['\" ])\.)\[([\w,]+)\]", README)
    assert {extra for names in named for extra in names.split(",")} <= set(
        project["optional-dependencies"]
    )


def test_its_links_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in headings}
    for target in re.findall(r"\]\(([^)\s]+)\)", README):
        file, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        assert not file or (ROOT / file).exists(), target
        assert file or anchor in anchors, target


def test_the_files_that_it_names_exist() -> None:
    named = [n.rstrip("/") for n in re.findall(r"`([\w.][\w./-]*)`", README)]
    ours = [name for name in named if name.split("/")[0] in OURS]
    assert [name for name in ours if not (ROOT / name).exists()] == []
