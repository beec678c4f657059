"""The block `environment`: what it costs to write down where there is no GPU."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from hexgate.contract.provenance import environment
found = environment()
print(found["accelerators"], found["driver"], "pynvml" in sys.modules)
"""


def has_driver() -> bool:
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32" or has_driver(), reason="there is a driver")
def test_without_a_driver_its_binding_is_not_imported() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["[]", "None", "False"]
