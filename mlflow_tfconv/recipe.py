"""A recipe as an object: run it, look at it, free what it stored, get what it made."""

from __future__ import annotations

import hashlib
import os
import sys
import webbrowser
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console

from mlflow_tfconv.config.recipe_config import ResolvedRecipe, read_recipe
from mlflow_tfconv.config.template import suggestion
from mlflow_tfconv.engine.atomic import write_text
from mlflow_tfconv.engine.card_html import card_html, overview_html
from mlflow_tfconv.engine.card_text import card_text
from mlflow_tfconv.engine.lock import only_run
from mlflow_tfconv.engine.overview import overview_text, step_views
from mlflow_tfconv.engine.store import Store, StoredResult
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.recipe_run import RecipeRun, stored_results


class Recipe:
    """A folder with a recipe.yaml, under one of its profiles.

    Args:
        profile: Which file of `profiles/` to use.
        root: The recipe's folder, or one below it.

    Raises:
        ConfigError: There is no recipe, or it can't be used as it is.
    """

    def __init__(self, profile: str = "local", root: str | os.PathLike[str] = ".") -> None:
        self.root = _find_root(Path(root))
        self.profile = profile
        self.store = Store(_state_folder(self.root))
        self._resolve()

    def _resolve(self) -> ResolvedRecipe:
        """The recipe as its files are now: people edit them between two calls."""
        return read_recipe(self.root, self.profile)

    def run(self, step: str | None = None, *, verify: bool = False) -> None:
        """Runs what is missing or out of date, and shows what came out.

        Args:
            step: Run up to this step; None runs all.
            verify: Read every file again instead of trusting size, times and inode.

        Raises:
            TfconvError: Something is wrong with the recipe, or a step failed.
            BusyError: Another run of this recipe is under way.
        """
        recipe = self._resolve()
        self._check_step(recipe, step)
        with only_run(self.store.root):
            RecipeRun(recipe, self.store, Console()).go(step, verify=verify)

    def inspect(self, step: str | None = None) -> None:
        """Draws the steps with their states and times, or shows the card of one.

        In a notebook it is shown there, on a desktop it is opened in the browser, and in a
        terminal it is printed too.
        """
        recipe = self._resolve()
        self._check_step(recipe, step)
        title = f"{self.root.name} ({self.profile})"
        if step is None:
            views = step_views(recipe.plan, self.store)
            self._show("steps", overview_html(views, title), overview_text(views, title))
            return
        card = self._result(recipe, step).card
        name = f"{step} of {title}"
        self._show(step, card_html(card, name), card_text(card, name))

    def clean(self, step: str | None = None) -> None:
        """Frees the stored results of a step, or of all, under every profile."""
        self._check_step(self._resolve(), step)
        with only_run(self.store.root):
            freed = self.store.clean(step)
        Console().print(f"Freed {freed / 1e6:,.1f} MB in {self.store.root}", highlight=False)

    def get_artifact(self, name: str) -> Any:
        """What a run made, as an object to work with.

        Args:
            name: `dataset` (a `tf.data.Dataset` of the train split), `model` (a Keras model),
                `saved_model`, `onnx_model` (paths), `variants` (run name to path),
                `benchmark_report` (a pandas DataFrame), `registered_model_version`, `run` (MLflow's
                entities).

        Raises:
            ConfigError: There is no such artifact, or the step that makes it has not run.
        """
        from mlflow_tfconv.recipe_artifacts import load_artifact

        recipe = self._resolve()
        return load_artifact(name, recipe, self._done(recipe), self.store)

    def artifact_location(self, name: str) -> str:
        """Where an artifact is: a path, or the URI of a run or a model version."""
        from mlflow_tfconv.recipe_artifacts import artifact_location

        recipe = self._resolve()
        return artifact_location(name, recipe, self._done(recipe), self.store)

    def _done(self, recipe: ResolvedRecipe) -> Mapping[str, StoredResult]:
        return stored_results(recipe.plan, self.store)

    def _result(self, recipe: ResolvedRecipe, step: str) -> StoredResult:
        done = self._done(recipe)
        if step not in done:
            raise ConfigError(
                f"{step} has no result for the recipe as it is now.",
                fix=f"Run it: `mlflow recipes run --profile {self.profile} --step {step}`",
            )
        return done[step]

    def _check_step(self, recipe: ResolvedRecipe, step: str | None) -> None:
        names = [known.name for known in recipe.plan.steps]
        if step is not None and step not in names:
            raise ConfigError(
                f"This recipe has no step {step!r}.",
                received=step,
                expected=f"one of {', '.join(names)}",
                fix=suggestion(step, names),
            )

    def _show(self, page: str, html: str, text: Any) -> None:
        if "ipykernel" in sys.modules:
            from IPython.display import HTML, display

            # In a frame of its own: its styles are for a page and not for the notebook around it.
            frame = f'<iframe srcdoc="{escape(html)}" style="width:100%; height:32rem; border:0">'
            display(HTML(f"{frame}</iframe>"))
            return
        file = self.store.root / "pages" / f"{self.profile}-{page}.html"
        write_text(file, html)
        console = Console()
        console.print(text)
        console.print(f"As a page: {file}", highlight=False, soft_wrap=True)
        desktop = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        if console.is_terminal and (desktop or sys.platform == "darwin"):
            webbrowser.open(file.as_uri())


def _find_root(start: Path) -> Path:
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / "recipe.yaml").is_file():
            return folder
    raise ConfigError(
        "There is no recipe.yaml here or above.",
        received=here,
        fix="`mlflow recipes init --template digits DIRECTORY` makes a recipe.",
    )


def _state_folder(root: Path) -> Path:
    """As MLflow's own recipes: a folder by the recipe's path, or where the environment says."""
    named = os.environ.get("MLFLOW_RECIPES_EXECUTION_DIRECTORY")
    if named:
        return Path(named).resolve()
    mark = hashlib.sha256(str(root).encode()).hexdigest()[:24]
    # Not Path.home(), which fails for a user of a container who has none.
    return Path(os.path.expanduser("~/.mlflow")) / "recipes" / mark  # noqa: PTH111
