"""Foreign features as they are written when not the records are kept, but their values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions

Features = Mapping[str, FeatureSpec]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenAnew:
    """Values instead of records: images as pixels, tensors as plain elements.

    Attributes:
        image: What becomes of images.
        channels: Of them; None leaves those that they are read with.
    """

    image: ImageOptions
    channels: int | None

    def features(self, stored: Features) -> dict[str, FeatureSpec]:
        """What is written of the features that the records hold."""
        return {name: self._written(spec) for name, spec in stored.items()}

    def check(self, stored: Features, config: IngestConfig) -> None:
        """Refuses features that can't be written so.

        Raises:
            DataError: There is one.
        """
        for name, spec in self.features(stored).items():
            if spec.dtype == "string" and None in spec.shape[1:]:
                raise DataError(
                    f"The feature {name!r} can't be written anew: lists of texts that vary within "
                    "a list.",
                    received=f"string {spec.shape}".replace("None", "any"),
                    fix="Leave `ingest.image` and `ingest.layout` out, or leave this feature out "
                    "(`ingest.features` names the others).",
                )
            if config.layout == "block" and stored[name].encoding == "image" and spec.varies:
                raise DataError(
                    f"The images of {name!r} differ in size, which `layout: block` does not allow.",
                    received=f"uint8 {spec.shape}".replace("None", "any"),
                    fix="Give them one size, such as `ingest.image: {size: [224, 224]}`, or leave "
                    "`ingest.layout` out.",
                )

    def arrays(self, values: Mapping[str, Any], stored: Features, where: str) -> dict[str, Any]:
        """What is written of the values of a record.

        Raises:
            DataError: An image can't be decoded.
        """
        return {
            name: self._pixels(value, stored[name], f"{where}: the feature {name!r}")
            if stored[name].encoding == "image"
            else value
            for name, value in values.items()
        }

    def _written(self, spec: FeatureSpec) -> FeatureSpec:
        if spec.encoding == "image":
            *steps, height, width, _ = spec.shape
            height, width = self.image.size or (height, width)
            shape = (*steps, height, width, self._channels(spec))
            return FeatureSpec("uint8", shape, encoding="raw")
        numbers = spec.dtype != "string"
        packed = numbers and (spec.encoding in ("raw", "tensor") or len(spec.shape) > 1)
        return dataclasses.replace(
            spec,
            encoding="raw" if packed else "list",
            sequence=False,
            default=None,
            stored_dtype=None,
        )

    def _channels(self, spec: FeatureSpec) -> Any:
        return self.channels or spec.shape[-1] or 3

    def _pixels(self, value: Any, spec: FeatureSpec, where: str) -> np.ndarray[Any, Any]:
        """The pixels of an image, or those of several, one below the other."""
        from mlflow_tfconv.steps.ingest.sources.image_decoding import image_found

        options = dataclasses.replace(self.image, store="pixels", channels=self._channels(spec))
        if not spec.sequence:
            return np.asarray(image_found(value, options, where).value)
        frames = [image_found(one, options, where).value for one in value]
        if frames:
            return np.stack(frames)
        _, *inner = self._written(spec).shape
        return np.zeros((0, *(size or 0 for size in inner)), np.uint8)
