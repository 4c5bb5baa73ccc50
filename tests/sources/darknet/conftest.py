from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from darknet_reference import Made, made_network


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Made]:
    """Writes a .cfg and weights; the input is (2, channels, height, width)."""
    return partial(made_network, tmp_path)
