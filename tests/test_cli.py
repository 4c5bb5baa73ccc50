from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from mlflow_tfconv.cli import RecipesGroup, recipes, templates
from mlflow_tfconv.errors import DeviceError


class FakeRecipe:
    """Notes what it is asked; the real one has tests of its own."""

    def __init__(self, profile: str, root: Path) -> None:
        self.asked = [(profile, root)]
        FakeRecipe.latest = self

    def run(self, step: str | None, *, verify: bool) -> None:
        self.asked.append(("verify" if verify else "run", step))  # type: ignore[arg-type]
        if step == "killed":
            os.kill(os.getpid(), signal.SIGTERM)

    def artifact_location(self, name: str) -> str:
        return f"/somewhere/{name}"

    def clean(self, step: str | None) -> None:
        raise DeviceError("There is no GPU.", received="cuda:0", fix="Set device: cpu.")

    def inspect(self, step: str | None) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe's folder; the current one is below it."""
    (tmp_path / "steps").mkdir()
    (tmp_path / "recipe.yaml").write_text('recipe: "tfconv/v1"\nsteps: {{X}}\n')
    monkeypatch.chdir(tmp_path / "steps")
    import mlflow_tfconv.recipe

    monkeypatch.setattr(mlflow_tfconv.recipe, "Recipe", FakeRecipe)
    return tmp_path


def call(*words: str, others: click.Group | None = None, **environ: str) -> Result:
    return CliRunner().invoke(recipes(others), list(words), env=environ)


def test_init_makes_a_recipe_and_says_how_to_go_on(tmp_path: Path) -> None:
    target = tmp_path / "my digits"
    result = call("init", "--template", "digits", str(target))
    assert result.exit_code == 0
    assert (target / "recipe.yaml").is_file()
    assert (target / "profiles/local.yaml").is_file()
    assert f"cd '{target}'" in result.output
    assert "mlflow recipes run --profile local" in result.output


def test_init_fills_an_empty_folder_and_leaves_a_full_one_alone(tmp_path: Path) -> None:
    assert call("init", "-t", "digits", str(tmp_path)).exit_code == 0
    again = call("init", "-t", "digits", str(tmp_path))
    assert again.exit_code == 1
    assert "not an empty folder" in again.output


def test_init_lists_what_there_is() -> None:
    assert "digits" in call("init", "--list").output
    missing = call("init", "--template", "nonsense", "x")
    assert missing.exit_code == 1
    assert "digits" in missing.output
    assert not Path("x").exists()


def test_every_template_is_a_recipe_of_ours() -> None:
    from mlflow_tfconv.cli import template_of

    assert {template_of(folder) for folder in templates().values()} == {"tfconv/v1"}


def test_run_works_below_the_recipe_s_folder(recipe: Path) -> None:
    result = call("run", "-p", "gpu", "--step", "train")
    assert result.exit_code == 0, result.output
    assert FakeRecipe.latest.asked == [("gpu", recipe), ("run", "train")]


def test_verify_reaches_the_recipe(recipe: Path) -> None:
    assert call("run", "--verify").exit_code == 0
    assert FakeRecipe.latest.asked[-1] == ("verify", None)


def test_a_killed_run_ends_in_order_and_says_by_its_exit_code_why(recipe: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert call("run", "-s", "killed").exit_code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_profile_comes_from_mlflow_s_variable(recipe: Path) -> None:
    call("run", MLFLOW_RECIPES_PROFILE="databricks")
    assert FakeRecipe.latest.asked[0] == ("databricks", recipe)
    call("run")
    assert FakeRecipe.latest.asked[0] == ("local", recipe)


def test_get_artifact_prints_where_it_is(recipe: Path) -> None:
    assert call("get-artifact", "--artifact", "onnx_model").output == "/somewhere/onnx_model\n"


def test_our_errors_are_red_words_without_a_traceback(recipe: Path) -> None:
    result = CliRunner().invoke(recipes(None), ["clean"], color=True)
    assert result.exit_code == 1
    assert result.output.startswith("\x1b[31mThere is no GPU.\n  Received: cuda:0")
    assert "Traceback" not in result.output


def test_ctrl_c_is_exit_code_130(recipe: Path) -> None:
    assert call("inspect").exit_code == 130


def test_another_template_gets_mlflow_s_own_command(recipe: Path) -> None:
    (recipe / "recipe.yaml").write_text("recipe: regression/v1  # theirs\n")
    others = click.Group("recipes")
    others.command("run")(lambda: click.echo("theirs"))
    assert call("run", others=others).output == "theirs\n"
    refused = call("run")
    assert refused.exit_code == 1
    assert "regression/v1" in refused.output


def test_the_group_replaces_only_what_it_has(recipe: Path) -> None:
    others = click.Group("recipes")
    others.command("run")(lambda: click.echo("theirs"))
    group = recipes(others)
    assert isinstance(group, RecipesGroup)
    assert group.get_command(click.Context(group), "run") is group.commands["run"]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from mlflow_tfconv.cli import recipes\n"
        "recipes(None)(['--help'], standalone_mode=False)\n"
        "heavy = {'tensorflow', 'numpy', 'pydantic', 'yaml', 'rich', 'mlflow'} & set(sys.modules)\n"
        "print('heavy', sorted(heavy))"
    )
    done: Any = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "heavy []"


def test_the_help_names_all_artifacts() -> None:
    from mlflow_tfconv.cli import ARTIFACTS
    from mlflow_tfconv.recipe_artifacts import NAMES

    assert ARTIFACTS == NAMES
    assert "benchmark_report" in call("get-artifact", "--help").output


def test_no_command_reports_to_mlflow_s_makers(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "x")  # so that it comes back after the test
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    assert call("get-artifact", "--artifact", "model").exit_code == 0
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
