"""What the tests of the embedded default share."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from hexgate.reference import lm_model
from hexgate.reference.language_model import ReferenceLM
from hexgate.resources import shipped


@pytest.fixture(scope="session")
def script() -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script of the examples by its path, such as ``digits/train.py``."""
    names: list[str] = []

    def load(relative: str) -> ModuleType:
        path: Path = shipped(f"examples/{relative}")
        name = "example_" + relative.replace("/", "_").removesuffix(".py")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        names.append(name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def model() -> ReferenceLM:
    """The reference language model."""
    return ReferenceLM.load(lm_model())
