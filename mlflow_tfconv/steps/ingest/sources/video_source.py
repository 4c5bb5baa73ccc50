"""Videos: frames or clips of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.engine.events import Emit
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.locations import source_files
from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources import image_decoding
from mlflow_tfconv.steps.ingest.sources.frame_choice import Frame, chosen_frames, clips_of
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.source import Found, Piece
from mlflow_tfconv.steps.ingest.sources.video_frames import (
    SUFFIXES,
    frames_of_pictures,
    frames_of_video,
)
from mlflow_tfconv.steps.ingest.sources.video_lists import Video, Videos, videos_of
from mlflow_tfconv.steps.ingest.sources.video_options import VideoOptions

_FRAME, _CLIP = "image", "clip"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSource:
    """Frames of videos as `image`, or several together as `clip`; one video is never split.

    Attributes:
        found: Which videos.
        image: What becomes of each frame; its channels are given.
        options: Which frames.
    """

    found: Videos
    image: ImageOptions
    options: VideoOptions

    @classmethod
    def open(cls, config: IngestConfig, root: Path, emit: Emit) -> VideoSource:
        """Lists the videos.

        Raises:
            ConfigError: An option does not fit videos, or a column that the recipe names is not
                there.
            DataError: There are no videos, or the list can't be read.
            MissingLibraryError: PyAV is not installed.
        """
        if config.image.store == "encoded":
            raise ConfigError(
                "ingest.image.store: frames of videos are no files that could stay encoded.",
                received="encoded",
                expected="pixels",
                fix="Leave it out, and give `ingest.image.size`.",
            )
        image = dataclasses.replace(config.image, channels=config.image.channels or 3)
        source = cls(found=videos_of(config, root, emit), image=image, options=config.video)
        taken = {_FRAME, _CLIP} & set(source.found.features)
        if taken:
            raise ConfigError(
                f"The list has a column {min(taken)!r}, and that is the name of the frames.",
                received=f"columns: {', '.join(source.found.features)}",
                fix="Is it the column with the paths? Then set `ingest.image.column`. Otherwise "
                "leave it out: `ingest.csv.ignore`.",
            )
        return source

    @property
    def features(self) -> Mapping[str, FeatureSpec]:
        """The frames, where their size is given, and what else is known of videos."""
        found = dict(self.found.features)
        if self.image.size is None:
            return found
        frame = (*self.image.size, self.image.channels)
        clip = self.options.clip
        shape = frame if clip is None else (clip.frames, *frame)
        return {
            _FRAME if clip is None else _CLIP: FeatureSpec("uint8", shape, encoding="raw")
        } | found

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """The folders, or the classes that were given."""
        return self.found.class_names

    @property
    def labels(self) -> tuple[str, ...]:
        """The label, for a recipe that names none."""
        return self.found.labels

    def pieces(self) -> tuple[Piece, ...]:
        """Groups of videos."""
        return self.found.pieces()

    def examples(self, piece: Piece) -> Iterator[Found]:
        """The frames or clips of each video; after an error the next video goes on."""
        for video in self.found.videos(piece):
            if isinstance(video, tuple):
                yield Found(*video)
                continue
            none = True
            try:
                for found in self._of(video):
                    none = False
                    yield found
            except DataError as e:
                yield Found(video.where, e, video.split, video.file.name)
                continue
            if none:
                yield Found(video.where, self._nothing(video), video.split, video.file.name)

    def _of(self, video: Video) -> Iterator[Found]:
        frames = chosen_frames(self._frames(video), video.part, self.options)
        if self.options.clip is None:
            for frame in frames:
                pixels, shape = frame.image()
                where = f"{video.where}, frame {frame.number}"
                yield self._found(video, where, _FRAME, pixels, shape)
            return
        for clip in clips_of(frames, self.options.clip):
            where = f"{video.where}, frames {clip.first} to {clip.last}"
            yield self._found(video, where, _CLIP, clip.value, clip.original_shape)

    def _found(
        self, video: Video, where: str, name: str, value: Any, shape: tuple[int, ...]
    ) -> Found:
        example = {name: value, **video.values}
        return Found(where, example, video.split, video.file.name, {name: shape})

    def _frames(self, video: Video) -> Iterator[Frame]:
        pictures = _pictures(video.file)
        if not pictures:
            from_s = video.part.start if self.options.times == "seconds" else None
            return frames_of_video(video.file, self.image, from_s=from_s)
        if self.options.fps is not None or (self.options.times == "seconds" and video.part.given):
            raise DataError(
                f"{video.where} is a folder of pictures, whose times nobody knows.",
                received="ingest.video.fps, or a start and an end in seconds",
                fix="Use `every` instead of `fps`, and `times: frames`.",
            )
        return frames_of_pictures(pictures, self.image, self.image.channels or 3)

    def _nothing(self, video: Video) -> DataError:
        clip, part = self.options.clip, video.part
        of = f" from {part.start or 0:g} to {'its end' if part.end is None else f'{part.end:g}'}"
        wanted = "a frame" if clip is None else f"{clip.span} frames for one clip"
        return DataError(
            f"{video.where} gives no example: it is too short{of if part.given else ''}.",
            expected=f"{wanted} at least",
            fix="Make the clip shorter, correct the part, or leave such videos out: "
            "`on_error: skip`.",
        )


def _pictures(file: SourceFile) -> tuple[SourceFile, ...]:
    """The pictures of a folder; none when it is a file."""
    if file.suffix in SUFFIXES if file.remote else not Path(file.url_or_path).is_dir():
        return ()
    return source_files(
        file.url_or_path,
        Path("/"),
        suffixes=image_decoding.SUFFIXES,
        storage_options=file.storage_options,
    )
