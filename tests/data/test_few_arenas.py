from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

COUNT = """
import ctypes, sys, threading
from mlflow_tfconv.data.few_arenas import use_few_arenas
use_few_arenas()
here = threading.Barrier(9)
def allocate():
    kept = [bytearray(2000) for _ in range(100)]
    here.wait()
    here.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
here.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
here.wait()
print(open(sys.argv[1]).read().count("<heap nr"))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no arenas")
@pytest.mark.parametrize("env", [{}, {"MALLOC_ARENA_MAX": "3"}])
def test_all_threads_share_few_arenas_unless_the_environment_says_how_many(
    env: dict[str, str], tmp_path: str
) -> None:
    command = [sys.executable, "-c", COUNT, f"{tmp_path}/info"]
    inherited = {k: v for k, v in os.environ.items() if k != "MALLOC_ARENA_MAX"}
    done = subprocess.run(command, env=inherited | env, capture_output=True, text=True, check=True)
    most = int(env.get("MALLOC_ARENA_MAX", 1 + (os.cpu_count() or 1) // 16))
    assert 1 <= int(done.stdout) <= most
    assert not env or int(done.stdout) == most
