"""A step of the user's own, named in recipe.yaml by its import path."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_tfconv import Recipe
from mlflow_tfconv.errors import ConfigError, StepError, TfconvError, UserCodeError

RECIPE = """\
recipe: tfconv/v1
steps:
  ingest:
    using: steps.my_ingest.WordsStep
    words: [one, two]
"""

STEP = """\
from dataclasses import dataclass

import glue
from mlflow_tfconv.steps import Card, Dataset, Metric, Step, StepContext, StepResult


@dataclass(frozen=True, kw_only=True)
class WordsConfig:
    words: tuple[str, ...]
    upper: bool = False


class WordsStep(Step[WordsConfig]):
    name = "ingest"
    config_class = WordsConfig

    def run(self, source, workdir, context=StepContext()):
        text = glue.joined(self.config.words)
        (workdir / "manifest.json").write_text(text.upper() if self.config.upper else text)
        context.emit(Metric(name="words", value=len(self.config.words)))
        dataset = Dataset(manifest=workdir / "manifest.json", digest=text, counts={"train": 1})
        return StepResult(output=dataset, card=Card(title=text))
"""

TRAIN = """\
from dataclasses import dataclass, field

from mlflow_tfconv.steps import Card, Checkpoint, Step, StepContext, StepResult


@dataclass(frozen=True)
class InnerConfig:
    rate: float = 0.1


@dataclass(frozen=True)
class CountConfig:
    inner: InnerConfig = field(default_factory=InnerConfig)


class CountStep(Step[CountConfig]):
    name = "train"
    config_class = CountConfig

    def run(self, source, workdir, context=StepContext()):
        model = workdir / "model.txt"
        model.write_text(f"{len(source.manifest.read_text())} at {self.config.inner.rate}")
        return StepResult(output=Checkpoint(path=model), card=Card(title="counted"))
"""


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite store with its tables, which take MLflow seconds to make."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def root(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe whose only step is the user's own."""
    monkeypatch.setenv("MLFLOW_RECIPES_EXECUTION_DIRECTORY", str(tmp_path / "state"))
    folder = tmp_path / "my récipe"
    (folder / "steps").mkdir(parents=True)
    (folder / "profiles").mkdir()
    (folder / "metadata").mkdir()
    shutil.copy(empty_database, folder / "metadata/mlflow.db")
    (folder / "profiles/local.yaml").write_text("experiment: {name: own}\n")
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "steps/my_ingest.py").write_text(STEP)
    (folder / "steps/glue.py").write_text("def joined(words):\n    return ' '.join(words)\n")
    return folder


@pytest.fixture
def told(root: Path) -> Callable[..., str]:
    """Runs the recipe with a changed text in its files, and gives the message of its error."""

    def message_of(kind: type[TfconvError], **changes: tuple[str, str]) -> str:
        for name, (old, new) in changes.items():
            file = root / {"recipe": "recipe.yaml", "step": "steps/my_ingest.py"}[name]
            assert old in file.read_text()
            file.write_text(file.read_text().replace(old, new))
        with pytest.raises(kind) as raised:
            Recipe(root=root).run()
        return str(raised.value)

    return message_of


@pytest.mark.mlflow
def test_it_runs_like_a_built_in_step_is_kept_and_runs_again_when_its_code_changes(
    root: Path,
) -> None:
    recipe = Recipe(root=root)
    assert _run(recipe) == "one two"
    made = sorted((recipe.store.root / "results/ingest").iterdir())
    assert _run(recipe) == "one two"
    assert sorted((recipe.store.root / "results/ingest").iterdir()) == made
    assert recipe.get_artifact("run").data.metrics["words"] == 2

    # The same process sees what its module imports as it is now, and so does the step's.
    (root / "steps/glue.py").write_text("def joined(words):\n    return ' and '.join(words)\n")
    assert _run(recipe) == "one and two"
    text = (root / "steps/my_ingest.py").read_text()
    (root / "steps/my_ingest.py").write_text(
        text.replace("upper: bool = False", "upper: bool = True")
    )
    assert _run(recipe) == "ONE AND TWO"
    (root / "recipe.yaml").write_text(RECIPE + "    upper: false\n")
    assert _run(recipe) == "one and two"
    assert len(list((recipe.store.root / "results/ingest").iterdir())) == 4

    (root / "steps/my_train.py").write_text(TRAIN)
    own = "  train: {using: 'steps.my_train:CountStep', inner: {rate: 0.5}}\n"
    (root / "recipe.yaml").write_text(RECIPE + own)
    recipe.run()
    assert Path(recipe.artifact_location("model")).read_text() == "11 at 0.5"


