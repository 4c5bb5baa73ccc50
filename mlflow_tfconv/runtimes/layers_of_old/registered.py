"""Importing this registers all of the room with Keras, so that files with them can be loaded."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

for _file in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    if _file.stem != Path(__file__).stem:
        import_module(f"{__package__}.{_file.stem}")
