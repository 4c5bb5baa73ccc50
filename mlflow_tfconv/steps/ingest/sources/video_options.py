"""What may be asked of videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlflow_tfconv.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipOptions:
    """Several frames of a video as one example.

    Attributes:
        frames: How many a clip has.
        stride: From one frame of a clip to the next, in frames of the video.
        step: From the beginning of a clip to that of the next, in frames of the video; without it
            clips follow one another without overlap.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    frames: int
    stride: int = 1
    step: int | None = None

    def __post_init__(self) -> None:
        for name in ("frames", "stride", "step"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise _not_positive(f"clip.{name}", value)

    @property
    def span(self) -> int:
        """From its first frame to its last, both counted."""
        return (self.frames - 1) * self.stride + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOptions:
    """Which frames of videos become examples.

    Attributes:
        every: Of how many frames one is taken.
        fps: How many frames of a second are taken, whatever the video's own rate; instead of
            `every`.
        clip: Makes several of the frames taken one example, `clip` (frames, height, width,
            channels); without it each is one, `image`.
        times: What the columns `start` and `end` of a list count: seconds, or frames from 0.
        start: The column of a list with the place where an example's part of the video begins.
        end: The column with the place before which it ends.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    every: int = 1
    fps: float | None = None
    clip: ClipOptions | None = None
    times: Literal["seconds", "frames"] = "seconds"
    start: str = "start"
    end: str = "end"

    def __post_init__(self) -> None:
        if self.every < 1:
            raise _not_positive("every", self.every)
        if self.fps is not None and not self.fps > 0:
            raise _not_positive("fps", self.fps)
        if self.fps is not None and self.every != 1:
            raise ConfigError(
                "ingest.video says twice which frames are taken.",
                received=f"every: {self.every}, fps: {self.fps:g}",
                expected="one of both",
                fix="Leave one out.",
            )


def _not_positive(name: str, value: float) -> ConfigError:
    return ConfigError(
        f"ingest.video.{name} is not positive.",
        received=value,
        fix="Give 1 or more, or leave it out.",
    )
