"""What a machine and its Python say of themselves: packages, drivers, whether libraries start.

Heavy libraries are imported in processes of their own, so that a broken one is a fact, not a crash.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from mlflow_tfconv.device import driver_state, gpu_count
from mlflow_tfconv.environment import DEFAULTS
from mlflow_tfconv.errors import TfconvError

ENTRY_GROUP, ENTRY_NAME = "mlflow.run_context_provider", "tfconv"
_PROBE_LIMIT_S = 120
_TENSORFLOW_PROBE = """
import json, sys, tensorflow as tf
from mlflow_tfconv.device import Device, apply_to_tensorflow
from mlflow_tfconv.errors import DeviceError
told = {"version": tf.__version__, "build": dict(tf.sysconfig.get_build_info()),
        "gpus": [gpu.name for gpu in tf.config.list_physical_devices("GPU")]}
try:
    apply_to_tensorflow(Device.parse(sys.argv[1]))
except DeviceError as error:
    told |= {"why": error.received, "fix": error.fix}
print(json.dumps(told))
"""
_ONNXRUNTIME_PROBE = """
import json, sys, onnxruntime
from mlflow_tfconv.device import Device, proved_onnxruntime
from mlflow_tfconv.errors import DeviceError
told = {"version": onnxruntime.__version__}
try:
    proved_onnxruntime(Device.parse(sys.argv[1]))
except DeviceError as error:
    told |= {"error": error.what, "why": error.received, "fix": error.fix}
print(json.dumps(told))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a machine and its Python say of themselves.

    Attributes:
        versions: Installed distribution, lower case with dashes, to version.
        requirements: Requirements of this package, as pip writes them.
        entry_points: Names registered with MLflow's run context providers.
        driver: The NVIDIA driver in words.
        gpus: Number of GPUs; 0 without a driver.
        onnxruntime_build: `package_name` and `cuda_version` of the files that are really there.
        tensorflow: version, build and gpus, or `error`; `why` and `fix` when it can't use the GPU.
        onnxruntime: version; `error` of a session, on the GPU when there is one, with `why` and
            `fix` where they are known.
    """

    versions: Mapping[str, str]
    requirements: tuple[str, ...] = ()
    entry_points: tuple[str, ...] = (ENTRY_NAME,)
    driver: str = "no NVIDIA driver"
    gpus: int = 0
    onnxruntime_build: Mapping[str, str] = field(default_factory=dict)
    tensorflow: Mapping[str, Any] = field(default_factory=dict)
    onnxruntime: Mapping[str, Any] = field(default_factory=dict)


def gathered_facts() -> Facts:
    """Looks at this machine and this Python."""
    gpus = _counted_gpus()
    device = "cuda:0" if gpus else "cpu"
    providers = metadata.entry_points(group=ENTRY_GROUP)
    return Facts(
        versions={normal_name(d.metadata["Name"]): d.version for d in metadata.distributions()},
        requirements=_own_requirements(),
        entry_points=tuple(entry.name for entry in providers),
        driver=driver_state(),
        gpus=gpus,
        onnxruntime_build=_onnxruntime_build(),
        tensorflow=probed(_TENSORFLOW_PROBE, device),
        onnxruntime=probed(_ONNXRUNTIME_PROBE, device),
    )


def probed(code: str, *arguments: str) -> dict[str, Any]:
    """What the code prints as JSON in a fresh process, or `error` with its last words."""
    home = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=_PROBE_LIMIT_S,
            check=False,
            env={**DEFAULTS, "TF_CPP_MIN_LOG_LEVEL": "2", **os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {_PROBE_LIMIT_S} s"}
    if done.returncode == 0:
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result
    return {"error": _last_words(done)}


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    """From the exception's name on; or how the process ended."""
    if done.returncode < 0:
        return f"the process died by signal {-done.returncode}"
    found = re.search(r"^[\w.]*(Error|Exception|Exit)\b.*", done.stderr, re.MULTILINE | re.DOTALL)
    lines = found[0].strip().splitlines() if found else done.stderr.strip().splitlines()[-1:]
    return "\n".join(lines[:4]) or f"exit code {done.returncode}"


def _counted_gpus() -> int:
    try:
        return gpu_count()
    except TfconvError:
        return 0


def _own_requirements() -> tuple[str, ...]:
    try:
        return tuple(metadata.requires("mlflow-tfconv") or ())
    except metadata.PackageNotFoundError:
        return ()


def _onnxruntime_build() -> dict[str, str]:
    """The text constants of onnxruntime's build info, read without importing it."""
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            path = metadata.distribution(name).locate_file(
                "onnxruntime/capi/build_and_package_info.py"
            )
            text = Path(str(path)).read_text(encoding="utf-8")
        except (metadata.PackageNotFoundError, OSError):
            continue
        found = re.findall(r"^(\w+)\s*=\s*(['\"].*['\"])\s*$", text, re.MULTILINE)
        return {key: ast.literal_eval(value) for key, value in found}
    return {}


def normal_name(name: str) -> str:
    """A distribution's name as pip compares them: lower case, with dashes."""
    return re.sub(r"[-_.]+", "-", name).lower()
