"""Checkpoints of TensorFlow: several files with one prefix, which is their name."""

from __future__ import annotations

import re
from pathlib import Path

from mlflow_tfconv.formats.known_formats import Recognised

_DATA = re.compile(r"\.data-\d{5}-of-\d{5}$")
_V1_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
#: The key under which TensorFlow 2 keeps the graph of objects. Nothing in an index is compressed,
#: and this key, one of the first in it, is written in full.
_OBJECT_GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"
#: How the index of a V2 checkpoint begins: an entry with no key (nothing shared with the one before,
#: no bytes of its own), whose value, a BundleHeaderProto, begins with the number of shards.
_INDEX_START = re.compile(rb"\x00\x00.\x08", re.DOTALL)
_MOST_BYTES = 256 * 2**20


def checkpoint_at(path: Path) -> Recognised:
    """The checkpoint that a table of keys belongs to: an index, or a whole V1 checkpoint."""
    if path.suffix == ".index":
        return checkpoint_named(path.with_suffix(""))
    with path.open("rb") as file:
        is_index = _INDEX_START.match(file.read(4)) is not None
    if is_index and siblings(path):  # an index without its suffix: its neighbours tell the name
        return checkpoint_named(path)
    return Recognised(format="tf_checkpoint_v1", path=path.with_name(_V1_SHARD.sub("", path.name)))


def checkpoint_of_shard(path: Path) -> Recognised | None:
    """The checkpoint that a .data file belongs to."""
    found = _DATA.search(path.name)
    prefix = path.with_name(path.name[: found.start()]) if found else None
    if prefix is None or ".index" not in siblings(prefix):
        return None
    return checkpoint_named(prefix)


def checkpoint_named(prefix: Path) -> Recognised:
    """The checkpoint of a prefix, of whose files there are some."""
    found = siblings(prefix)
    if not found:
        return Recognised(format="tf_checkpoint_v1", path=prefix)
    of_objects = ".meta" not in found and ".index" in found and _has_objects(prefix)
    has = "with its graph (.meta)" if ".meta" in found else "without a graph (no .meta beside it)"
    if ".index" not in found:
        has += "; the .index file is missing"
    if not any(suffix.startswith(".data-") for suffix in found):
        has += "; the .data file is missing"
    kind = "object_checkpoint" if of_objects else "tf_checkpoint"
    return Recognised(format=kind, path=prefix, detail=has)


def siblings(prefix: Path) -> set[str]:
    """Suffixes of the files that share a prefix: ".index", ".meta", ".data-...", "-00000-of-..."."""
    if not prefix.name or not prefix.parent.is_dir():
        return set()
    suffixes = {
        entry.name[len(prefix.name) :]
        for entry in prefix.parent.iterdir()
        if entry.name.startswith(prefix.name)
    }
    return {s for s in suffixes if s in (".index", ".meta") or _DATA.fullmatch(s)}


def has_v1_shards(prefix: Path) -> bool:
    """Whether it is the prefix of a V1 checkpoint in several files."""
    if not prefix.name or not prefix.parent.is_dir():
        return False
    names = (entry.name for entry in prefix.parent.iterdir())
    return any(
        name.startswith(prefix.name) and _V1_SHARD.fullmatch(name[len(prefix.name) :])
        for name in names
    )


def prefixes(names: set[str]) -> tuple[str, ...]:
    """Names of the checkpoints among a folder's files."""
    found = {name.rsplit(".", 1)[0] for name in names if name.endswith((".index", ".meta"))}
    return tuple(sorted(found))


def _has_objects(prefix: Path) -> bool:
    with prefix.with_name(f"{prefix.name}.index").open("rb") as file:
        return _OBJECT_GRAPH in file.read(_MOST_BYTES)
