"""The frames of a video file, by PyAV (FFmpeg), or of a folder of numbered pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from mlflow_tfconv.errors import DataError, MissingLibraryError
from mlflow_tfconv.steps.ingest.source_file import SourceFile, reading
from mlflow_tfconv.steps.ingest.sources.frame_choice import Frame
from mlflow_tfconv.steps.ingest.sources.image_files import content, image_of
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.image_pixels import fitted, pixels_of

try:
    import av
except ImportError:  # the extra `video`; whoever asks for videos is told
    av = None  # type: ignore[assignment]

#: Suffixes of files that are taken for videos; what they really are, their content says.
SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv"),
    *(".3gp", ".ogv", ".ts", ".mts"),
)

_SEEK_FROM_S = 5.0
_LEAST_SHARE = 0.95
_MICROSECONDS = 1_000_000

# Not all that FFmpeg knows: playlists would make it open other files, or addresses on the network.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,gif,h264,hevc,m4v"
)


def check_library() -> None:
    """Refuses to begin without PyAV.

    Raises:
        MissingLibraryError: It is not installed.
    """
    if av is None:
        raise MissingLibraryError(
            "`using: video` needs PyAV, which is not installed.",
            fix='Install it: pip install "mlflow-tfconv[video]"',
        )


def frames_of_video(
    file: SourceFile, options: ImageOptions, *, from_s: float | None = None
) -> Iterator[Frame]:
    """The frames in the order they are shown, decoded one after the other.

    Args:
        file: The video.
        options: What becomes of each frame.
        from_s: Frames before this time may be left out; the numbers of the others are then counted
            from there by the video's rate.

    Raises:
        DataError: It is no video, damaged, or cut off.
    """
    check_library()
    with _av_errors(file), reading(file), file.open() as stream:
        if not stream.read(1):
            raise _empty(file)
        stream.seek(0)
        opened = av.open(stream, container_options={"format_whitelist": _CONTAINERS})
        with cast("av.container.InputContainer", opened) as container:
            yield from _frames(file, container, options, from_s or 0.0)


def _frames(
    file: SourceFile, container: av.container.InputContainer, options: ImageOptions, from_s: float
) -> Iterator[Frame]:
    if not container.streams.video:
        raise _no_video(file, container)
    video = container.streams.video[0]
    begin_s = float((video.start_time or 0) * (video.time_base or 0))
    if from_s > _SEEK_FROM_S:
        container.seek(round((from_s + begin_s) * _MICROSECONDS), backward=True)
    number, count = 0, 0
    for count, frame in enumerate(container.decode(video), start=1):
        time_s = None if frame.time is None else float(frame.time) - begin_s
        if count == 1 and from_s > _SEEK_FROM_S:
            number = round((time_s or 0.0) * float(video.average_rate or 0))
        yield Frame(number, time_s, _Decoded(frame, options))
        number += 1
    _check_end(file, max(video.frames, 1), number if count else 0)


def frames_of_pictures(
    files: Sequence[SourceFile], options: ImageOptions, channels: int
) -> Iterator[Frame]:
    """The pictures of a folder as frames, in the order of the numbers in their names."""
    for number, file in enumerate(sorted(files, key=lambda file: _natural(file.name))):
        yield Frame(number, None, _Picture(file, options, channels))


class _Decoded:
    """A frame as FFmpeg decoded it; its pixels are computed when they are asked for."""

    def __init__(self, frame: Any, options: ImageOptions) -> None:
        self._frame, self._options = frame, options

    def __call__(self) -> tuple[np.ndarray[Any, Any], tuple[int, int, int]]:
        image = self._frame.to_image()
        quarters = round(getattr(self._frame, "rotation", 0) / 90) % 4
        if quarters and self._options.exif_orientation:
            image = image.rotate(90 * quarters, expand=True)
        upright = pixels_of(image, self._options.channels)
        array = np.asarray(fitted(upright, self._options))
        array = array[..., None] if array.ndim == 2 else array
        return array, (upright.height, upright.width, array.shape[2])


class _Picture:
    """A picture that is read when it is asked for."""

    def __init__(self, file: SourceFile, options: ImageOptions, channels: int) -> None:
        self._file, self._options, self._channels = file, options, channels

    def __call__(self) -> tuple[np.ndarray[Any, Any], tuple[int, int, int]]:
        found = image_of(self._file, content(self._file), self._options, self._channels)
        return np.asarray(found.value), found.original_shape


def _empty(file: SourceFile) -> DataError:
    return DataError(
        f"{file.shown} is no video.",
        received="an empty file",
        fix="Bring back or remove the file, or set `ingest.on_error: skip`.",
    )


def _no_video(file: SourceFile, container: av.container.InputContainer) -> DataError:
    what = "holds no video" if container.streams else "is no video, or a damaged one"
    return DataError(
        f"{file.shown} {what}.",
        received=f"{container.format.long_name}, streams: "
        f"{', '.join(stream.type for stream in container.streams) or 'none'}",
        fix="Remove it, or set `ingest.on_error: skip`.",
    )


def _check_end(file: SourceFile, promised: int, found: int) -> None:
    """A file that was cut ends like a whole one; only its own count of frames tells."""
    if found < promised * _LEAST_SHARE - 1:
        raise DataError(
            f"{file.shown} is cut off.",
            received=f"{found:,} frames",
            expected=f"{promised:,} frames",
            fix="Bring back a whole copy, or set `ingest.on_error: skip`.",
        )


@contextmanager
def _av_errors(file: SourceFile) -> Iterator[None]:
    try:
        yield
    except av.error.FFmpegError as e:
        raise DataError(
            f"{file.shown} is no video, or a damaged one.",
            received=e.strerror or str(e),
            fix="Bring back or remove the file, or set `ingest.on_error: skip`.",
        ) from e


def _natural(name: str) -> list[tuple[int, int, str]]:
    """`frame2` before `frame10`."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