def test_no_tensorflow_is_loaded_for_it(root: Path) -> None:
    """Steps of one's own that don't name the library start at once."""
    (root / "steps/glue.py").write_text(
        "import json, sys\ndef joined(words):\n    return json.dumps(sorted(sys.modules))\n"
    )
    loaded = json.loads(_run(Recipe(root=root)))
    assert "tensorflow" not in loaded


def test_its_config_is_checked_before_anything_runs(told: Callable[..., str]) -> None:
    text = told(ConfigError, recipe=("words: [one, two]", "words: [one]\n    uper: true"))
    assert "recipe.yaml, line 6: steps.ingest.uper is not a key that is known here." in text
    assert "Expected: one of words, upper" in text
    assert "Did you mean 'upper'?" in text


def test_keys_of_an_inner_config_are_checked_too(root: Path, told: Callable[..., str]) -> None:
    (root / "steps/my_train.py").write_text(TRAIN)
    own = "words: [a]\n  train: {using: steps.my_train.CountStep, inner: {rat: 1}}"
    text = told(ConfigError, recipe=("words: [one, two]", own))
    assert "steps.train.inner.rat is not a key" in text
    assert "Did you mean 'rate'?" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[one, two]", "3"), "steps.ingest.words has a value that can't be used"),
        (("    words: [one, two]\n", ""), "steps.ingest.words is missing"),
        (("WordsStep", "WordStep"), "Did you mean 'WordsStep'?"),
        (("my_ingest", "my_ingst"), "Did you mean 'steps.my_ingest'?"),
        (("WordsStep", "WordsConfig"), "a type that is no subclass of Step"),
        (("ingest:", "train:"), "its name is 'ingest' and not 'train'"),
    ],
)
def test_a_wrong_recipe_is_told_by_its_line(
    told: Callable[..., str], change: tuple[str, str], message: str
) -> None:
    text = told(ConfigError, recipe=change)
    assert text.startswith("recipe.yaml, line ")
    assert message in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("def run", "def runs"), "it has no method `run`"),
        (("    config_class = WordsConfig\n", ""), "its config_class is no dataclass"),
        (("import glue", "import glue ("), "steps/my_ingest.py, line 3: not Python"),
        (
            (
                "upper: bool = False",
                "def __post_init__(self):\n        raise ValueError('too few')",
            ),
            "steps.ingest is wrong: too few",
        ),
    ],
)
def test_a_wrong_class_is_told_before_anything_runs(
    told: Callable[..., str], change: tuple[str, str], message: str
) -> None:
    assert message in told(ConfigError, step=change)


def test_an_error_in_its_module_is_told_with_file_and_line(told: Callable[..., str]) -> None:
    text = told(UserCodeError, step=("import glue", "import glue\n1 / 0"))
    assert "importing steps.my_ingest failed: ZeroDivisionError" in text
    assert "steps/my_ingest.py, line 4" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("return StepResult(output=dataset, card=Card(title=text))", "return dataset"), "Dataset"),
        (("output=dataset", "output=text"), "StepResult(output=Dataset(...), card=Card(...))"),
        (('(workdir / "manifest.json").write_text', "print"), "a file that it has not written"),
    ],
)
def test_a_result_that_the_recipe_cannot_go_on_with_is_refused(
    told: Callable[..., str], change: tuple[str, str], message: str
) -> None:
    text = told(StepError, step=change)
    assert text.startswith("ingest failed: WordsStep.run ")
    assert message in text


def _run(recipe: Recipe) -> str:
    recipe.run()
    return Path(recipe.artifact_location("dataset")).read_text()
