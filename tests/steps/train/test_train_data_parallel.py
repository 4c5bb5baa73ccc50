"""Two devices train on parts of the same batch; logical CPUs stand for the GPUs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCENARIO = Path(__file__).with_name("mirrored_scenario.py")


@pytest.mark.slow
def test_a_training_on_two_devices_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCENARIO), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert "Every batch is split over 2 GPUs (tf.distribute.MirroredStrategy)." in told["texts"]
    assert "Training goes on after epoch 2." in " ".join(told["texts"])
    for name in ("loss", "val_loss", "accuracy"):
        assert told["again"][name] == pytest.approx(told["whole"][name], rel=1e-4)
        assert len(told["whole"][name]) == 4
