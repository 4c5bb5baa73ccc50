from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_tfconv.engine.user_files import code_files, is_installed


@pytest.fixture
def root(tmp_path):
    (tmp_path / "steps").mkdir()
    (tmp_path / "nets" / "parts").mkdir(parents=True)
    (tmp_path / "steps" / "train.py").write_text(
        "import nets.cnn\nfrom near import x\nimport numpy\n"
    )
    (tmp_path / "steps" / "near.py").write_text("def f():\n    from steps import later\n")
    (tmp_path / "steps" / "later.py").write_text("")
    (tmp_path / "nets" / "__init__.py").write_text("")
    (tmp_path / "nets" / "cnn.py").write_text("from .parts import block\nfrom . import extra\n")
    (tmp_path / "nets" / "extra.py").write_text("")
    (tmp_path / "nets" / "parts" / "block.py").write_text("import nets.cnn\n")
    return tmp_path


def test_the_closure_of_imports_is_found_without_importing(root):
    found = code_files(root / "steps" / "train.py", (root, root / "steps"))
    names = {path.relative_to(root).as_posix() for path in found}
    assert names == {
        "steps/train.py",
        "steps/near.py",
        "steps/later.py",
        "nets/__init__.py",
        "nets/cnn.py",
        "nets/extra.py",
        "nets/parts/block.py",
    }


def test_installed_modules_are_left_out(root):
    found = code_files(root / "steps" / "train.py", (root,))
    assert not any("numpy" in str(path) for path in found)


def test_a_file_that_is_no_python_has_no_imports(tmp_path):
    (tmp_path / "bad.py").write_text("def (:\n")
    assert code_files(tmp_path / "bad.py", ()) == (tmp_path / "bad.py",)


def test_opened_files_of_the_users_are_seen_and_others_are_not(tmp_path):
    script = f"""
from pathlib import Path
from mlflow_tfconv.engine.user_files import watch_opened_files
root = Path({str(tmp_path)!r})
seen = watch_opened_files(root, (root / "private",))
(root / "data.txt").read_text(); (root / "private" / "p.txt").read_text()
(root / "out.txt").write_text("x"); Path("/etc/hostname").exists() and Path("/etc/hostname").read_text()
import csv
import os; os.listdir(root)
print(sorted(seen.files), sorted(seen.folders))
"""
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "p.txt").write_text("p")
    (tmp_path / "data.txt").write_text("d")
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert run.stdout.strip() == f"{[f'{tmp_path}/data.txt']} {[str(tmp_path)]}"


def test_relative_imports_are_found_from_the_files_own_folder(tmp_path):
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    for folder in (deep, deep.parent, deep.parent.parent):
        (folder / "__init__.py").write_text("")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "near.py").write_text("")  # another package of the same name
    (deep / "d.py").write_text("from . import near\nfrom ..x import y\nfrom ... import z\n")
    for file in (deep / "near.py", deep.parent / "x.py", deep.parent.parent / "z.py"):
        file.write_text("")
    found = {p.relative_to(tmp_path).as_posix() for p in code_files(deep / "d.py", (tmp_path,))}
    assert {"a/b/c/near.py", "a/b/x.py", "a/z.py", "a/b/c/__init__.py"} <= found
    assert "c/near.py" not in found


def test_a_recipe_below_the_systems_prefix_is_the_users(monkeypatch):
    assert not is_installed(Path("/usr/src/app/steps/train.py"))
    assert is_installed(Path("/usr/lib/python3/dist-packages/yaml/__init__.py"))
    assert is_installed(Path(subprocess.__file__))


def test_looking_for_an_installed_distribution_lists_nobodys_data(tmp_path):
    script = f"""
import sys
from importlib import metadata
from pathlib import Path
import importlib_metadata
from mlflow_tfconv.engine.user_files import watch_opened_files
root = Path({str(tmp_path)!r})
sys.path.insert(0, str(root))
seen = watch_opened_files(root, ())
metadata.version("numpy"), importlib_metadata.version("numpy")
assert seen.existing_folders() == set(), seen
sorted(root.iterdir())
assert seen.existing_folders() == {{str(root)}}, seen
"""
    subprocess.run([sys.executable, "-c", script], check=True)
