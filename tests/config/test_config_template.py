from __future__ import annotations

import pytest

from mlflow_tfconv.config.template import read_recipe_text
from mlflow_tfconv.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    (tmp_path / "profiles").mkdir()

    def write_files(recipe: str, profile: str = "") -> None:
        (tmp_path / "recipe.yaml").write_text(recipe)
        (tmp_path / "profiles" / "local.yaml").write_text(profile or "X: 1\n")

    return write_files


def test_variables_keep_their_types(tmp_path, write):
    write(
        "a: {{A}}\nb: {{B}}\nc: {{C}}\nd: '{{D}}-x'\n",
        'A: {k: [1, null, true]}\nB: false\nC: 1.5\nD: "cuda:0"\n',
    )
    data = read_recipe_text(tmp_path, "local").data
    assert data == {"a": {"k": [1, None, True]}, "b": False, "c": 1.5, "d": "cuda:0-x"}


def test_lower_case_keys_of_the_profile_are_laid_over(tmp_path, write):
    write("steps: {train: {epochs: 5, batch_size: 2}}\n", "steps: {train: {epochs: 1}}\n")
    text = read_recipe_text(tmp_path, "local")
    assert text.data["steps"]["train"] == {"epochs": 1, "batch_size": 2}
    assert text.place(("steps", "train", "epochs")) == "profiles/local.yaml, line 1"


def test_a_missing_variable_is_named_with_its_line_and_a_near_one(tmp_path, write):
    write("a: 1\ndevice: {{DEVICE}}\n", "DEVIC: cpu\n")
    with pytest.raises(ConfigError) as caught:
        read_recipe_text(tmp_path, "local")
    assert "recipe.yaml, line 2: the variable DEVICE" in str(caught.value)
    assert "Did you mean 'DEVIC'?" in str(caught.value)


def test_a_key_that_stands_twice_is_refused(tmp_path, write):
    write("a: 1\nb: {c: 1, c: 2}\n")
    with pytest.raises(ConfigError, match=r"recipe.yaml, line 2: b.c is set twice"):
        read_recipe_text(tmp_path, "local")


def test_bad_yaml_is_told_with_its_line(tmp_path, write):
    write("a: 1\nb: [1, 2\nc: 3\n")
    with pytest.raises(ConfigError, match=r"recipe.yaml, line \d: not YAML"):
        read_recipe_text(tmp_path, "local")


def test_a_damaged_template_is_told_with_its_line(tmp_path, write):
    write("a: 1\nb: {{B\n")
    with pytest.raises(ConfigError, match=r"recipe.yaml, line \d: the Jinja template is damaged"):
        read_recipe_text(tmp_path, "local")


def test_a_missing_profile_lists_those_there_are(tmp_path, write):
    write("a: 1\n")
    with pytest.raises(ConfigError, match="no profile 'locl'") as caught:
        read_recipe_text(tmp_path, "locl")
    assert "Did you mean 'local'?" in str(caught.value)


def test_a_folder_without_a_recipe_says_how_to_make_one(tmp_path, write):
    write("a: 1\n")
    (tmp_path / "recipe.yaml").unlink()
    with pytest.raises(ConfigError, match=r"recipe.yaml is missing"):
        read_recipe_text(tmp_path, "local")


@pytest.mark.parametrize("text", ["", "- a\n", "just words\n"])
def test_a_recipe_that_is_no_mapping_is_refused(tmp_path, write, text):
    write(text)
    with pytest.raises(ConfigError, match="no mapping"):
        read_recipe_text(tmp_path, "local")
