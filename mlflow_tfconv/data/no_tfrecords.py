"""What a file is that was taken for a TFRecord file, told from its first bytes."""

from __future__ import annotations

_OTHER_SOURCE = "Read it with another kind of source, or narrow ingest.location."
_UNPACK = "Unpack it first; of compressed TFRecord files gzip and zlib are read as they are."

#: First bytes, what they mean, how to mend it.
_MAGICS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the data", "Run `git lfs pull`."),
    (b"PAR1", "a Parquet file", "Read it with `using: parquet`."),
    (b"\x93NUMPY", "a file of numpy", "Read it with `using: npy`."),
    (b"PK\x03\x04", "a zip archive (or .npz)", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a file compressed with zstd", _UNPACK),
    (b"BZh", "a file compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "a file compressed with xz", _UNPACK),
    (b"\x1f\x8b", "a file compressed with gzip", "Say that it is compressed."),
    (b"\x89HDF", "an HDF5 file", _OTHER_SOURCE),
    (b"SQLite format 3", "an SQLite database", _OTHER_SOURCE),
    (b"\xff\xd8\xff", "a JPEG image", "Read images with `using: image_folder`."),
    (b"\x89PNG", "a PNG image", "Read images with `using: image_folder`."),
)
_PAGES = (b"<!doctype", b"<html", b"<?xml")
_TEXT_BYTES = 512


def what_it_is(head: bytes) -> tuple[str, str] | None:
    """What a file with these first bytes is and how to mend it; None when nobody knows."""
    for magic, what, fix in _MAGICS:
        if head.startswith(magic):
            return what, fix
    start = head[:_TEXT_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.lower().startswith(_PAGES):
        return "an HTML or XML page, such as a server's error", "Download the file again."
    if _is_text(head[:_TEXT_BYTES]):
        first = head[:_TEXT_BYTES].decode("utf-8", errors="replace").splitlines()[0]
        return f"text, beginning with {first[:60]!r}", "Read it with `using: csv` or `text`."
    return None


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as e:
        if e.start < len(head) - 3:  # not only the last character, cut
            return False
        text = head[: e.start].decode("utf-8")
    return bool(text) and all(sign.isprintable() or sign in "\r\n\t" for sign in text)
