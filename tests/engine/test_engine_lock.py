from __future__ import annotations

import subprocess
import sys

import pytest

from mlflow_tfconv.engine.lock import only_run
from mlflow_tfconv.errors import BusyError


def test_the_second_run_says_who_holds_the_first(tmp_path):
    script = (
        "import sys; from pathlib import Path; from mlflow_tfconv.engine.lock import only_run\n"
        "with only_run(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "in\n"
    with pytest.raises(BusyError, match=f"process {other.pid}"), only_run(tmp_path):
        pass
    other.kill()
    other.wait()
    other.stdin.close()
    other.stdout.close()
    with only_run(tmp_path):
        pass
