"""Whether what is installed fits together, and how to mend what does not."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mlflow_tfconv.installation import ENTRY_NAME, Facts, gathered_facts, normal_name

Level = Literal["ok", "warning", "broken"]
_CUDA_12_ORT = "'onnxruntime-gpu[cuda,cudnn]>=1.24,<1.27'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: "ok", "warning" (something will not work as wished) or "broken".
        subject: What it is about.
        text: What was found.
        fix: What to do, or None when there is nothing to do.
    """

    level: Level
    subject: str
    text: str
    fix: str | None = None


def diagnose(facts: Facts | None = None) -> tuple[Finding, ...]:
    """All findings, in the order of what depends on what.

    Args:
        facts: What to judge; None looks at this machine, which takes seconds.
    """
    known = facts or gathered_facts()
    return tuple(finding for check in _CHECKS for finding in check(known))


def print_diagnosis(findings: tuple[Finding, ...]) -> int:
    """Prints the findings and gives the exit code: 1 when something is broken."""
    from rich.console import Console
    from rich.table import Table

    marks = {"ok": "[green]ok", "warning": "[yellow]warning", "broken": "[bold red]broken"}
    table = Table("", "", "", box=None, show_header=False, pad_edge=False)
    for finding in findings:
        fix = f"\n[bold]Fix:[/bold] {_plain(finding.fix)}" if finding.fix else ""
        table.add_row(marks[finding.level], finding.subject, _plain(finding.text) + fix)
    console = Console()
    console.print(table)
    broken = sum(finding.level == "broken" for finding in findings)
    console.print(f"\n{broken} broken" if broken else "\nNothing is broken.")
    return 1 if broken else 0


def _python(facts: Facts) -> Iterator[Finding]:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    numpy = facts.versions.get("numpy", "missing")
    yield Finding(level="ok", subject="Python", text=f"{text}, numpy {numpy}")


def _requirements(facts: Facts) -> Iterator[Finding]:
    """Each requirement of this package that is not met."""
    from packaging.requirements import Requirement

    for text in facts.requirements:
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        found = facts.versions.get(normal_name(wanted.name))
        if found is None or not wanted.specifier.contains(found, prereleases=True):
            wish = f"{wanted.name}{wanted.specifier}"
            yield Finding(
                level="broken",
                subject=wanted.name,
                text=f"{found or 'is missing'}, but mlflow-tfconv needs {wish}",
                fix=f"pip install '{wish}'",
            )


def _driver(facts: Facts) -> Iterator[Finding]:
    text = facts.driver if facts.gpus else f"{facts.driver}: everything runs on the CPU"
    yield Finding(level="ok", subject="GPU", text=text)


def _tensorflow(facts: Facts) -> Iterator[Finding]:
    said = facts.tensorflow
    if "error" in said:
        yield Finding(
            level="broken",
            subject="TensorFlow",
            text=f"can't be imported: {said['error']}",
            fix="pip install --force-reinstall 'tensorflow>=2.18,<2.22'",
        )
        return
    cuda = said.get("build", {}).get("cuda_version")
    built = f"{said.get('version')}, built {f'for CUDA {cuda}' if cuda else 'without CUDA'}"
    if not facts.gpus or said.get("gpus"):
        gpus = f", sees {', '.join(said['gpus'])}" if said.get("gpus") else ""
        yield Finding(level="ok", subject="TensorFlow", text=built + gpus)
        return
    yield Finding(
        level="broken",
        subject="TensorFlow",
        text=f"{built}, does not see the GPU that the driver has{_because(said)}",
        fix=said.get("fix")
        or "pip install 'tensorflow[and-cuda]>=2.18,<2.22', and check that "
        "CUDA_VISIBLE_DEVICES and LD_LIBRARY_PATH do not hide it",
    )


def _tf_keras(facts: Facts) -> Iterator[Finding]:
    keras, tensorflow = facts.versions.get("tf-keras"), _tensorflow_version(facts)
    if tensorflow is None:
        return
    wish = f"pip install 'tf_keras=={_minor(tensorflow)}.*'"
    if keras is None:
        yield Finding(level="broken", subject="tf_keras", text="is missing", fix=wish)
    elif _minor(keras) != _minor(tensorflow):
        text = f"{keras} does not match TensorFlow {tensorflow}"
        yield Finding(level="broken", subject="tf_keras", text=text, fix=wish)
    else:
        yield Finding(level="ok", subject="tf_keras", text=f"{keras}, matches TensorFlow")


def _onnxruntime_twice(facts: Facts) -> Iterator[Finding]:
    """Both distributions install the same files over each other; the last one wins."""
    cpu, gpu = facts.versions.get("onnxruntime"), facts.versions.get("onnxruntime-gpu")
    if cpu is None or gpu is None:
        return
    winner = facts.onnxruntime_build.get("package_name", "unknown")
    keep, version = ("onnxruntime-gpu", gpu) if _has_gpu_wheel() else ("onnxruntime", cpu)
    yield Finding(
        level="broken",
        subject="onnxruntime",
        text=f"onnxruntime {cpu} and onnxruntime-gpu {gpu} are both installed and overwrite each "
        f"other; the files there now are those of {winner}",
        fix="pip uninstall -y onnxruntime onnxruntime-gpu && "
        f"pip install --no-deps '{keep}=={version}'",
    )


