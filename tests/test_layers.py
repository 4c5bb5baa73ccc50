"""The order of the layers, and which file may know which library."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mlflow_tfconv"
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "tools"}


def test_the_import_contracts_hold() -> None:
    lint = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    run = subprocess.run(
        [sys.executable, "-c", lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout


def test_only_the_tracking_room_and_the_doors_import_mlflow() -> None:
    others = [
        file
        for file in importers_of("mlflow")
        if not file.startswith("tracking/") and file not in ("plugin.py", "cli.py")
    ]
    assert others == []


def test_only_the_readers_of_config_import_pydantic() -> None:
    others = [f for f in importers_of("pydantic") if not f.startswith("config/")]
    assert others == []


def test_yaml_is_read_where_configs_and_architectures_are() -> None:
    others = [f for f in importers_of("yaml") if not f.startswith("config/")]
    writers = ["recipe_run.py", "steps/ingest/sources/csv_messages.py"]
    assert [f for f in others if f not in writers] == ["sources/keras/architecture.py"]


@pytest.mark.parametrize("library", ["tf2onnx", "tensorflow_model_optimization"])
def test_exactly_one_file_knows_a_library_that_may_go_away(library: str) -> None:
    assert len(importers_of(library)) == 1, importers_of(library)


@pytest.mark.parametrize("library", ["tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime"])
def test_a_door_does_not_import_what_its_workers_need(library: str) -> None:
    doors = [
        f for f in importers_of(library, at_top=True) if f.endswith(("/step.py", "/config.py"))
    ]
    assert doors == []


def test_no_file_is_without_a_name() -> None:
    assert [str(file) for file in sources() if NAMELESS & {*file.parts, file.stem}] == []


def test_no_import_is_relative_or_takes_everything() -> None:
    wrong = [
        str(file)
        for file in sources()
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.ImportFrom)
        and (node.level or any(alias.name == "*" for alias in node.names))
    ]
    assert wrong == []


def test_a_package_file_imports_nothing() -> None:
    """But for those that list names: two import nothing when they are loaded, one only itself."""
    listing = {Path("__init__.py"), Path("steps/__init__.py"), Path("device/__init__.py")}
    for file in sources():
        if file.name == "__init__.py" and file not in listing:
            imports = [name for name, _ in imports_of(file) if name != "__future__"]
            assert imports == [], file


def test_the_environment_is_read_at_the_doors_only() -> None:
    """Elsewhere it is handed on to a process, whole."""
    doors = {"plugin.py", "cli.py", "recipe.py", "installation.py", "environment.py", "__main__.py"}
    because = {
        "data/few_arenas.py": "what the environment says of the C library's memory comes first",
        "steps/benchmark/driver/worker_process.py": "PYTHONPATH is handed on, with more before it",
        "steps/benchmark/worker/onnx_profile.py": "whether CUDA waits for each kernel is said there",
        "device/visible_gpus.py": "what NVML's numbers of GPUs mean is said there alone",
        "device/nvidia_driver.py": "an error quotes it",
        "device/why_no_gpu.py": "an error says that it hides all GPUs",
        "device/in_force.py": "TensorFlow's allocator and growth are said there alone",
        "device/on_tensorflow.py": "the same: what is there already is not changed too late",
        "steps/compress/prune_magnitude.py": "tfmot looks for its Keras there while it is imported",
    }
    readers = {
        file.as_posix()
        for file in sources()
        if any(_reads_a_variable(node) for node in ast.walk(tree_of(file)))
    }
    others = readers - doors - set(because)
    # In tracking/ MLflow's own variables win over the profile.
    assert [file for file in sorted(others) if not file.startswith("tracking/")] == []


def _reads_a_variable(node: ast.AST) -> bool:
    """`os.getenv(...)`, `os.environ["X"]` or `os.environ.get("X")` that is not written to."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        return ast.unparse(node.value) == "os.environ"
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in ("os.getenv", "os.environ.get")
    return False


def importers_of(library: str, *, at_top: bool = False) -> list[str]:
    """Files of the package that import a library, or something in it."""
    return sorted(
        file.as_posix()
        for file in sources()
        if any(
            name.partition(".")[0] == library and (top or not at_top)
            for name, top in imports_of(file)
        )
    )


@cache
def imports_of(file: Path) -> list[tuple[str, bool]]:
    """Names of imported modules, and whether that happens when the file is imported."""
    return list(_imports(tree_of(file), top=True))


def _imports(node: ast.AST, *, top: bool) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, top) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.module or "", top
        elif isinstance(child, ast.Call) and "import_module" in ast.unparse(child.func):
            yield from ((a.value, top) for a in child.args if isinstance(a, ast.Constant))
        inner = isinstance(child, ast.FunctionDef | ast.Lambda) or _is_type_checking(child)
        yield from _imports(child, top=top and not inner)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse((PACKAGE / file).read_bytes())


def sources() -> list[Path]:
    """The package's files, relative to it; templates are recipes and not its code."""
    files = (file.relative_to(PACKAGE) for file in PACKAGE.rglob("*.py"))
    return sorted(file for file in files if file.parts[0] != "templates")
