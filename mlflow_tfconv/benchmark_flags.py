"""What `tfconv benchmark` takes, and what it leaves for scripts: files and exit codes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from zipfile import BadZipFile

import click

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.benchmark.config import Scenario

FINE, NOT_MEASURED, NOT_UNDERSTOOD, CONDITION_MET = range(4)
_PATH = click.Path(path_type=Path)

_FLAGS = (
    click.option("--device", default="cpu", show_default=True, help="cpu, cuda:0 or tensorrt:0."),
    click.option(
        "--batch-size",
        "-b",
        "batch_sizes",
        type=int,
        multiple=True,
        default=(1, 32),
        show_default=True,
        help="Examples a run; can be given several times.",
    ),
    click.option(
        "--scenario",
        "scenarios",
        type=click.Choice(get_args(Scenario)),
        multiple=True,
        default=("single_stream",),
        show_default=True,
        help="What is measured besides memory; can be given several times.",
    ),
    click.option("--minutes", type=float, help="All timing takes at most about this long."),
    click.option("--samples", type=_PATH, help="Real inputs: an .npz with one array an input."),
    click.option("--labels", type=_PATH, help="Their labels, to judge quality: .npy or .npz."),
    click.option(
        "--metric", "metrics", multiple=True, help="accuracy, mae ...; can be given several times."
    ),
    click.option("--threads", type=int, help="Threads inside an operation."),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any other setting of recipe.yaml's benchmark, such as min_time_s=2 or "
        "server.latency_bound_ms=10, or of device_options; can be given several times.",
    ),
    click.option(
        "--json", "json_file", metavar="FILE", help="Write all numbers; - is standard output."
    ),
    click.option("--html", "html_file", type=_PATH, help="Write a page to look at."),
    click.option(
        "--folder",
        type=_PATH,
        help="Leave everything there: report, raw timings, pictures, traces, memory over time.",
    ),
    click.option(
        "--fail-if",
        "conditions",
        multiple=True,
        metavar="CONDITION",
        help='Exit with 3 when this is so: "new.latency/p50_ms > 1.05 * old.latency/p50_ms". '
        "Can be given several times.",
    ),
)


def benchmark_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command these options."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where the report goes.

    Attributes:
        json: A file, "-" for standard output, or None.
        html: A file, or None.
        width: Letters in a line of what is printed where there is no terminal, such as in a log.
    """

    json: str | None
    html: Path | None
    width: int = 120

    def check(self) -> None:
        """Makes sure that the files can be written, before anything is measured.

        Raises:
            ConfigError: There is no such folder, or the file is a folder.
        """
        for path in (None if self.json in (None, "-") else Path(str(self.json)), self.html):
            if path is not None and not _may_be_written(path):
                raise ConfigError(
                    "The report can't be written there.",
                    received=path,
                    expected="the name of a file in a folder that is there, where you may write",
                )

    def write_json(self, content: Mapping[str, Any]) -> None:
        """Writes the numbers, where that is asked for.

        Raises:
            ConfigError: The file can't be written.
        """
        if self.json is None:
            return
        text = json.dumps(content, indent=1, allow_nan=False)
        if self.json == "-":
            say(text + "\n")
        else:
            _write(Path(self.json), text + "\n")

    def write_html(self, page: Callable[[], str]) -> None:
        """Writes the page, where that is asked for.

        Raises:
            ConfigError: The file can't be written.
        """
        if self.html is not None:
            _write(self.html, page())


def named_models(texts: Sequence[str]) -> dict[str, Path]:
    """`name=file` pairs; a file without a name gets its own, with a number where that is taken.

    Raises:
        ConfigError: A name is empty, or was given twice.
    """
    named: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        given = bool(equals) and not Path(text).exists()
        if not given:
            name, path = Path(text).stem, text
        if given and (not name or not path or name in named):
            raise ConfigError(
                "A model can't be told from the others." if name in named else "A word is missing.",
                received=text,
                expected="name=file, each name once",
            )
        named[name if given else _free(name, named)] = Path(path)
    return named


def arrays(path: Path, what: str) -> Any:
    """The arrays of an .npz by name, or the one of an .npy.

    Raises:
        ConfigError: It is no such file, or can't be read.
    """
    import numpy as np

    try:
        file = np.load(path, allow_pickle=False)
        return dict(file) if isinstance(file, np.lib.npyio.NpzFile) else file
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise ConfigError(
            f"The {what} can't be read.",
            received=f"{path}: {error}",
            expected="an .npz with one array an input, or an .npy for a single input",
            fix=f'Write it with numpy: np.savez("{what.split()[0]}.npz", input_name=array).',
        ) from error


def settings_of(texts: Sequence[str]) -> dict[str, Any]:
    """`a.b=1` as {"a": {"b": 1}}; a value that is no JSON is text.

    Raises:
        ConfigError: There is no `=`, or a name is used in two ways.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        *path, last = key.split(".")
        inner = settings
        for name in path:
            inner = inner.setdefault(name, {}) if isinstance(inner, dict) else {}
        if (
            not equals
            or not key
            or not isinstance(inner, dict)
            or isinstance(inner.get(last), dict)
        ):
            raise ConfigError(
                "A setting can't be understood.",
                received=f"--set {text}",
                expected="KEY=VALUE, such as min_time_s=2",
            )
        inner[last] = _value(value)
    return settings


def say(text: str) -> None:
    """Prints; who read may have left by now, as `head` does: what was found holds all the same."""
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _may_be_written(path: Path) -> bool:
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir():
        return False
    return os.access(path if path.exists() else folder, os.W_OK)


def _write(path: Path, text: str) -> None:
    """Whole or not at all; into what is no file, such as a pipe, as it comes."""
    target = path.resolve()
    passing = target.with_name(f".tfconv-{os.getpid()}")
    replaced = os.access(target.parent, os.W_OK) and (path.is_file() or not path.exists())
    try:
        (passing if replaced else path).write_text(text, encoding="utf-8")
        if replaced:
            passing.replace(target)
    except OSError as error:
        raise ConfigError(
            "The report can't be written.", received=f"{path}: {error.strerror}"
        ) from error
    finally:
        if replaced:
            passing.unlink(missing_ok=True)


def _free(name: str, named: Mapping[str, Path]) -> str:
    own, count = name, 2
    while own in named:
        own, count = f"{name}-{count}", count + 1
    return own


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