def _onnxruntime(facts: Facts) -> Iterator[Finding]:
    said, cuda = facts.onnxruntime, facts.onnxruntime_build.get("cuda_version")
    version = said.get("version") or _onnxruntime_version(facts)
    built = f"{version}, built {f'for CUDA {cuda}' if cuda else 'without CUDA'}"
    if "error" in said:
        yield Finding(
            level="broken",
            subject="ONNX Runtime",
            text=f"{built}, can't open a session: {said['error'].rstrip('.')}{_because(said)}",
            fix=said.get("fix")
            or (f"pip install {_CUDA_12_ORT}" if facts.gpus else _reinstall_onnxruntime()),
        )
    elif facts.gpus and not cuda:
        yield Finding(
            level="warning",
            subject="ONNX Runtime",
            text=f"{built}: it can't use the GPU",
            fix=f"pip uninstall -y onnxruntime && pip install {_CUDA_12_ORT}",
        )
    else:
        on = "the GPU" if facts.gpus else "the CPU"
        yield Finding(level="ok", subject="ONNX Runtime", text=f"{built}, runs on {on}")


def _cuda_versions(facts: Facts) -> Iterator[Finding]:
    """TensorFlow and ONNX Runtime built for different CUDA can't share one environment's CUDA."""
    ours = facts.onnxruntime_build.get("cuda_version")
    theirs = facts.tensorflow.get("build", {}).get("cuda_version")
    if not ours or not theirs or ours.split(".")[0] == theirs.split(".")[0]:
        return
    yield Finding(
        level="warning" if facts.gpus else "ok",
        subject="CUDA",
        text=f"ONNX Runtime is built for CUDA {ours}, TensorFlow for CUDA {theirs}"
        + ("" if facts.gpus else "; that matters on a GPU only"),
        fix="pip install 'mlflow-tfconv[gpu]' (both for CUDA 12)" if facts.gpus else None,
    )


def _cudnn_twice(facts: Facts) -> Iterator[Finding]:
    """nvidia-cudnn-cu12 and -cu13 install the same libcudnn.so.9."""
    both = [name for name in ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13") if name in facts.versions]
    if len(both) == 2:
        yield Finding(
            level="broken",
            subject="cuDNN",
            text="nvidia-cudnn-cu12 and nvidia-cudnn-cu13 are both installed and overwrite each "
            "other's libcudnn.so.9",
            fix="pip uninstall -y nvidia-cudnn-cu12 nvidia-cudnn-cu13 && "
            f"pip install 'nvidia-cudnn-cu12=={facts.versions['nvidia-cudnn-cu12']}'",
        )


def _mlflow(facts: Facts) -> Iterator[Finding]:
    version = facts.versions.get("mlflow")
    if version is None:
        fix = "pip install 'mlflow>=2.22,<4'"
        yield Finding(level="broken", subject="MLflow", text="is missing", fix=fix)
        return
    if ENTRY_NAME in facts.entry_points:
        text = f"{version}, knows `mlflow recipes` of this package"
        yield Finding(level="ok", subject="MLflow", text=text)
    else:
        yield Finding(
            level="broken",
            subject="MLflow",
            text=f"{version} does not know this package: its entry point is not registered",
            fix="pip install mlflow-tfconv in this environment (from a checkout: pip install -e .)",
        )


def _sqlalchemy(facts: Facts) -> Iterator[Finding]:
    mlflow, sqlalchemy = facts.versions.get("mlflow"), facts.versions.get("sqlalchemy")
    if not mlflow or not sqlalchemy or _numbers(mlflow) >= (3,) or _numbers(sqlalchemy) < (2, 1):
        return
    yield Finding(
        level="broken",
        subject="SQLAlchemy",
        text=f"{sqlalchemy}: MLflow {mlflow} fails with it on every SQL store",
        fix="pip install 'sqlalchemy<2.1'",
    )


_CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _python,
    _requirements,
    _driver,
    _tensorflow,
    _tf_keras,
    _onnxruntime_twice,
    _onnxruntime,
    _cuda_versions,
    _cudnn_twice,
    _mlflow,
    _sqlalchemy,
)


def _has_gpu_wheel() -> bool:
    return platform.system() == "Linux" and platform.machine() == "x86_64"


def _reinstall_onnxruntime() -> str:
    name = "onnxruntime-gpu" if _has_gpu_wheel() else "onnxruntime"
    return f"pip install --force-reinstall --no-deps '{name}>=1.24'"


def _onnxruntime_version(facts: Facts) -> str:
    versions = facts.versions
    return versions.get("onnxruntime-gpu") or versions.get("onnxruntime") or "not installed"


def _tensorflow_version(facts: Facts) -> str | None:
    names = ("tensorflow", "tensorflow-cpu")
    return next((facts.versions[name] for name in names if name in facts.versions), None)


def _because(said: Mapping[str, Any]) -> str:
    """Driver and libraries, found and missing, as the errors of devices tell them."""
    return f": {said['why']}" if said.get("why") else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _minor(version: str) -> str:
    return ".".join(map(str, _numbers(version)[:2]))


def _plain(text: str) -> str:
    """Keeps rich from reading `[gpu]` as markup."""
    from rich.markup import escape

    return escape(text)
