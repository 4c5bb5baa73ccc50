"""The step `ingest`: examples become a sharded, split, described dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.events import DatasetUsed, Message, Metric, Param
from mlflow_tfconv.engine.step import Step, StepContext, StepResult
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.ingest.config import SOURCES, IngestConfig
from mlflow_tfconv.steps.ingest.local_locations import beside_lists, local_locations

if TYPE_CHECKING:
    from mlflow_tfconv.data.manifest import Manifest
    from mlflow_tfconv.steps.ingest.shard_source import Ingested
    from mlflow_tfconv.steps.ingest.skipped import Skipped

#: Kind of source to the distributions that decode it.
_READERS = {
    "csv": ("pyarrow",),
    "image_folder": ("pillow",),
    "image_list": ("pillow", "pyarrow"),
    "parquet": ("pyarrow",),
    "tfrecord": ("pillow",),
    "video": ("av", "pillow"),
}


class IngestStep(Step[IngestConfig]):
    """Streams examples into TFRecord shards and writes down what they are.

    Needs the recipe's steps/ingest.py (`using: custom`) or files of a known kind. Gives a
    `Dataset`: every example has the same features, labels are finite, and the manifest lists each
    shard with its count and checksums. A killed run goes on with what it has not done.
    """

    name = "ingest"
    config_class = IngestConfig
    user_code = ("steps/ingest.py",)
    resumable = True

    @property
    def libraries(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those that read this kind of source, and those that write."""
        return (*_READERS.get(self.config.using, ()), "numpy", "protobuf")

    def inputs(self) -> tuple[Path, ...]:
        """The locations that are local, and the folders of the files that lists name."""
        found = self.config.locations
        if self.config.using in ("image_list", "video"):
            found += beside_lists(found, self.config.image.root)
        return local_locations(found)

    def outside(self) -> Mapping[str, str]:
        """The locations that are not; a generator of the user's reads URLs as it likes."""
        if self.config.using == "custom":
            return {}
        from mlflow_tfconv.steps.ingest.locations import remote_content

        return remote_content(self.config.locations, self.config.storage_options)

    def needed_functions(self) -> Mapping[str, tuple[str, ...]]:
        """The generator, unless the data are there already."""
        return {"steps/ingest.py": ("load_examples",)} if self.config.using == "custom" else {}

    def run(
        self,
        source: Any,  # noqa: ARG002 (the first step has none)
        workdir: Path,
        context: StepContext = StepContext(),
    ) -> StepResult:
        """Reads all examples once.

        Args:
            source: Not used: this is the first step.
            workdir: Gets the shards, manifest.json and a picture of some examples.
            context: The recipe's folder and where the events go.

        Raises:
            ConfigError: steps/ingest.py has no `load_examples` that takes the arguments.
            DataError: The source is missing or damaged, or an example is unfit.
        """
        from mlflow_tfconv.data.manifest import write_manifest
        from mlflow_tfconv.steps.ingest.card import card_of, varying_features

        ingested = self._ingested(workdir, context)
        manifest = ingested.manifest
        path = write_manifest(manifest, workdir)
        _tell(manifest, path, context)
        self._tell_empty_splits(manifest, ingested.splits, context)
        _tell_skipped(ingested.skipped, context)
        for text in varying_features(manifest.schema):
            context.emit(Message(text=text))
        dataset = Dataset(manifest=path, digest=manifest.digest, counts=manifest.counts)
        card = card_of(manifest, ingested.statistics, workdir, ingested.skipped)
        ingested.clean()
        return StepResult(output=dataset, card=card)

    def _ingested(self, workdir: Path, context: StepContext) -> Ingested:
        root = context.recipe_root or Path.cwd()
        if self.config.using not in SOURCES:
            raise ConfigError(
                "ingest.using names a step class of its own; IngestStep can't stand in for it.",
                received=repr(self.config.using),
                fix="Run the recipe, or use that class instead of IngestStep.",
            )
        from mlflow_tfconv.steps.ingest.describe_in_place import describe_in_place
        from mlflow_tfconv.steps.ingest.shard_source import shard_source
        from mlflow_tfconv.steps.ingest.sources.table import open_source
        from mlflow_tfconv.steps.ingest.sources.tfrecord_source import TfrecordSource

        source = open_source(self.config, root, context.emit)
        config = _with_labels(self.config, getattr(source, "labels", ()))
        if isinstance(source, TfrecordSource) and source.in_place:
            return describe_in_place(source, config, root, workdir, context.emit)
        ingested = shard_source(source, config, root, workdir, context.emit)
        return dataclasses.replace(ingested, splits=getattr(source, "splits", ()))

    def _tell_empty_splits(
        self, manifest: Manifest, said: tuple[str, ...], context: StepContext
    ) -> None:
        """Warns of splits that are empty although nobody asked for that."""
        from mlflow_tfconv.data.splits import SPLITS

        what = f"values of {self.config.key!r}" if self.config.key else "examples"
        ratios = dict(zip(SPLITS, self.config.split_ratios, strict=True))
        for split, count in manifest.counts.items():
            if count or not (ratios[split] or said):
                continue
            why = (
                f"the data name {' and '.join(said)} only"
                if said
                else f"there are few different {what}"
            )
            text = f"The split {split!r} got no examples: {why}."
            context.emit(Message(text=text, level="warning"))


def _with_labels(config: IngestConfig, labels: tuple[str, ...]) -> IngestConfig:
    """The config with the labels that a source has by itself, where the recipe names none."""
    if config.label is not None or not labels:
        return config
    return dataclasses.replace(config, label=labels)


def _tell_skipped(skipped: Skipped, context: StepContext) -> None:
    if skipped.count:
        context.emit(Metric(name="examples/skipped", value=skipped.count))
        were = "examples were left out, the first" if skipped.count > 1 else "example was left out"
        first = f"{skipped.count:,} {were}: {skipped.texts[0]}"
        context.emit(Message(text=first, level="warning"))


def _tell(manifest: Manifest, path: Path, context: StepContext) -> None:
    context.emit(DatasetUsed(manifest=path))
    context.emit(Param(name="dataset_digest", value=manifest.digest))
    for split, count in manifest.counts.items():
        context.emit(Metric(name=f"examples/{split}", value=count))
