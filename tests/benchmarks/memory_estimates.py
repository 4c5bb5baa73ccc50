"""How close the estimate of memory comes, and what drawing the curve of memory costs.

    python tests/benchmarks/memory_estimates.py FOLDER [MODEL ...]

Builds each model with random weights in FOLDER, converts it, has the benchmark's own worker open
it at batch 1 and 32, and sets what the kernel and ONNX Runtime's arena tell beside what was
estimated before. Prints the tables of memory_estimates.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_BATCH = 32
_WORKER = (sys.executable, "-m", "mlflow_tfconv.steps.benchmark.worker")
_TURNS = 9


def _lstm(keras: Any) -> Any:
    layers = keras.layers
    tokens = keras.Input((64,), dtype="int32", name="tokens")
    x = layers.Embedding(20_000, 128)(tokens)
    x = layers.Bidirectional(layers.LSTM(128, return_sequences=True))(x)
    return keras.Model(tokens, layers.Dense(10, activation="softmax")(layers.LSTM(128)(x)))


def _transformer(keras: Any) -> Any:
    layers = keras.layers
    tokens = keras.Input((128,), dtype="int32", name="tokens")
    x = layers.Embedding(20_000, 256)(tokens)
    for _ in range(4):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(8, 32)(x, x))
        wide = layers.Dense(1024, activation="gelu")(x)
        x = layers.LayerNormalization()(x + layers.Dense(256)(wide))
    pooled = layers.GlobalAveragePooling1D()(x)
    return keras.Model(tokens, layers.Dense(10, activation="softmax")(pooled))


MODELS: dict[str, Callable[[Any], Any]] = {
    "MobileNetV2": lambda keras: keras.applications.MobileNetV2(weights=None),
    "ResNet50": lambda keras: keras.applications.ResNet50(weights=None),
    "EfficientNetB0": lambda keras: keras.applications.EfficientNetB0(weights=None),
    "DenseNet121": lambda keras: keras.applications.DenseNet121(weights=None),
    "transformer": _transformer,
    "LSTM": _lstm,
}


def built(name: str, folder: Path) -> Path:
    """The model's folder with `model.onnx` and `saved_model`, made when it is not there."""
    if (folder / name / "model.onnx").is_file():
        return folder / name
    import keras

    import mlflow_tfconv as tfconv

    keras.utils.set_random_seed(0)
    MODELS[name](keras).save(folder / f"{name}.keras")
    tfconv.convert(folder / f"{name}.keras", folder / name)
    return folder / name


def told(model: Path, kind: str, work: Path, commands: list[str]) -> list[dict[str, Any]]:
    """What a worker answers to commands."""
    work.mkdir(exist_ok=True)
    job = {"model": str(model), "format": kind, "folder": str(work), "batch_sizes": [1, _BATCH]}
    (work / "job.json").write_text(json.dumps(job))
    (work / "commands").write_text("\n".join(json.dumps({"command": c}) for c in commands))
    arguments = [str(work / "job.json"), "--commands", str(work / "commands")]
    subprocess.run([*_WORKER, *arguments], check=True, capture_output=True)
    answers = json.loads((work / "result.json").read_text())["answers"]
    return [answer["ok"] for answer in answers]


def row(name: str, kind: str, folder: Path) -> str:
    """A line of the table."""
    commands = ["open", "estimate", *(["arena"] if kind == "onnx" else [])]
    file = folder / name / ("model.onnx" if kind == "onnx" else "saved_model")
    opened, estimate, *arenas = told(file, kind, folder / f"{name}-{kind}", commands)
    host = opened["memory"]["host"]
    live = estimate["activations"][str(_BATCH)]
    grown = host["peak_bytes"] - host["resident_bytes"] - opened["memory"]["input_bytes"]
    peak, expected = host["peak_bytes"], estimate["peak_mb"][str(_BATCH)] * 1e6
    arena = next(iter(arenas[0]["arenas"].values()), {}) if arenas else {}
    cells = [
        f"{name} {kind}",
        *(f"{size / 1e6:,.0f}" for size in (live["size_bytes"], live["taken_bytes"], grown)),
        *(f"{arena[key] / 1e6:,.0f}" if arena else "" for key in ("in_use_peak", "reserved")),
        *(f"{size / 1e6:,.0f}" for size in (expected, peak)),
        f"{expected / peak - 1:+.0%}",
        f"{(opened['memory']['curve']['missed_bytes'] or 0) / 1e6:,.1f}",
    ]
    return f"| {' | '.join(cells)} |"


@contextlib.contextmanager
def _outside_sampler() -> Iterator[None]:
    """The same curve drawn by a process of its own: what the thread is chosen over."""
    code = (
        "import sys, time\nwhile True: open(f'/proc/{sys.argv[1]}/statm').read(); time.sleep(.005)"
    )
    process = subprocess.Popen([sys.executable, "-S", "-c", code, str(os.getpid())])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def sampler_cost(model: Path) -> str:
    """What drawing the curve costs the runs beside it: in turn without, by a thread, from outside."""
    import numpy as np
    import onnxruntime as ort

    from mlflow_tfconv.steps.benchmark.worker.memory_sampler import MemorySampler

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # threads that wait in a loop would hide the cost
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    batch = {i.name: np.zeros((1, *i.shape[1:]), np.float32) for i in session.get_inputs()}

    def cpu_seconds() -> float:
        """Of this process: what others do to the wall clock does not count."""
        started = time.process_time()
        for _ in range(50):
            session.run(None, batch)
        return time.process_time() - started

    cpu_seconds()
    thread, outside = [], []
    for _ in range(_TURNS):
        plain = cpu_seconds()
        with MemorySampler(interval_s=0.005):
            thread.append(cpu_seconds() / plain - 1)
        with _outside_sampler():
            outside.append(cpu_seconds() / plain - 1)
    return (
        f"Drawing the curve every 5 ms costs the runs beside it {statistics.median(thread):+.1%} of "
        f"processor time by a thread ({min(thread):+.1%} to {max(thread):+.1%}), "
        f"{statistics.median(outside):+.1%} from another process ({min(outside):+.1%} to "
        f"{max(outside):+.1%}), which takes a processor's time itself; median of {_TURNS} turns."
    )


def main(folder: Path, names: list[str]) -> None:
    """Prints the table."""
    folder.mkdir(parents=True, exist_ok=True)
    print(
        f"| MB at batch {_BATCH} | live set | allocator, estimated | activations, measured "
        "| arena in use | arena reserved | peak, estimated | peak, measured | error | curve missed |"
    )
    print("|---|" + "---:|" * 9)
    for name in names or MODELS:
        built(name, folder)
        for kind in ("onnx", "saved_model"):
            print(row(name, kind, folder), flush=True)
    print("\n" + sampler_cost(folder / "MobileNetV2" / "model.onnx"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
