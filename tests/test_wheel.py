from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(built)


def test_templates_travel_in_it_without_what_a_run_leaves_behind(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    start = "mlflow_tfconv/templates/digits/"
    assert {name.removeprefix(start) for name in names if name.startswith(start)} == {
        ".gitignore",
        "README.md",
        "recipe.yaml",
        "profiles/local.yaml",
        "steps/ingest.py",
        "steps/train.py",
    }


def test_it_holds_what_the_package_reads_and_its_doors(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry = next(name for name in names if name.endswith("entry_points.txt"))
        doors = archive.read(entry).decode()
    for name in ("py.typed", "recipe.schema.json", "engine/page.html"):
        assert f"mlflow_tfconv/{name}" in names
    assert "[mlflow.run_context_provider]" in doors
    assert "tfconv = mlflow_tfconv.__main__:main" in doors
    assert not any(name.startswith(("tests/", "recipes/")) for name in names)


def test_init_finds_the_templates_of_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "from mlflow_tfconv.cli import templates; print(templates()['digits'])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == str(site / "mlflow_tfconv" / "templates" / "digits")


def test_a_checkout_can_be_installed_editable(tmp_path: Path) -> None:
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["editable"])
    with zipfile.ZipFile(built) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".pth"))
        assert Path(archive.read(path).decode().strip()).resolve() == ROOT
