"""Which frames of a video are taken, and which of these belong together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlflow_tfconv.steps.ingest.sources.video_options import ClipOptions, VideoOptions

_TIME_TOLERANCE_S = 1e-4  # clocks of containers tick in milliseconds or so


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a video.

    Attributes:
        number: From 0, as the video is shown.
        time_s: From the beginning; None when nobody knows, as with numbered pictures.
        image: Decodes and resizes it: `image()` gives (height, width, channels) uint8, and the shape
            it had.
    """

    number: int
    time_s: float | None
    image: Any


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a video, from `start` to before `end`; None where it is the video's own end."""

    start: float | None = None
    end: float | None = None

    @property
    def given(self) -> bool:
        """Whether it is less than all."""
        return self.start is not None or self.end is not None

    def place(self, frame: Frame, options: VideoOptions) -> float:
        """Where a frame stands, in the unit of this part."""
        if options.times == "frames" or frame.time_s is None:
            return frame.number
        return frame.time_s


def chosen_frames(frames: Iterable[Frame], part: Part, options: VideoOptions) -> Iterator[Frame]:
    """The frames of a part that are taken: every n-th, or so many a second."""
    inside = _inside(frames, part, options)
    if options.fps is None:
        for position, frame in enumerate(inside):
            if position % options.every == 0:
                yield frame
        return
    begin, taken = None, 0
    for frame in inside:
        time_s = frame.time_s or 0.0
        begin = time_s if begin is None else begin
        if time_s - begin + _TIME_TOLERANCE_S >= taken / options.fps:
            yield frame
            taken = int((time_s - begin + _TIME_TOLERANCE_S) * options.fps) + 1


def _inside(frames: Iterable[Frame], part: Part, options: VideoOptions) -> Iterator[Frame]:
    tolerance = 0.0 if options.times == "frames" else _TIME_TOLERANCE_S
    for frame in frames:
        place = part.place(frame, options)
        if part.end is not None and place >= part.end - tolerance:
            return
        if part.start is None or place >= part.start - tolerance:
            yield frame


@dataclass(slots=True)
class _OpenClip:
    first: int
    numbers: list[int]
    images: list[Any]


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames that belong together.

    Attributes:
        first: Number of the first frame in its video.
        last: Number of the last.
        value: (frames, height, width, channels) uint8.
        original_shape: (frames, height, width, channels) as they were.
    """

    first: int
    last: int
    value: np.ndarray[Any, Any]
    original_shape: tuple[int, ...]


def clips_of(frames: Iterable[Frame], options: ClipOptions) -> Iterator[Clip]:
    """Clips, holding the frames of those that are not complete; a rest at the end is left out."""
    step = options.step or options.frames * options.stride
    under_way: list[_OpenClip] = []
    for position, frame in enumerate(frames):
        if position % step == 0:
            under_way.append(_OpenClip(position, [], []))
        wanted = [clip for clip in under_way if (position - clip.first) % options.stride == 0]
        if not wanted:
            continue
        image = frame.image()
        for clip in wanted:
            clip.numbers.append(frame.number)
            clip.images.append(image)
        if len(under_way[0].images) == options.frames:
            yield _clip(under_way.pop(0))


def _clip(found: _OpenClip) -> Clip:
    value = np.stack([pixels for pixels, _ in found.images])
    shape = found.images[0][1]
    return Clip(found.numbers[0], found.numbers[-1], value, (len(found.images), *shape))
