from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.engine.guarded import Guard, free_memory_mb
from mlflow_tfconv.engine.user_files import watch_opened_files
from mlflow_tfconv.errors import BenchmarkError, ConfigError, ConversionError


def double(value: int, voice: Any) -> dict[str, Any]:
    voice.emit(Message(text="doubling"))
    return {"double": value * 2, "pid": os.getpid(), "file": Path("a/b")}


def refuse(value: int, voice: Any) -> None:
    raise ConfigError("not this one", received=value)


def stumble(value: int, voice: Any) -> None:
    voice.phase("stumbling", 60)
    raise ValueError("over a stone")


def die(value: int, voice: Any) -> None:
    voice.phase("reading", 60)
    print("the last words")
    os.kill(os.getpid(), signal.SIGSEGV)


def sleep(value: float, voice: Any) -> None:
    voice.phase("comparing", 0.3)
    time.sleep(value)


def swallow(value: int, voice: Any) -> int:
    voice.phase("reading", 60)
    grown = []
    while len(grown) < value:
        grown.append(b"x" * 60_000_000)
        time.sleep(0.02)
    return len(grown)


def read(value: str, voice: Any) -> int:
    return len(Path(value).read_text())


def call(name: str, value: Any, start: Any = "fresh", **options: Any) -> Any:
    guard = Guard(what="Converting m.h5", start=start, **options)
    return guard.call(f"test_engine_guarded:{name}", pickle.dumps(value))


@pytest.fixture(params=["fresh", "fork"])
def start(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return str(request.param)


def test_a_function_is_called_in_a_process_of_its_own(start: str) -> None:
    said: list[Any] = []
    answer = call("double", 2, start, emit=said.append)
    assert (answer["double"], answer["file"]) == (4, Path("a/b"))
    assert answer["pid"] != os.getpid()
    assert said == [Message(text="doubling")]


def test_our_errors_come_back_as_they_are_and_others_with_what_was_going_on(start: str) -> None:
    with pytest.raises(ConfigError, match="not this one"):
        call("refuse", 7, start)
    with pytest.raises(
        ConversionError, match=r"m\.h5 failed while stumbling: ValueError: over a stone"
    ) as caught:
        call("stumble", 7, start)
    assert "over a stone" in Path(str(caught.value.log)).read_text()
    Path(str(caught.value.log)).unlink()


def test_a_crash_is_an_error_that_says_where_and_shows_the_log(start: str) -> None:
    with pytest.raises(BenchmarkError, match=r"died while reading.*SIGSEGV") as caught:
        call("die", 7, start, error=BenchmarkError)
    assert "the last words" in str(caught.value)
    Path(str(caught.value.log)).unlink()


def test_what_takes_too_long_is_ended(start: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ConversionError, match=r"stopped while comparing.*longer than 0\.3 s"):
        call("sleep", 60, start)
    assert time.monotonic() - begun < 20


def test_what_takes_too_much_memory_is_ended(start: str) -> None:
    with pytest.raises(ConversionError, match="memory") as caught:
        call("swallow", 10**12, start, memory_mb=1500)
    assert caught.value.expected == "at most 1,500 MB"
    assert free_memory_mb() > 0


def test_files_that_a_forked_process_has_read_count_as_read_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("one two")
    opened = watch_opened_files(tmp_path, ())
    assert call("read", str(tmp_path / "words.txt"), "fork") == 7
    assert str(tmp_path / "words.txt") in opened.existing_files()


def test_a_killed_caller_leaves_no_process(tmp_path: Path) -> None:
    script = f"""
import pickle, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from mlflow_tfconv.engine.guarded import Guard
Guard(what="x").call("test_engine_guarded:sleep_and_tell", pickle.dumps({str(tmp_path / "pid")!r}))
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    for _ in range(200):
        time.sleep(0.1)
        if (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text():
            break
    pid = int((tmp_path / "pid").read_text())
    process.kill()
    process.wait()
    time.sleep(0.3)
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def sleep_and_tell(value: str, voice: Any) -> None:
    Path(value).write_text(str(os.getpid()))
    time.sleep(60)
