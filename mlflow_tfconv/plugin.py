"""MLflow's way in: loaded by every `import mlflow`, so it costs next to nothing and breaks nothing.

The entry point group `mlflow.run_context_provider` is loaded before `mlflow.cli` on MLflow 2.22 and
3 alike. From here two post-import hooks wait: one puts our `recipes` commands into `mlflow.cli`,
the other lets `mlflow.recipes.Recipe` of 2.22 find our recipe. Nothing else of MLflow is touched.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

_TAGS = {
    "MLFLOW_TFCONV_RECIPE": "tfconv.recipe",
    "MLFLOW_TFCONV_PROFILE": "tfconv.profile",
    "MLFLOW_TFCONV_STEP": "tfconv.step",
}
_SOURCE_TAG = "mlflow.source.name"  # MLflow would write the file that the process began with
_TEMPLATE_MODULE = "mlflow.recipes.tfconv.v1"


class RecipeRunContext:
    """Tags the runs that are started inside a recipe with recipe, profile and step.

    MLflow asks for the two methods and not for its base class, whose import would make a circle.
    """

    def in_context(self) -> bool:
        """Whether this process works for a recipe."""
        return "MLFLOW_TFCONV_RECIPE" in os.environ

    def tags(self) -> dict[str, str]:
        """Tag names to their values."""
        tags = {tag: os.environ[name] for name, tag in _TAGS.items() if name in os.environ}
        return {**tags, _SOURCE_TAG: os.environ["MLFLOW_TFCONV_RECIPE"]}


def _add_commands(cli_module: ModuleType) -> None:
    """Puts our `recipes` group into `mlflow.cli`, with MLflow's own group behind it."""
    from mlflow_tfconv.cli import RecipesGroup, recipes

    own = cli_module.cli.commands.get("recipes")
    if not isinstance(own, RecipesGroup):
        cli_module.cli.add_command(recipes(own))


def _add_template(_: ModuleType) -> None:
    """Lets the factory of MLflow 2.22 find `recipe: "tfconv/v1"`."""

    def find(name: str) -> Any:
        if name != "RecipeImpl":
            raise AttributeError(f"module {_TEMPLATE_MODULE!r} has no attribute {name!r}")
        from mlflow_tfconv.recipe import Recipe

        return lambda recipe_root, profile: Recipe(profile=profile, root=recipe_root)

    package, template = ModuleType("mlflow.recipes.tfconv"), ModuleType(_TEMPLATE_MODULE)
    package.__path__ = []
    package.v1 = template  # type: ignore[attr-defined]
    template.__getattr__ = find  # type: ignore[method-assign]
    sys.modules |= {package.__name__: package, template.__name__: template}


def _guarded(act: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    """Whatever goes wrong in a hook: `import mlflow.cli` goes on, and the user is told."""

    def hook(module: ModuleType) -> None:
        try:
            act(module)
        except Exception as error:  # noqa: BLE001 (MLflow must work without us)
            warnings.warn(
                f"mlflow-tfconv could not join {module.__name__}: {error!r}. MLflow works without"
                " it; `python -m mlflow_tfconv doctor` says what is wrong.",
                stacklevel=2,
            )

    return hook


def _register_hooks() -> None:
    """Acts at once on what is already imported, else when it will be.

    Raises:
        ImportError: wrapt is not installed; MLflow itself turns that into a warning.
    """
    import wrapt

    wrapt.register_post_import_hook(_guarded(_add_commands), "mlflow.cli")
    wrapt.register_post_import_hook(_guarded(_add_template), "mlflow.recipes")


_register_hooks()
