"""Pieces that several processes read: the shards are the same, and what goes wrong is told."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.data.manifest import read_manifest, verify_split
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.engine.events import Message, Metric
from mlflow_tfconv.errors import ConfigError, DataError, StepCrashedError, UserCodeError

PARTS = """
    import os, signal
    import numpy as np

    def list_parts(parts=4):
        return [f"part-{number}" for number in range(parts)]

    def load_examples(part, parts=4):
        random = np.random.default_rng(int(part[-1]))
        for number in range(60):
            yield {"x": random.random(8, dtype="float32"), "y": number % 3}
    """
CRASHES = PARTS + '\n            if (part, number) == ("part-2", 5): '
OPTIONS = [{}, {"layout": "block"}, {"shuffle": True, "compression": "gzip"}]


def shards(result: Any) -> dict[str, bytes]:
    folder = result.output.manifest.parent
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tfrecord*"))}


def rows(result: Any) -> np.ndarray[Any, Any]:
    """All of `x`, split by split."""
    counts = result.output.counts
    batches = [read_dataset(result.output, split, n) for split, n in counts.items() if n]
    return np.concatenate([features.numpy() for batch in batches for features, _ in batch])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_shards_are_the_same_however_many_write(
    ingest: Any, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "5")
    results = [
        ingest(PARTS, label="y", shard_mb=0.003, writers=writers, **options) for writers in (1, 2)
    ]
    one, two = map(shards, results)
    assert one == two
    assert len(one) > 4
    manifest = read_manifest(results[1].output.manifest)
    for split in manifest.splits:
        verify_split(manifest, split)
    assert sorted(map(tuple, rows(results[1]))) == sorted(
        map(tuple, rows(ingest(PARTS, label="y")))
    )


@pytest.mark.slow  # it starts eight processes
def test_four_processes_write_what_one_writes(ingest: Any) -> None:
    results = [
        shards(ingest(PARTS, label="y", params={"parts": 8}, writers=writers, shard_mb=0.002))
        for writers in (1, 4, 8)
    ]
    assert results[0] == results[1] == results[2]


def test_nothing_but_the_dataset_is_left_in_the_folder(ingest: Any) -> None:
    folder = ingest(PARTS, label="y", writers=2).output.manifest.parent
    names = {path.name for path in folder.iterdir()}
    assert {name for name in names if not name.endswith(".png")} == {
        "manifest.json",
        *(f"{split}-00000.tfrecord" for split in ("train", "validation", "test")),
    }


def test_a_shuffle_mixes_all_shards_and_its_seed_repeats_it(ingest: Any) -> None:
    plain, *mixed = (
        ingest(PARTS, split_ratios=(1, 0, 0), shard_mb=0.003, label="y", **options)
        for options in ({}, {"shuffle": True}, {"shuffle": True}, {"shuffle": True, "seed": 1})
    )
    orders = [list(map(tuple, rows(result))) for result in (plain, *mixed)]
    assert orders[1] == orders[2]
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    first_part = set(orders[0][:60])
    assert len(first_part & set(orders[1][:60])) < 40
    assert plain.output.digest == mixed[0].output.digest


def test_a_process_that_is_killed_names_its_part(ingest: Any) -> None:
    code = CRASHES + "os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(StepCrashedError, match=r"died while reading part-2: .*SIGKILL"):
        ingest(code, label="y", writers=2)
    assert not child_processes()


def test_an_exception_in_a_process_names_its_part_and_line(ingest: Any) -> None:
    code = CRASHES + 'raise ValueError("no such thing")'
    with pytest.raises(UserCodeError, match="no such thing") as caught:
        ingest(code, label="y", writers=2)
    assert "after it had yielded 6 examples of part-2" in str(caught.value)
    assert "while reading part-2" in str(caught.value)
    assert 'raise ValueError("no such thing")' in str(caught.value)


def test_an_example_that_does_not_fit_is_named_by_part_and_number(ingest: Any) -> None:
    code = CRASHES + 'yield {"x": np.zeros((2, 2), "float32"), "y": 1}'
    with pytest.raises(DataError, match="part-2, example 7: the feature 'x' differs"):
        ingest(code, label="y", writers=2)


def test_an_interrupt_leaves_no_process(ingest: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow_tfconv.steps.ingest.bundle_tasks import BundleTasks

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BundleTasks, "done", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ingest(PARTS, label="y", writers=2)
    assert not child_processes()


def child_processes() -> list[str]:
    """Those that read and write for this process, after a moment to end."""
    time.sleep(0.1)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in children]
    return [command for command in commands if "writer_process" in command]


def test_unfit_examples_are_skipped_counted_and_listed(ingest: Any, events: list[Any]) -> None:
    code = """
        def list_parts(): return [1, 2, 3]

        def load_examples(part):
            for number in range(10):
                yield {"x": number if number % 4 else None, "y": 1}
        """
    result = ingest(code, label="y", on_error="skip", writers=2)
    assert sum(result.output.counts.values()) == 21
    assert {e.name: e.value for e in events if isinstance(e, Metric)}["examples/skipped"] == 9
    warning = next(e.text for e in events if isinstance(e, Message) and "left out" in e.text)
    assert "part 1, example 1: the feature 'x' has an unfit value" in warning


def test_too_many_unfit_examples_end_the_step_with_a_list(ingest: Any) -> None:
    code = "def load_examples():\n    for n in range(9): yield {'x': None if n % 2 else 1}"
    with pytest.raises(DataError, match="More than 2 examples can't be used") as caught:
        ingest(code, on_error="skip", max_errors=2)
    assert "Example 2: the feature 'x' has an unfit value" in str(caught.value)


def test_only_unfit_examples_are_no_dataset(ingest: Any) -> None:
    with pytest.raises(DataError, match="yields no examples that can be used") as caught:
        ingest("def load_examples(): yield {'x': None}", on_error="skip")
    assert "Example 1: the feature 'x' has an unfit value" in str(caught.value)


def test_shapes_are_merged_over_parts(ingest: Any) -> None:
    code = """
        def list_parts(): return [2, 3, 4]
        def load_examples(part):
            for _ in range(5): yield {"x": [1.0] * part, "same": [part, 1]}
        """
    features = read_manifest(ingest(code, writers=2).output.manifest).schema.features
    assert {name: spec.shape for name, spec in features.items()} == {"x": (None,), "same": (2,)}


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("def list_parts(): return 'ab'", DataError, "gives no list of parts"),
        ("def list_parts(): return []", DataError, "lists no parts"),
        ("def list_parts(): return [1]\ndef load_examples(): ...", ConfigError, "'part'"),
        (
            "def load_examples():\n    yield {1: 0, '1': 0}",
            DataError,
            "two features of the same name",
        ),
    ],
)
def test_parts_and_names_that_are_unfit_are_told(
    ingest: Any, code: str, kind: type[Exception], says: str
) -> None:
    code = code if "load_examples" in code else f"{code}\ndef load_examples(part): ..."
    with pytest.raises(kind, match=says):
        ingest(code)


def test_the_layout_block_refuses_what_has_no_fixed_size(ingest: Any) -> None:
    with pytest.raises(DataError, match="Example 1: the feature 'x' can't be written"):
        ingest("def load_examples(): yield {'x': 'text'}", layout="block")
    varying = "def load_examples():\n    for n in (2, 3): yield {'x': [n] * n}"
    with pytest.raises(DataError, match="Example 2: the feature 'x' can't be written"):
        ingest(varying, layout="block")


def test_text_labels_of_declared_classes_are_indices_in_blocks(ingest: Any) -> None:
    code = """
        CLASS_NAMES = ("cat", "dog")
        def load_examples():
            for n in range(6): yield {"x": [n], "y": ["dog", "cat"][n % 2]}
        """
    result = ingest(code, label="y", layout="block", split_ratios=(1, 0, 0))
    features, labels = next(iter(read_dataset(result.output, "train", 6)))
    assert labels.numpy().tolist() == [1 - n % 2 for n in features.numpy()[:, 0]]
