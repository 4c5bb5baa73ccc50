"""Image files as features of examples."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.source_file import SourceFile, reading
from mlflow_tfconv.steps.ingest.sources.image_decoding import ImageFound, image_found
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions

#: The name of the feature.
IMAGE = "image"

_FIRST_LOOKED_AT = 20
_READ_AHEAD = 8
_GROWTH = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".jp2"), 10),
    **dict.fromkeys((".png", ".gif"), 3),
}


def common_channels(files: Sequence[SourceFile], options: ImageOptions) -> int:
    """The channels of all images: those asked for, or those of the first that can be decoded.

    Raises:
        DataError: None of the first images can be decoded.
    """
    if options.channels is not None:
        return options.channels
    error: DataError | None = None
    for file in files[:_FIRST_LOOKED_AT]:
        try:
            return image_found(content(file), options, file.shown).original_shape[2]
        except DataError as e:
            error = error or e
    assert error is not None  # noqa: S101 (there is one file at least)
    raise error


def image_features(options: ImageOptions, channels: int) -> Mapping[str, FeatureSpec]:
    """What is known of the image beforehand: that it stays encoded, or its size."""
    if options.store == "encoded":
        return {IMAGE: FeatureSpec("uint8", (None, None, channels), encoding="image")}
    if options.size is not None:
        return {IMAGE: FeatureSpec("uint8", (*options.size, channels), encoding="raw")}
    return {}


def image_of(file: SourceFile, data: bytes, options: ImageOptions, channels: int) -> ImageFound:
    """The image in a file's content.

    Raises:
        DataError: It can't be decoded, or has other channels than the others.
    """
    found = image_found(data, options, file.shown)
    if found.original_shape[2] != channels:
        raise DataError(
            f"{file.shown} has other channels than the images before.",
            received=f"{found.original_shape[2]} channels",
            expected=f"{channels} channels",
            fix=f"Set `ingest.image.channels: {max(channels, 3)}`: all images get that many.",
        )
    return found


def decoded_bytes(file: SourceFile, options: ImageOptions, channels: int) -> int:
    """About what an image takes in the shards; photographs are compressed about tenfold."""
    if options.size is not None:
        return options.size[0] * options.size[1] * channels
    stored = file.size_bytes or 0
    return stored if options.store == "encoded" else stored * _GROWTH.get(file.suffix, 1)


def group_of(data: bytes) -> str:
    """What decides an image's split: its file, so that options that change its pixels don't."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def content(file: SourceFile) -> bytes:
    """All of a small file.

    Raises:
        DataError: It can't be read.
    """
    with reading(file), file.open() as stream:
        return stream.read()


def contents(files: Sequence[SourceFile]) -> Iterator[tuple[SourceFile, bytes | DataError]]:
    """Each file with its content, or why it has none; of a server's files some are under way."""
    if not any(file.remote for file in files):
        for file in files:
            yield file, _content_or_error(file)
        return
    with ThreadPoolExecutor(_READ_AHEAD) as threads:
        waiting = iter(files)
        under_way: deque[tuple[SourceFile, Future[bytes | DataError]]] = deque()
        under_way.extend(
            (file, threads.submit(_content_or_error, file)) for file in islice(waiting, _READ_AHEAD)
        )
        while under_way:
            file, future = under_way.popleft()
            yield file, future.result()
            under_way.extend(
                (more, threads.submit(_content_or_error, more)) for more in islice(waiting, 1)
            )


def _content_or_error(file: SourceFile) -> bytes | DataError:
    try:
        return content(file)
    except DataError as e:
        return e
