"""An ingest that is killed, or whose disk is full, goes on with what it has not done."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.errors import DataError

#: Notes each part that is read; waits in the part that the file `wait` names.
NOTED = """
    import time
    from pathlib import Path

    ROOT = Path(__file__).parents[1]

    def list_parts(location):
        return sorted(str(path) for path in Path(location).iterdir())

    def load_examples(location, part):
        with (ROOT / "read").open("a") as notes:
            notes.write(Path(part).name + " ")
        wait = ROOT / "wait"
        if wait.exists() and wait.read_text() == Path(part).name:
            (ROOT / "waiting").touch()
            time.sleep(60)
        for number in range(40):
            yield {"x": [float(number)] * 20, "y": int(Path(part).read_text()) + number % 3}
    """
RUN = """
import json, sys
from pathlib import Path
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.step import IngestStep
root, workdir, config = sys.argv[1:]
context = StepContext(recipe_root=Path(root))
IngestStep(IngestConfig(**json.loads(config))).run(None, Path(workdir), context)
"""
OPTIONS: dict[str, Any] = {"location": "data", "label": "y", "shard_mb": 0.003}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe with four files of data."""
    root = tmp_path / "recipe"
    (root / "data").mkdir(parents=True)
    for name in "abcd":
        (root / "data" / name).write_text(str(ord(name)))
    return root


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tfrecord*"))}


def parts_read(root: Path) -> list[str]:
    """The parts that were read since the last time."""
    found = (root / "read").read_text().split()
    (root / "read").unlink()
    return sorted(found)


def start(root: Path, workdir: Path, **options: Any) -> subprocess.Popen[bytes]:
    workdir.mkdir(exist_ok=True)
    config = json.dumps(OPTIONS | options)
    return subprocess.Popen([sys.executable, "-c", RUN, str(root), str(workdir), config])


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("writers", [1, 2])
def test_a_killed_run_goes_on_with_the_parts_that_are_not_done(
    ingest: Any, recipe: Path, tmp_path: Path, writers: int
) -> None:
    whole = ingest(NOTED, root=recipe, **OPTIONS).output.manifest.parent
    assert parts_read(recipe) == ["a", "b", "c", "d"]
    (recipe / "wait").write_text("d")
    process = start(recipe, tmp_path / "work", writers=writers)
    wait_for(recipe / "waiting")
    wait_for_parts(tmp_path / "work", 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert parts_read(recipe) == ["a", "b", "c", "d"]
    (recipe / "wait").unlink()
    (recipe / "data" / "b").touch()  # it might be another now
    result = ingest(root=recipe, workdir=tmp_path / "work", **OPTIONS)
    assert parts_read(recipe) == ["b", "d"]
    assert shards(result.output.manifest.parent) == shards(whole)


def wait_for_parts(work: Path, number: int) -> None:
    """Until so many parts are noted as read."""
    deadline = time.monotonic() + 60
    while len(list(work.glob(".unfinished/[!.]*.json"))) <= number:  # one is of the inputs
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_processes_of_a_killed_run_end(ingest: Any, recipe: Path, tmp_path: Path) -> None:
    (recipe / "steps").mkdir()
    ingest(NOTED, root=recipe, **OPTIONS)
    (recipe / "wait").write_text("d")
    process = start(recipe, tmp_path / "work", writers=2)
    wait_for(recipe / "waiting")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(is_running(int(child)) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"layout": "block"}], ids=str)
def test_a_run_that_stops_at_any_shard_gives_the_same_shards(
    ingest: Any, recipe: Path, tmp_path: Path, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow_tfconv.steps.ingest.work_folder import WorkFolder

    whole = shards(ingest(NOTED, root=recipe, **OPTIONS, **options).output.manifest.parent)
    stops = 0
    for position in range(2 * len(whole)):
        with monkeypatch.context() as patch:
            keep, calls = WorkFolder.keep_shard, []

            def stop(
                work: Any, *what: Any, keep: Any = keep, calls: Any = calls, at: int = position
            ) -> None:
                calls.append(what)
                if at % 2 and len(calls) == 2:
                    raise KeyboardInterrupt  # before the note
                keep(work, *what)
                if not at % 2 and len(calls) == 2:
                    raise KeyboardInterrupt  # behind it, before the segments go

            patch.setattr(WorkFolder, "keep_shard", stop)
            try:
                result = ingest(root=recipe, workdir=tmp_path / "work", **OPTIONS, **options)
                break
            except KeyboardInterrupt:
                stops += 1
                (recipe / "read").unlink(missing_ok=True)
    assert stops > 2
    assert not (recipe / "read").exists()  # nothing was read again
    assert shards(result.output.manifest.parent) == whole


def test_a_part_that_has_changed_is_read_again(
    ingest: Any, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow_tfconv.steps.ingest import step

    work = tmp_path / "work"
    with monkeypatch.context() as patch:
        patch.setattr(step, "_tell", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ingest(NOTED, root=recipe, workdir=work, **OPTIONS)
    parts_read(recipe)
    (recipe / "data" / "b").write_text("7")
    result = ingest(root=recipe, workdir=work, **OPTIONS)
    assert "b" in parts_read(recipe)
    fresh = ingest(root=recipe, **OPTIONS)
    assert shards(work) == shards(fresh.output.manifest.parent)
    assert result.output.digest == fresh.output.digest


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def test_another_config_begins_anew(ingest: Any, recipe: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    ingest(NOTED, root=recipe, workdir=work, **OPTIONS)
    other = OPTIONS | {"shard_mb": 1, "compression": "gzip"}
    ingest(root=recipe, workdir=work, **other)
    fresh = ingest(root=recipe, **other)
    assert shards(work) == shards(fresh.output.manifest.parent)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("writers", [1, 2])
def test_a_full_disk_is_told_and_the_next_run_goes_on(
    ingest: Any, recipe: Path, small_disk: Path, writers: int
) -> None:
    hog = small_disk / "hog"
    whole = ingest(NOTED, root=recipe, **OPTIONS).output.manifest.parent
    hog.write_bytes(bytes(320_000))
    with pytest.raises(DataError, match="The disk is full") as caught:
        ingest(root=recipe, workdir=small_disk, writers=writers, **OPTIONS)
    assert str(small_disk) in str(caught.value)
    assert "MB free" in str(caught.value)
    assert "run the same command again" in str(caught.value)
    hog.unlink()
    parts_read(recipe)
    ingest(root=recipe, workdir=small_disk, writers=writers, **OPTIONS)
    assert len(parts_read(recipe)) < 4
    assert shards(small_disk) == shards(whole)


LARGER = """
    import numpy as np

    def load_examples():
        for number in range(1000):
            yield {"x": np.full(200, number, "float32")}
    """


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"shuffle": True}], ids=str)
def test_while_shards_are_made_the_data_are_on_disk_about_once(
    ingest: Any, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow_tfconv.steps.ingest.work_folder import WorkFolder

    sizes, keep = [], WorkFolder.keep_shard

    def measure(work: Any, *what: Any) -> None:
        keep(work, *what)
        files = [path for path in work.output.rglob("*") if path.is_file()]
        large = [f for f in files if f.suffix not in (".json", ".npz", ".npy")]
        sizes.append(sum(file.stat().st_size for file in large))

    monkeypatch.setattr(WorkFolder, "keep_shard", measure)
    ingest(LARGER, shard_mb=0.05, **options)
    assert len(sizes) > 10
    assert max(sizes) < 1.15 * 1000 * 840
