from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from recipe_folder import RecipeFolder, make_tiny

DIGITS = Path(__file__).parents[1] / "recipes" / "digits"
_NOT_COPIED = shutil.ignore_patterns("metadata", "__pycache__")


def pytest_configure() -> None:
    """Lets Ctrl-C be tested where it is ignored, as in a job that a script has put behind itself."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> RecipeFolder:
    """The real recipe, copied."""
    home = tmp_path_factory.mktemp("digits")
    shutil.copytree(DIGITS, home / "digits", ignore=_NOT_COPIED)
    return RecipeFolder(root=home / "digits", home=home)


@pytest.fixture
def tiny(tmp_path: Path) -> RecipeFolder:
    """Six steps in a few seconds, in a folder with a space and a letter beyond ASCII."""
    return make_tiny(tmp_path)
