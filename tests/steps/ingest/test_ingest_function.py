from __future__ import annotations

from pathlib import Path

import pytest

import mlflow_tfconv as tfconv
from mlflow_tfconv.engine.events import Event, Progress
from mlflow_tfconv.errors import BusyError, ConfigError, DataError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    rows = "".join(f"{n},{n / 2},{n % 2}\n" for n in range(60))
    path.write_text(f"a,b,y\n{rows}")
    return path


def test_data_are_written_without_a_recipe(table: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    dataset = tfconv.ingest(
        table, tmp_path / "out", using="csv", label="y", shard_mb=0.001, emit=events.append
    )
    assert sum(dataset.counts.values()) == 60
    assert not list((tmp_path / "out").glob(".*"))
    assert dataset.manifest == tmp_path / "out" / "manifest.json"
    features, label = next(iter(tfconv.read_dataset(dataset, "train", 8)))
    assert set(features) == {"a", "b"}
    assert label.shape == (8,)
    assert any(isinstance(event, Progress) for event in events)


def test_a_second_call_replaces_the_first(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tfconv.ingest(table, out, using="csv", shard_mb=0.001)
    (out / "notes.txt").write_text("mine")
    dataset = tfconv.ingest([table], out, using="csv", compression="gzip", layout="block")
    assert sorted(path.name for path in out.iterdir() if path.suffix != ".png") == [
        "manifest.json",
        "notes.txt",
        *(f"{split}-00000.tfrecord.gz" for split in ("test", "train", "validation")),
    ]
    assert len(list(tfconv.read_dataset(dataset, "train", 1))) == dataset.counts["train"]


def test_a_call_that_fails_leaves_what_was_there(table: Path, tmp_path: Path) -> None:
    before = tfconv.ingest(table, tmp_path / "out", using="csv")
    table.write_text("a,b,y\n1,2\n")
    with pytest.raises(DataError):
        tfconv.ingest(table, tmp_path / "out", using="csv")
    assert len(list(tfconv.read_dataset(before, "train", 60))) == 1


def test_features_and_options_are_plain_values(table: Path, tmp_path: Path) -> None:
    features = {"a": {"dtype": "float32"}, "y": {"dtype": "int64", "class_names": ["no", "yes"]}}
    dataset = tfconv.ingest(table, tmp_path / "out", using="csv", label="y", features=features)
    inputs, _ = next(iter(tfconv.read_dataset(dataset, "train", 2)))
    assert inputs.dtype == "float32"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"using": "cvs"}, "Did you mean 'csv'"),
        ({"using": "csv", "lable": "y"}, "no argument 'lable'"),
        ({"using": "csv", "writers": "many"}, "`writers` can't be used"),
        ({"using": "csv", "features": {"a": {"type": "int64"}}}, "no setting 'type'"),
    ],
)
def test_what_can_not_be_used_is_told(
    table: Path, tmp_path: Path, options: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        tfconv.ingest(table, tmp_path / "out", **options)


def test_two_calls_for_one_folder_exclude_each_other(table: Path, tmp_path: Path) -> None:
    from mlflow_tfconv.engine.lock import only_run

    (tmp_path / "out" / ".ingest").mkdir(parents=True)
    with (
        only_run(tmp_path / "out" / ".ingest"),
        pytest.raises(BusyError, match="call of `ingest` with this folder"),
    ):
        tfconv.ingest(table, tmp_path / "out", using="csv")


def test_files_of_somebody_else_are_not_written_over(table: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "out" / "train-00000.tfrecord"
    theirs.parent.mkdir()
    theirs.write_bytes(b"precious")
    with pytest.raises(ConfigError, match="TFRecord files of somebody else"):
        tfconv.ingest(table, tmp_path / "out", using="csv")
    assert theirs.read_bytes() == b"precious"


def test_a_manifest_may_lie_beside_files_that_stay_where_they_are(
    table: Path, tmp_path: Path
) -> None:
    first = tfconv.ingest(table, tmp_path / "first", using="csv")
    (tmp_path / "first" / "manifest.json").rename(tmp_path / "kept.json")
    again = tfconv.ingest(tmp_path / "first", tmp_path / "first", using="tfrecord")
    assert again.counts == first.counts
    assert len(list(tfconv.read_dataset(again, "train", 60))) == 1


def test_a_call_that_is_killed_while_it_puts_shards_in_place_is_made_again(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def stop(file: Path, target: Path) -> Path:
        if file.name == "validation-00000.tfrecord" and ".unfinished" not in str(file):
            raise KeyboardInterrupt
        return replace(file, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            tfconv.ingest(table, tmp_path / "out", using="csv")
    assert not (tmp_path / "out" / "manifest.json").exists()
    dataset = tfconv.ingest(table, tmp_path / "out", using="csv")
    assert len(list(tfconv.read_dataset(dataset, "train", 60))) == 1
