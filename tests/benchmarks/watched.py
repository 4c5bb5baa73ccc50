"""Runs a command and watches the memory of all its processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pairs import QUIET

_EVERY_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One command from start to end.

    Attributes:
        wall_s: Time on the clock.
        tree_mb: Most memory of all its processes together: what each has for itself, and once what
            is shared (the most of any of them).
        largest_mb: Most memory that one of them had (VmHWM).
        output: What it printed.
        failure: Why it did not come to its end, or None.
    """

    wall_s: float
    tree_mb: float
    largest_mb: float
    output: str
    failure: str | None


def watched(
    command: Sequence[str | Path], *, folder: Path, most_mb: float, most_s: float = 1800.0
) -> Watched:
    """Runs a command to its end, or until it takes too much memory or time."""
    started = time.perf_counter()
    with (folder / "printed.txt").open("w+") as printed:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env={**os.environ, **QUIET},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        watch = _Watch(process, most_mb, started + most_s)
        code = watch.until_the_end()
        wall_s = time.perf_counter() - started
        printed.seek(0)
        output = printed.read()
    failure = watch.ended_for
    if failure is None and code != 0:
        failure = f"it fails: {(output.strip().splitlines() or ['nothing was printed'])[-1][:200]}"
    return Watched(
        wall_s=wall_s,
        tree_mb=watch.tree_mb,
        largest_mb=watch.largest_mb,
        output=output,
        failure=failure,
    )


class _Watch:
    """Looks at the processes again and again.

    Attributes:
        tree_mb: As in `Watched`.
        largest_mb: As in `Watched`.
        ended_for: Why the command was ended, or None.
    """

    def __init__(self, process: subprocess.Popen[bytes], most_mb: float, end: float) -> None:
        self._process, self._most_mb, self._end = process, most_mb, end
        self.tree_mb = self.largest_mb = 0.0
        self.ended_for: str | None = None

    def until_the_end(self) -> int:
        """The command's exit status."""
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        code = self._process.wait()
        thread.join()
        return code

    def _look(self) -> None:
        while self._process.poll() is None:
            processes = list(_tree(self._process.pid))
            seen = [_fields_mb(pid, "smaps_rollup") for pid in processes]
            own = sum(_sum(fields, "Private_") for fields in seen)
            shared = max((_sum(fields, "Shared_") for fields in seen), default=0.0)
            self.tree_mb = max(self.tree_mb, own + shared)
            peaks = [_fields_mb(pid, "status").get("VmHWM", 0.0) for pid in processes]
            self.largest_mb = max([self.largest_mb, *peaks])
            if self.tree_mb > self._most_mb:
                self._kill(f"it takes more than {self._most_mb / 1000:.0f} GB")
            elif time.perf_counter() > self._end:
                self._kill("it takes too long")
            time.sleep(_EVERY_S)

    def _kill(self, why: str) -> None:
        self.ended_for = self.ended_for or why
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _tree(pid: int) -> Iterator[int]:
    """A process and all its descendants."""
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _fields_mb(pid: int, file: str) -> dict[str, float]:
    """The fields of such a file that are sizes; none when the process has ended."""
    with contextlib.suppress(OSError):
        lines = [line.split() for line in Path(f"/proc/{pid}/{file}").read_text().splitlines()]
        sizes = [line for line in lines if len(line) == 3 and line[2] == "kB"]
        return {line[0].rstrip(":"): int(line[1]) * 1024 / 1e6 for line in sizes}
    return {}


def _sum(fields: Mapping[str, float], start: str) -> float:
    return sum(size for name, size in fields.items() if name.startswith(start))


def python(script: str, *arguments: str | Path) -> list[str | Path]:
    """The command that runs a script beside this one."""
    return [sys.executable, Path(__file__).with_name(script), *arguments]
