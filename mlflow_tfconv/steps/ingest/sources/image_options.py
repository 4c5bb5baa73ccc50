"""What may be asked of image files, and of the frames of videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlflow_tfconv.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """How image files, and the frames of videos, become examples.

    Attributes:
        size: Height and width that every image gets; without it images keep theirs, and batches of
            different ones are padded.
        resize: How pixels are computed when a size is given; all but "nearest" look at every pixel
            of a larger image, so that fine lines do not flicker.
        fit: What happens to an image of other proportions: "stretch" ignores them, "crop" cuts off
            what sticks out on both sides, "pad" puts black beside it.
        channels: 1 gives gray, 3 colour, 4 colour with alpha; null leaves them as they are, when
            they are the same in all images.
        store: "pixels" puts uint8 pixels into the shards, which reads fastest; "encoded" leaves
            JPEG and PNG files as they are, which is smaller, and they are decoded at every reading
            (others are stored as PNG).
        exif_orientation: Whether photographs are turned as their camera says.
        column: Of a list: the column with the paths or URLs of the files.
        root: Of a list: the folder or URL where relative paths start; without it the folder that
            the list is in.
        split: Of a list: the column that says train, validation or test; without it the hash of
            the example decides.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    size: tuple[int, int] | None = None
    resize: Literal["bilinear", "nearest", "bicubic", "area"] = "bilinear"
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    channels: Literal[1, 3, 4] | None = 3
    store: Literal["pixels", "encoded"] = "pixels"
    exif_orientation: bool = True
    column: str = "path"
    root: str | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise ConfigError(
                "ingest.image.size is no size of an image.",
                received=list(self.size),
                expected="height and width in pixels, such as [224, 224]",
                fix="Give two positive numbers, or leave it out.",
            )
        if self.size is not None and self.store == "encoded":
            raise ConfigError(
                "ingest.image: files that stay encoded can't be resized.",
                received=f"size: {list(self.size)}, store: encoded",
                fix="Leave `size` out and resize in the model (keras.layers.Resizing), or leave "
                "`store` out.",
            )
