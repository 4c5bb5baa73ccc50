"""The examples of the user's generator in steps/ingest.py."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.data.user_code import load_user_module, user_function
from mlflow_tfconv.engine.events import Emit
from mlflow_tfconv.engine.user_files import code_files
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.class_names import ClassNames
from mlflow_tfconv.steps.ingest.locations import local_path
from mlflow_tfconv.steps.ingest.sources.source import Found, Piece

if TYPE_CHECKING:
    from mlflow_tfconv.steps.ingest.config import IngestConfig

FILE = "steps/ingest.py"
FUNCTION = "load_examples"
PARTS_FUNCTION = "list_parts"

Stat = tuple[str, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomSource:
    """What `load_examples` yields: one stream, or with `list_parts` one a part.

    Attributes:
        root: The recipe's folder.
        arguments: What the functions get.
        class_names: Label to its classes, from CLASS_NAMES.
    """

    root: Path
    arguments: Mapping[str, Any]
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def open(cls, config: IngestConfig, root: Path, emit: Emit) -> CustomSource:  # noqa: ARG003 (it infers nothing)
        """Imports the user's file.

        Raises:
            ConfigError: It has no such function, or the function does not take the arguments.
            DataError: There is nothing at the location.
        """
        classes = ClassNames.declared(load_user_module(root, FILE), config.labels)
        arguments = dict(config.params)
        if config.location is not None:
            paths = [local_path(one, root) for one in config.locations]
            arguments["location"] = paths[0] if isinstance(config.location, str) else paths
        source = cls(root=root, arguments=arguments, class_names=classes.names)
        parts = source._function(PARTS_FUNCTION, required=False)
        if parts is not None:
            _check_arguments(parts, PARTS_FUNCTION, arguments)
            arguments = {**arguments, "part": None}
        _check_arguments(source._function(FUNCTION), FUNCTION, arguments)
        return source

    @property
    def features(self) -> Mapping[str, FeatureSpec]:
        """Nothing is known before the first example."""
        return {}

    def pieces(self) -> tuple[Piece, ...]:
        """One, or what `list_parts` lists.

        Raises:
            DataError: It lists nothing, or gives no list.
        """
        code = self._code()
        list_parts = self._function(PARTS_FUNCTION, required=False)
        if list_parts is None:
            return (Piece(name=FUNCTION, identity={"code": code, "data": self._stats()}),)
        parts = list_parts(**self.arguments)
        if not isinstance(parts, Iterable) or isinstance(parts, str | bytes | Mapping | set):
            raise DataError(
                f"{PARTS_FUNCTION} in {FILE} gives no list of parts.",
                received=f"{parts!r:.80} ({type(parts).__name__})",
                expected="a list of file names, numbers or other plain values, in a fixed order",
                fix=f"Return a list; {FUNCTION} gets each of its items as the argument `part`.",
            )
        stats = self._stats()
        pieces = tuple(self._piece(part, code, stats) for part in parts)
        if not pieces:
            raise DataError(
                f"{PARTS_FUNCTION} in {FILE} lists no parts.", fix="Check what it looks for."
            )
        return pieces

    def examples(self, piece: Piece) -> Iterator[Found]:
        """What the generator yields; an error of its own is told how far it was."""
        stream = self._function(FUNCTION)(**self.arguments, **piece.arguments)
        if not isinstance(stream, Iterable) or isinstance(stream, Mapping | str | bytes):
            raise DataError(
                f"{FUNCTION} in {FILE} gives no stream of examples.",
                received=type(stream).__name__,
                expected="a generator of dicts {feature: value}",
                fix="Use `yield {...}` for each example.",
            )
        where = f"{piece.name}, example" if "part" in piece.arguments else "Example"
        number = 0
        try:
            for number, example in enumerate(stream, start=1):
                yield Found(f"{where} {number}", example)
        except Exception as error:
            of = f" of {piece.name}" if "part" in piece.arguments else ""
            error.add_note(
                f"This was raised by {FUNCTION} after it had yielded {number} examples{of}."
            )
            raise

    def _piece(self, part: Any, code: str, stats: list[Stat]) -> Piece:
        own = _stats_of(part) if isinstance(part, str | Path) else []
        # A file's name, without the folder that the recipe happens to lie in.
        name = str(part).removeprefix(f"{self.root}{os.sep}")
        size = sum(size for _, size, _ in own)
        return Piece(
            name=name if isinstance(part, str | Path) else f"part {part!r:.100}",
            arguments={"part": part},
            identity={"code": code, "data": own or stats},
            size_bytes=size or None,
        )

    def _function(self, name: str, *, required: bool = True) -> Callable[..., Any]:
        return user_function(self.root, FILE, name, required=required)  # type: ignore[return-value]

    def _code(self) -> str:
        """A digest of the user's code."""
        whole = hashlib.sha256()
        for file in code_files(self.root / FILE, (self.root, self.root / "steps")):
            whole.update(f"{os.path.relpath(file, self.root)}\0".encode())
            whole.update(hashlib.sha256(file.read_bytes()).digest())
        return whole.hexdigest()

    def _stats(self) -> list[Stat]:
        """Names, sizes and times of the files at the location."""
        found = self.arguments.get("location", ())
        return [
            stat
            for one in ([found] if isinstance(found, str) else found)
            for stat in _stats_of(one)
        ]


def _stats_of(path: str | Path) -> list[Stat]:
    """Those of a file, or of all files in a folder; none of what is not there."""
    top = Path(path)
    if top.is_file():
        files = [top]
    else:
        files = sorted(Path(where, name) for where, _, names in os.walk(top) for name in names)
    return [
        (str(f.relative_to(top)), f.stat().st_size, f.stat().st_mtime_ns)
        for f in files
        if f.is_file()
    ]


def _check_arguments(function: Callable[..., Any], name: str, arguments: Mapping[str, Any]) -> None:
    signature = inspect.signature(function)
    try:
        signature.bind(**arguments)
    except TypeError as e:
        raise ConfigError(
            f"{name} in {FILE} can't be called: {e}.",
            received=f"arguments: {', '.join(arguments) or 'none'}",
            expected=f"{name}{signature}",
            fix="Change `ingest.params` or `ingest.location`, or the function's arguments.",
        ) from e
