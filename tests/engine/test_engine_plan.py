from __future__ import annotations

from pathlib import Path

import fsspec

from mlflow_tfconv.engine.digests import Digests
from mlflow_tfconv.engine.plan import Plan, changes, ingredients
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.step import IngestStep


def ingredients_of(root: Path, **config: object) -> dict[str, object]:
    step = IngestStep(IngestConfig(using="csv", **config))
    plan = Plan(root=root, profile="local", steps=(step,), context=StepContext())
    return ingredients(step, plan, {}, Digests())


def test_a_result_hangs_on_what_lies_behind_a_url(tmp_path):
    memory = fsspec.filesystem("memory")
    memory.pipe("/plan/a.csv", b"a\n1\n")
    before = ingredients_of(tmp_path, location="memory://plan")
    assert changes(before, ingredients_of(tmp_path, location="memory://plan")) == ()
    memory.pipe("/plan/a.csv", b"a\n2\n")
    assert changes(before, ingredients_of(tmp_path, location="memory://plan")) == ("memory://plan",)


def test_a_result_hangs_on_every_location_and_only_on_what_a_pattern_fits(tmp_path):
    for name in ("a.csv", "b.csv", "c.txt"):
        (tmp_path / name).write_text(name)
    before = ingredients_of(tmp_path, location=("a.csv", "b*.csv"))
    (tmp_path / "c.txt").write_text("other")
    assert ingredients_of(tmp_path, location=("a.csv", "b*.csv")) == before
    (tmp_path / "b.csv").write_text("other")
    assert changes(before, ingredients_of(tmp_path, location=("a.csv", "b*.csv"))) == ("b*.csv",)


def test_credentials_are_not_kept_with_the_ingredients(tmp_path):
    (tmp_path / "a.csv").write_text("a")
    options = {"key": "id", "secret": "word", "endpoint_url": "http://host"}
    one = ingredients_of(tmp_path, location="a.csv", storage_options=options)
    other = ingredients_of(tmp_path, location="a.csv", storage_options=options | {"secret": "new"})
    assert "word" not in str(one)
    assert one == other
