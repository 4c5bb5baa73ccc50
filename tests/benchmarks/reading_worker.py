"""Reads with one pipeline for so many seconds whenever it is told to; says how far it came.

python tests/benchmarks/reading_worker.py block images64 FOLDER --batch 64

Each line on its input is a number of seconds, each line of its output a JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reading_data import CONTESTANTS, KINDS
from reading_pipelines import PIPELINES


def endless(dataset: Any) -> Iterator[Any]:
    """Pass after pass, each begun as `fit` begins an epoch."""
    while True:
        yield from dataset


def read(batches: Iterator[Any], seconds: float) -> dict[str, float]:
    """Reads for so long."""
    began, used, examples = time.perf_counter(), time.process_time(), 0
    while (passed := time.perf_counter() - began) < seconds:
        examples += int(next(batches)[1].shape[0])
    return {"examples": examples, "s": passed, "cpu_s": time.process_time() - used}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contestant", choices=CONTESTANTS)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, default=64)
    asked = parser.parse_args()
    pipeline = PIPELINES[asked.contestant]
    batches = endless(pipeline(asked.folder, KINDS[asked.kind], asked.batch))
    for line in sys.stdin:
        print(json.dumps(read(batches, float(line))), flush=True)


if __name__ == "__main__":
    main()
