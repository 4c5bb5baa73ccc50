from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.mlflow
PACKAGE_HOME = Path(__file__).parents[1]
Python = Callable[..., "subprocess.CompletedProcess[str]"]
needs_own_recipes = pytest.mark.skipif(
    importlib.util.find_spec("mlflow.recipes") is None, reason="MLflow 3 has no recipes of its own"
)


@pytest.fixture
def python(tmp_path: Path) -> Python:
    """Runs code in a fresh process where the plugin is installed: its entry point is found."""
    info = tmp_path / "site/plugin_under_test-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-under-test\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[mlflow.run_context_provider]\ntfconv = mlflow_tfconv.plugin:RecipeRunContext\n"
    )

    def run(code: str, *, cwd: Path = tmp_path, installed: bool = True, **environ: str):  # type: ignore[no-untyped-def]
        path = [str(PACKAGE_HOME), *([str(info.parent)] if installed else [])]
        return subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), **environ},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=True,
        )

    return run


@pytest.fixture
def regression(tmp_path: Path) -> Path:
    """A recipe of MLflow 2.22's own."""
    folder = tmp_path / "regression"
    (folder / "profiles").mkdir(parents=True)
    (folder / "recipe.yaml").write_text(
        'recipe: "regression/v1"\ntarget_col: y\nprimary_metric: root_mean_squared_error\n'
        "steps:\n  ingest: {{INGEST_CONFIG}}\n"
    )
    (folder / "profiles/local.yaml").write_text(
        "experiment:\n  name: r\n  tracking_uri: sqlite:///r.db\n"
        "INGEST_CONFIG:\n  using: csv\n  location: ./data.csv\n"
    )
    return folder


def test_importing_mlflow_loads_the_plugin_and_nothing_else_of_ours(python: Python) -> None:
    loaded = python(
        "import mlflow, sys\n"
        "print(sorted(m for m in sys.modules if m.startswith(('mlflow_tfconv', 'tensorflow'))))"
    ).stdout
    ours = ["mlflow_tfconv", "mlflow_tfconv.environment", "mlflow_tfconv.plugin"]
    assert loaded.strip() == str(ours)


def test_the_plugin_costs_at_most_30_ms(python: Python) -> None:
    code = (
        "import mlflow, sys, time\n"
        # Bytecode is kept, as it is after any installation.
        "sys.dont_write_bytecode, sys.pycache_prefix = False, 'pycache'\n"
        "spans = []\n"
        "for _ in range(5):\n"
        "    for name in [m for m in sys.modules if m.startswith(('wrapt', 'mlflow_tfconv'))]:\n"
        "        del sys.modules[name]\n"
        "    begun = time.process_time_ns()\n"
        "    import mlflow_tfconv.plugin\n"
        "    spans.append((time.process_time_ns() - begun) / 1e6)\n"
        "print(min(spans))"
    )
    assert float(python(code).stdout) < 30


def test_runs_are_tagged_with_recipe_profile_and_step(python: Python) -> None:
    code = (
        "from mlflow.tracking.context.registry import resolve_tags\n"
        "tags = resolve_tags()\n"
        "print({k: tags[k] for k in sorted(tags) if k.startswith(('tfconv', 'mlflow.source.n'))})"
    )
    environ = {"MLFLOW_TFCONV_RECIPE": "digits", "MLFLOW_TFCONV_STEP": "train"}
    tags = python(code, **environ).stdout.strip()
    wanted = "'mlflow.source.name': 'digits', 'tfconv.recipe': 'digits', 'tfconv.step': 'train'"
    assert tags == f"{{{wanted}}}"
    assert python(code).stdout.strip() == "{'mlflow.source.name': '-c'}"


def test_mlflow_has_our_commands(python: Python) -> None:
    code = "import mlflow.cli; print(sorted(mlflow.cli.cli.commands['recipes'].commands))"
    commands = python(code).stdout.strip()
    assert commands == "['clean', 'get-artifact', 'init', 'inspect', 'run']"


def test_a_command_line_that_is_imported_already_is_joined_at_once(python: Python) -> None:
    code = (
        "import mlflow.cli, mlflow_tfconv.plugin\n"
        "print('init' in mlflow.cli.cli.commands['recipes'].commands)"
    )
    assert python(code, installed=False).stdout.strip() == "True"


@pytest.mark.parametrize("missing", ["wrapt", "mlflow_tfconv.cli", "mlflow_tfconv.plugin"])
def test_whatever_is_broken_mlflow_is_imported_with_a_warning(python: Python, missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None\nimport mlflow.cli; print('fine')"
    done = python(code)
    assert done.stdout.strip() == "fine"
    assert "tfconv" in done.stderr


@needs_own_recipes
def test_mlflow_s_factory_finds_our_recipe(python: Python, tmp_path: Path) -> None:
    python(
        f"from mlflow_tfconv.cli import recipes; recipes(None)(['init', '-t', 'digits', {str(tmp_path / 'r')!r}], standalone_mode=False)"
    )
    code = "from mlflow.recipes import Recipe; r = Recipe(profile='local'); print(type(r), r.root)"
    found = python(code, cwd=tmp_path / "r" / "steps").stdout
    assert found.strip() == f"<class 'mlflow_tfconv.recipe.Recipe'> {(tmp_path / 'r').resolve()}"


@needs_own_recipes
def test_mlflow_s_factory_finds_its_own_recipes(python: Python, regression: Path) -> None:
    code = "from mlflow.recipes import Recipe; print(type(Recipe(profile='local')))"
    found = python(code, cwd=regression).stdout
    assert found.strip() == "<class 'mlflow.recipes.regression.v1.recipe.RegressionRecipe'>"


@needs_own_recipes
def test_the_commands_of_another_template_are_mlflow_s_own(
    python: Python, regression: Path
) -> None:
    code = (
        "import click, mlflow.cli, mlflow.recipes.cli as own\n"
        "group = mlflow.cli.cli.commands['recipes']\n"
        "print([group.get_command(click.Context(group), name) is own.commands.commands[name]"
        " for name in ('run', 'inspect', 'clean', 'get-artifact')])\n"
        "print(group.get_command(click.Context(group), 'init').name)"
    )
    assert python(code, cwd=regression).stdout.split() == [
        "[True,",
        "True,",
        "True,",
        "True]",
        "init",
    ]


@needs_own_recipes
def test_another_template_s_run_reaches_mlflow_s_steps(python: Python, regression: Path) -> None:
    code = (
        "import mlflow.cli\n"
        "try:\n"
        "    mlflow.cli.cli(['recipes', 'clean', '-p', 'local'], standalone_mode=False)\n"
        "    print('cleaned')\n"
        "except Exception as e:\n"
        "    print(repr(e))\n"
    )
    done = python(code, cwd=regression, MLFLOW_RECIPES_EXECUTION_DIRECTORY=str(regression / "x"))
    assert done.stdout.strip() == "cleaned"
