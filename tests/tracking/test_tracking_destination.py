from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.tracking.destination import Destination


def test_without_a_word_results_go_to_a_database_in_the_recipe(tmp_path: Path) -> None:
    found = Destination.resolve(tmp_path, environ={})
    assert found.database == tmp_path / "metadata/mlflow.db"
    assert found.artifact_location == (tmp_path / "metadata/artifacts").as_uri()
    assert found.experiment_name == tmp_path.name


def test_relative_paths_of_the_profile_start_at_the_recipe(tmp_path: Path) -> None:
    profile = {"tracking_uri": "sqlite:///a/b.db", "artifact_location": "./files"}
    found = Destination.resolve(
        tmp_path, experiment=profile, model_registry={"uri": "sqlite:///r.db"}, environ={}
    )
    assert found.tracking_uri == f"sqlite:///{tmp_path}/a/b.db"
    assert found.artifact_location == (tmp_path / "files").as_uri()
    assert found.registry_uri == f"sqlite:///{tmp_path}/r.db"
    found.make_folders()
    assert (tmp_path / "a").is_dir()


def test_the_environment_wins_over_the_profile(tmp_path: Path) -> None:
    environ = {
        "MLFLOW_TRACKING_URI": "http://server:5000",
        "MLFLOW_EXPERIMENT_NAME": "theirs",
        "MLFLOW_RUN_ID": "abc",
    }
    profile = {"name": "ours", "tracking_uri": "sqlite:///m.db", "artifact_location": "./files"}
    found = Destination.resolve(tmp_path, experiment=profile, environ=environ)
    assert (found.tracking_uri, found.experiment_name) == ("http://server:5000", "theirs")
    assert found.run_id == "abc"
    assert found.artifact_location is None


def test_the_key_tells_destinations_apart_and_not_runs(tmp_path: Path) -> None:
    one = Destination.resolve(tmp_path, experiment={"name": "a"}, environ={})
    same = Destination.resolve(tmp_path, experiment={"name": "a"}, environ={"MLFLOW_RUN_ID": "r"})
    other = Destination.resolve(tmp_path, experiment={"name": "b"}, environ={})
    assert one.key == same.key != other.key


def test_a_folder_that_sqlite_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="question mark"):
        Destination.resolve(tmp_path / "why?", environ={})
