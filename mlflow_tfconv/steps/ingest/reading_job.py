"""What those who read pieces and make shards are told, and what they tell of a bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.steps.ingest.bundles import Bundle
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.segments import Segment
from mlflow_tfconv.steps.ingest.skipped import Skipped
from mlflow_tfconv.steps.ingest.sources.source import Source

Features = Mapping[str, FeatureSpec]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingJob:
    """The same for all who take part; picklable.

    Attributes:
        source: What is read.
        config: How.
        root: The recipe's folder.
        bundles: Its pieces.
        folder: Where segments and what is known of them go.
        output: Where shards go.
        write: Whether segments are written; what the data are is learned in any case.
        needed_bytes: About what all of it takes on disk; None when nobody knows.
    """

    source: Source
    config: IngestConfig
    root: Path
    bundles: tuple[Bundle, ...]
    folder: Path
    output: Path
    write: bool = True
    needed_bytes: int | None = None

    @property
    def shard_bytes(self) -> int:
        """The size of the shards."""
        return max(1, round(self.config.shard_mb * 1e6))


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRead:
    """What is known of a bundle that was read.

    Attributes:
        identity: That of the bundle.
        like: The features that its examples had to agree with; None when it began with none.
        first: The features of its first example; empty without one.
        features: Those of all its examples.
        counts: Split to number of examples.
        contents: Split to the sum of their digests, see `Shard.content`.
        segments: Split to what was written.
        skipped: What was left out.
    """

    identity: str
    like: Features | None
    first: Features
    features: Features
    counts: Mapping[str, int]
    contents: Mapping[str, str]
    segments: Mapping[str, tuple[Segment, ...]]
    skipped: Skipped

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "identity": self.identity,
            "like": None if self.like is None else features_to_json(self.like),
            "first": features_to_json(self.first),
            "features": features_to_json(self.features),
            "counts": dict(self.counts),
            "contents": dict(self.contents),
            "segments": {
                split: [segment.to_json() for segment in found]
                for split, found in self.segments.items()
            },
            "skipped": self.skipped.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BundleRead:
        """The inverse of `to_json`."""
        return cls(
            identity=data["identity"],
            like=None if data["like"] is None else features_from_json(data["like"]),
            first=features_from_json(data["first"]),
            features=features_from_json(data["features"]),
            counts=Counter(data["counts"]),
            contents=data["contents"],
            segments={
                split: tuple(map(Segment.from_json, found))
                for split, found in data["segments"].items()
            },
            skipped=Skipped.from_json(data["skipped"]),
        )


def features_to_json(features: Features) -> dict[str, Any]:
    """Plain values."""
    return {name: spec.to_json() for name, spec in features.items()}


def features_from_json(data: Mapping[str, Any]) -> dict[str, FeatureSpec]:
    """The inverse of `features_to_json`."""
    return {name: FeatureSpec.from_json(item) for name, item in data.items()}
