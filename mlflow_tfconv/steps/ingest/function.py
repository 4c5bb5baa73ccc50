"""The function `ingest`, for use without a recipe."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.arguments import made_folder, path_of, settings
from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.atomic import write_text
from mlflow_tfconv.engine.events import Event, ignore
from mlflow_tfconv.engine.lock import only_run
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps.ingest.config import FeatureConfig, IngestConfig
from mlflow_tfconv.steps.ingest.step import IngestStep

if TYPE_CHECKING:
    from mlflow_tfconv.engine.events import Emit

Location = str | Path | Sequence[str | Path] | None

_WORK = ".ingest"


def ingest(
    location: Location,
    output_folder: str | Path,
    *,
    using: str,
    emit: Emit | None = None,
    **options: Any,
) -> Dataset:
    """Writes data of any size into TFRecord shards with a manifest, holding little of them.

    A call that was killed goes on, when it is made again, with the files that it had not done. What
    an earlier call has left in the folder is replaced when this one has succeeded, and stays as it
    is when not.

    >>> dataset = tfconv.ingest("photos/", "dataset", using="image_folder")     # doctest: +SKIP
    >>> train = tfconv.read_dataset(dataset, "train", batch_size=64)     # doctest: +SKIP

    Args:
        location: A file, folder, glob pattern or URL, or several; relative paths start at the
            current folder. None for a generator that needs none.
        output_folder: Gets the shards and manifest.json.
        using: What is there: "csv", "parquet", "text", "image_folder", "image_list", "npy", "video"
            or "tfrecord"; "custom" calls `load_examples` of the file steps/ingest.py.
        emit: Called with every event, such as `Progress`; without it a terminal shows how far it
            is.
        **options: The other keys of the section `ingest` of a recipe.yaml: `label`, `key`,
            `split_ratios`, `shard_mb`, `shuffle`, `compression`, `layout`, `writers`, `on_error`,
            ..., and the options of a kind, such as `csv={"delimiter": ";"}`.

    Returns:
        The dataset: `.manifest` is its manifest.json, `.counts` the number of examples by split.

    Raises:
        ConfigError: An option can't be used.
        DataError: There are no data, they are damaged or unfit, or the disk is full.
        MissingLibraryError: This kind of data needs a library that is not installed.
        BusyError: Another call is writing to the same folder.
    """
    output = made_folder(path_of(output_folder, "The output"))
    config = settings(IngestConfig, {"using": using, **_plain(location, options)})
    with only_run(output / _WORK, "call of `ingest` with this folder"):
        work = output / _WORK / "data"
        work.mkdir(exist_ok=True)
        found = _ingested(config, work, emit)
        _put_in_place(work, output)
    shutil.rmtree(output / _WORK)
    return Dataset(manifest=output / found.manifest.name, digest=found.digest, counts=found.counts)


def _plain(location: Location, options: Mapping[str, Any]) -> dict[str, Any]:
    several = not isinstance(location, str | Path | None)
    places = [os.fspath(one) for one in location] if several else None  # type: ignore[union-attr]
    place = os.fspath(location) if isinstance(location, Path) else location
    features = {
        name: settings(FeatureConfig, given, f"features.{name}")
        if isinstance(given, Mapping)
        else given
        for name, given in dict(options.get("features", {})).items()
    }
    given = {**options, "location": places if several else place}
    return {**given, "features": features} if features else given


def _ingested(config: IngestConfig, work: Path, emit: Emit | None) -> Dataset:
    if emit is not None or not sys.stdout.isatty():
        return _run(config, work, emit or ignore)
    from mlflow_tfconv.engine.console import Terminal

    terminal = Terminal()

    def show(event: Event) -> None:
        terminal.handle("ingest", event)

    try:
        return _run(config, work, show)
    finally:
        terminal.close()


def _run(config: IngestConfig, work: Path, emit: Emit) -> Dataset:
    context = StepContext(recipe_root=Path.cwd(), emit=emit)
    dataset: Dataset = IngestStep(config).run(None, work, context).output
    return dataset


def _put_in_place(work: Path, output: Path) -> None:
    """Moves what was made, the manifest last; what is left of an earlier dataset goes."""
    from mlflow_tfconv.data.manifest import FILE_NAME
    from mlflow_tfconv.steps.ingest.work_folder import own_shards, refuse_foreign_shards

    note = output / _WORK / "own.json"
    own = own_shards(output) | set(json.loads(note.read_text()) if note.is_file() else ())
    new = own_shards(work)
    if new:
        refuse_foreign_shards(output, own)
    write_text(note, json.dumps(sorted(own | new)))  # for a call that is killed from here on
    (output / FILE_NAME).unlink(missing_ok=True)
    for name in own:
        (output / name).unlink(missing_ok=True)
    for file in sorted(work.iterdir(), key=lambda file: file.name == FILE_NAME):
        file.replace(output / file.name)
