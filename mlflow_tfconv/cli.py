"""The `mlflow recipes` commands; everything heavy is imported by the command that needs it."""

from __future__ import annotations

import atexit
import gc
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from mlflow_tfconv.interruption import ended_in_order

TEMPLATE = "tfconv/v1"
_PROFILE = click.option(
    "--profile",
    "-p",
    envvar="MLFLOW_RECIPES_PROFILE",
    default="local",
    show_default=True,
    show_envvar=True,
    help="Which file of profiles/ to use.",
)
# Those of recipe_artifacts.py, whose import takes longer than the help may.
ARTIFACTS = (
    "dataset",
    "model",
    "saved_model",
    "onnx_model",
    "variants",
    "benchmark_report",
    "registered_model_version",
    "run",
)
_NOT_COPIED = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "metadata", "*.pyc")


class RecipesGroup(click.Group):
    """Our commands; in the folder of another template those of MLflow 2.22.

    Attributes:
        others: MLflow's own `recipes` group, or None where it has none.
    """

    others: click.Group | None = None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command for the recipe of the current folder."""
        if self.others is not None and cmd_name in self.others.commands and not _is_ours():
            return self.others.get_command(ctx, cmd_name)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command, of which MLflow 3 reports nothing to its makers unless the user says so."""
        from mlflow_tfconv.tracking.telemetry import switch_off

        switch_off()
        return super().invoke(ctx)


def recipes(others: click.Group | None) -> RecipesGroup:
    """The `recipes` group.

    Args:
        others: MLflow's own group, which gets the recipes of other templates; None without one.
    """
    group = RecipesGroup("recipes", help="Make, run and inspect recipes of TensorFlow models.")
    group.others = others
    for command in (init, run, inspect, clean, get_artifact):
        group.add_command(command)
    return group


def find_root(start: Path) -> Path | None:
    """The folder at or above `start` that holds a recipe.yaml, or None."""
    return next((d for d in (start, *start.parents) if (d / "recipe.yaml").is_file()), None)


def template_of(root: Path) -> str | None:
    """What `recipe:` says, read without YAML: variables of profiles are not resolved yet."""
    text = (root / "recipe.yaml").read_text(encoding="utf-8-sig", errors="replace")
    found = re.search(r"""^recipe\s*:\s*["']?([^"'#\s]+)""", text, re.MULTILINE)
    return found[1] if found else None


def _is_ours() -> bool:
    root = find_root(Path.cwd())
    return root is None or template_of(root) == TEMPLATE


def templates() -> dict[str, Path]:
    """Template name to its folder: those of the wheel, or of the source checkout."""
    here = Path(__file__).parent
    home = next(d for d in (here / "templates", here.parent / "recipes") if d.is_dir())
    return {d.name: d for d in sorted(home.iterdir()) if (d / "recipe.yaml").is_file()}


def _describe_templates() -> str:
    lines = ["Available templates:"]
    for name, folder in templates().items():
        first = (folder / "recipe.yaml").read_text(encoding="utf-8").partition("\n")[0]
        lines.append(f"  {name:<16} {first.lstrip('# ')}")
    return "\n".join(lines)


@contextmanager
def _spoken_errors() -> Iterator[None]:
    """Our errors are a red message and exit code 1, Ctrl-C is exit code 130."""
    from mlflow_tfconv.errors import TfconvError

    # Python ends with a search for garbage, which takes a second among MLflow's modules.
    atexit.register(gc.freeze)
    try:
        yield
    except TfconvError as error:
        first, _, rest = str(error).partition("\n")
        click.secho(f"{first}\n{rest}".rstrip(), fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _recipe(profile: str) -> Any:
    from mlflow_tfconv.errors import ConfigError

    root = find_root(Path.cwd())
    if root is not None and not _is_ours():
        raise ConfigError(
            f"{root / 'recipe.yaml'} is made for another template.",
            received=f"recipe: {template_of(root)}",
            expected=f'recipe: "{TEMPLATE}"',
            fix="Other templates are MLflow's own; it has none of them from version 3 on.",
        )
    from mlflow_tfconv.recipe import Recipe

    return Recipe(profile=profile, root=root or Path.cwd())


@click.command()
@click.option("--template", "-t", help="Which template to copy; see --list.")
@click.option("--list", "list_them", is_flag=True, help="Say which templates there are.")
@click.argument("directory", required=False, type=click.Path(path_type=Path))
def init(template: str | None, list_them: bool, directory: Path | None) -> None:
    """Make a recipe in DIRECTORY from a template."""
    with _spoken_errors():
        if list_them:
            click.echo(_describe_templates())
            return
        _copy_template(template, directory)
        click.echo(f"Made the recipe {template} in {directory}. Next:")
        click.echo(f"  cd {shlex.quote(str(directory))}")
        click.echo("  mlflow recipes run --profile local")


def _copy_template(template: str | None, directory: Path | None) -> None:
    from mlflow_tfconv.errors import ConfigError

    if template not in templates():
        raise ConfigError(
            "There is no such template.",
            received="no --template" if template is None else repr(template),
            expected=_describe_templates(),
            fix="mlflow recipes init --template NAME DIRECTORY",
        )
    if directory is None:
        raise ConfigError(
            "It is not said where the recipe should go.",
            fix=f"mlflow recipes init --template {template} DIRECTORY",
        )
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise ConfigError(
            "The target is not an empty folder; nothing was written.",
            received=directory,
            expected="a folder that is empty or does not exist yet",
            fix="Name another folder, or move what is in it.",
        )
    shutil.copytree(templates()[template], directory, ignore=_NOT_COPIED, dirs_exist_ok=True)


@click.command()
@click.option("--step", "-s", help="Run up to this step; without it, all steps.")
@_PROFILE
@click.option(
    "--verify", is_flag=True, help="Read every file again instead of trusting size and times."
)
def run(step: str | None, profile: str, verify: bool) -> None:
    """Run the recipe, or one step and those it needs."""
    with _spoken_errors(), ended_in_order():
        _recipe(profile).run(step, verify=verify)


@click.command()
@click.option("--step", "-s", help="Show the card of this step; without it, the whole recipe.")
@_PROFILE
def inspect(step: str | None, profile: str) -> None:
    """Show the steps with their states, or the result of one."""
    with _spoken_errors():
        _recipe(profile).inspect(step)


@click.command()
@click.option("--step", "-s", help="Free the results of this step; without it, of all.")
@_PROFILE
def clean(step: str | None, profile: str) -> None:
    """Free the stored results, under every profile; they are made again by the next run."""
    with _spoken_errors():
        _recipe(profile).clean(step)


@click.command("get-artifact")
@click.option("--artifact", "-a", required=True, help=f"One of {', '.join(ARTIFACTS)}.")
@_PROFILE
def get_artifact(artifact: str, profile: str) -> None:
    """Say where an artifact of the recipe is."""
    with _spoken_errors():
        click.echo(_recipe(profile).artifact_location(artifact))
