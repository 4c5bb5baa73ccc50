"""The storages behind URLs, through fsspec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from mlflow_tfconv.engine.secrets import without_secrets
from mlflow_tfconv.errors import DataError, MissingLibraryError

_EXTRAS = {
    **dict.fromkeys(("s3", "s3a"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("http", "https"), "http"),
}
# s3fs reads 50 MB ahead by itself; several writers would hold that each.
_BLOCK_BYTES = 8 * 2**20
# What tells that an object is unchanged, by file system; the first that is there is enough.
_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "checksum", "generation", "version_id")
_TIMES = ("LastModified", "updated", "last_modified", "Last-Modified", "mtime", "created")


def file_system(url: str, storage_options: Mapping[str, Any]) -> tuple[Any, str]:
    """The file system of a URL, and the path that it knows the URL's object by.

    Raises:
        MissingLibraryError: Its library is not installed.
        DataError: There is no such kind of URL, or its storage_options can't be used.
    """
    scheme = urlsplit(url).scheme
    try:
        from fsspec.core import url_to_fs

        return cast("tuple[Any, str]", url_to_fs(url, **_uncached(scheme), **storage_options))
    except ImportError as e:
        raise _missing(scheme, without_secrets(url), e) from e
    except (ValueError, TypeError) as e:
        raise DataError(
            f"{without_secrets(url)} can't be read.",
            received=without_secrets(str(e)),
            expected="a URL such as s3://bucket/folder, gs://bucket/folder or https://host/file",
            fix="Correct ingest.location or ingest.storage_options.",
        ) from e


def identity_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """What a server tells of an object's content: its size and its entity tag, or its time."""
    known = {"size": info.get("size")}
    for names in (_TAGS, _TIMES):
        tag = next((info[name] for name in names if info.get(name)), None)
        if tag is not None:
            return known | {"tag": str(tag)}
    return known


def open_remote(url: str, shown: str, storage_options: Mapping[str, Any]) -> BinaryIO:
    """An object, opened for reading bytes at any place.

    Raises:
        DataError: It is gone, may not be read, or the network fails.
    """
    system, path = file_system(url, storage_options)
    with remote_errors(shown):
        return cast("BinaryIO", system.open(path, "rb", block_size=_BLOCK_BYTES))


@contextmanager
def remote_errors(shown: str) -> Iterator[None]:
    """Errors of a file system's library, of whatever class, as a DataError that names the URL."""
    try:
        yield
    except DataError:
        raise
    except (ImportError, MemoryError):
        raise
    except Exception as e:  # each library has its own classes
        raise _failed(shown, e) from e


def _uncached(scheme: str) -> dict[str, Any]:
    """What was listed before may have changed since."""
    return {} if scheme in ("memory", "file", "local") else {"use_listings_cache": False}


def _missing(scheme: str, shown: str, error: ImportError) -> MissingLibraryError:
    extra = _EXTRAS.get(scheme)
    install = f"pip install 'mlflow-tfconv[{extra}]'" if extra else "pip install fsspec"
    return MissingLibraryError(
        f"{shown} can't be read: a library for {scheme}:// is not installed.",
        received=str(error),
        fix=f"Install it: {install}" if extra else f"Install what it names, besides {install!r}.",
    )


def _failed(shown: str, error: Exception) -> DataError:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    said = without_secrets(f"{type(cause).__name__}: {cause}")
    kind = type(error).__name__
    # A web server that can't be reached is a FileNotFoundError too, whose cause is told.
    if isinstance(error, FileNotFoundError) and not isinstance(error.__cause__, OSError):
        return DataError(
            f"There is nothing at {shown}.",
            received=said,
            fix="Correct ingest.location: the bucket, the folder or the name is not there.",
        )
    if isinstance(error, PermissionError) or "Credentials" in kind:
        return DataError(
            f"{shown} may not be read.",
            received=said,
            fix="Give credentials in the environment, as the library of the storage reads them "
            "(AWS_ACCESS_KEY_ID or AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS), or, for public "
            "data, `storage_options: {anon: true}` (s3), `{token: anon}` (gs).",
        )
    return DataError(
        f"{shown} can't be read over the network.",
        received=said,
        fix="Check the network and `storage_options.endpoint_url`, then run again; "
        "what was read is kept.",
    )
