from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlflow_tfconv.engine.calls import call_in_process
from mlflow_tfconv.engine.jobs import JobServer
from mlflow_tfconv.errors import ConfigError, StepCrashedError


def double(value):
    return {"double": value * 2, "pid": os.getpid()}


def refuse(value):
    raise ConfigError("not this one", received=value)


def die(value):
    os.kill(os.getpid(), 11)


@pytest.fixture
def jobs(tmp_path):
    sys.path.insert(0, str(Path(__file__).parent))
    with JobServer(tmp_path / "server.log", preload=()) as server:
        yield server
    sys.path.pop(0)


def call(jobs, tmp_path, name, value):
    return call_in_process(jobs, f"test_engine_jobs:{name}", value, log=tmp_path / "call.log")


def test_each_call_has_a_process_of_its_own(jobs, tmp_path):
    first, second = call(jobs, tmp_path, "double", 1), call(jobs, tmp_path, "double", 2)
    assert (first["double"], second["double"]) == (2, 4)
    assert len({first["pid"], second["pid"], os.getpid()}) == 3


def test_an_error_comes_back_with_its_parts(jobs, tmp_path):
    with pytest.raises(ConfigError, match="not this one"):
        call(jobs, tmp_path, "refuse", 7)


def test_a_death_is_told(jobs, tmp_path):
    with pytest.raises(StepCrashedError, match="SIGSEGV"):
        call(jobs, tmp_path, "die", 7)


def test_a_killed_client_leaves_no_process(tmp_path):
    script = f"""
import sys, os; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from mlflow_tfconv.engine.jobs import JobServer
with JobServer(Path({str(tmp_path / "log")!r}), preload=()) as jobs, open(os.devnull, "wb") as log:
    jobs.run("test_engine_jobs:sleep_job", None, log=log, on_line=lambda l: print(l, flush=True))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as client:
        pid = int(client.stdout.readline())
        client.kill()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.05)
    pytest.fail("the job outlived its client")


def sleep_job(payload, events):
    os.write(events, f"{os.getpid()}\n".encode())
    time.sleep(60)


def test_importing_tensorflow_starts_no_threads_that_a_fork_would_lose():
    script = """
import os, tensorflow, keras
names = [open(f"/proc/self/task/{t}/comm").read().strip() for t in os.listdir("/proc/self/task")]
print(sorted(set(names) - {"jemalloc_bg_thd"}), len(names))
"""
    environ = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environ, check=True
    )
    threads, count = run.stdout.strip().rsplit(" ", 1)
    assert threads.count("'") == 2, threads  # the interpreter's own thread alone
    assert int(count) <= 2
