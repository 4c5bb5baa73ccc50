"""What callers hand to the functions is taken where it is clear and refused where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from mlflow_tfconv.arguments import made_folder, path_of, require_numbers, settings, several
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.ingest.function import ingest


@dataclass(frozen=True, kw_only=True)
class Inner:
    share: float
    layers: tuple[str, ...] = ("*",)


@dataclass(frozen=True, kw_only=True)
class Outer:
    kind: Literal["small", "large"] = "small"
    sizes: tuple[int, ...] = (1,)
    inner: Inner | None = None


def test_mappings_become_configs_and_single_values_sequences() -> None:
    made = settings(Outer, {"sizes": np.int64(3), "inner": {"share": 1, "layers": "a*"}})
    assert made == Outer(sizes=(3,), inner=Inner(share=1.0, layers=("a*",)))
    assert settings(Outer, {"inner": None, "sizes": [1, 2]}).sizes == (1, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"knd": "small"}, "no argument 'knd'.*Did you mean 'kind'"),
        ({"kind": "smal"}, "`kind` can't be used.*'small', 'large'.*Did you mean 'small'"),
        ({"sizes": ["a"]}, "`sizes` can't be used.*one or several of: a whole number"),
        ({"sizes": True}, "`sizes` can't be used"),
        ({"inner": {"shar": 1}}, "`inner` has no setting 'shar'.*Did you mean 'share'"),
        ({"inner": {}}, "`inner` lacks the setting 'share'"),
        ({"inner": {"share": "all"}}, "`inner.share` can't be used.*a number"),
        ({"inner": 0.5}, r"Write inner=\{'share': 0.5\}"),
    ],
)
def test_what_can_not_be_used_says_how_to_mend_it(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        settings(Outer, given)


def test_names_are_one_or_several() -> None:
    assert several("f1", "metrics") == ("f1",)
    assert several(iter(["f1", "mae"]), "metrics") == ("f1", "mae")
    with pytest.raises(ConfigError, match="`metrics` can't be used"):
        several([1], "metrics")


def test_paths_folders_and_numbers_are_checked(tmp_path: Path) -> None:
    assert made_folder(tmp_path / "a/b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="File exists"):
        made_folder(tmp_path / "file")
    with pytest.raises(ConfigError, match=r"The output is not a path.\n  Received: None"):
        path_of(None, "The output")
    require_numbers(0, size=0.5)
    with pytest.raises(ConfigError, match="a whole number, 1 or more"):
        require_numbers(1, whole=True, size=1.5)


def test_the_values_of_a_mapping_are_checked_and_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(ConfigError, match=r"`csv\.types\.x` can't be used(.|\n)*'int64'"):
        ingest(tmp_path / "a.csv", tmp_path / "out", using="csv", csv={"types": {"x": "integer"}})
