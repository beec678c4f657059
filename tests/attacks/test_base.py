from __future__ import annotations

import subprocess
import sys

import pytest

from hexgate.attacks.base import ATTACKS, AttackSpec, open_attack
from hexgate.errors import InputError


@pytest.mark.parametrize("name", ATTACKS)
def test_every_registered_attack_opens(name):
    assert callable(open_attack(name))


def test_an_unknown_attack_is_answered_with_the_nearest_one():
    with pytest.raises(InputError, match=r"did you mean 'square'\?"):
        open_attack("sqare")
    with pytest.raises(InputError, match="one of fgsm, pgd, square, noise"):
        open_attack("carlini-wagner")


def test_listing_attacks_imports_no_numpy():
    code = "import sys, hexgate.attacks.base; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"eps": -0.1},
        {"eps": float("nan")},
        {"eps": float("inf")},
        {"input_range": (1.0, 1.0)},
        {"input_range": (float("nan"), 1.0)},
        {"steps": 0},
        {"step_size": -1.0},
        {"restarts": 0},
        {"queries": 0},
        {"difference_step": 0.0},
        {"difference_step": 0.5},
    ],
)
def test_parameters_that_make_no_attack_are_refused(wrong):
    right = {"attack_type": "fgsm", "eps": 0.03, "input_range": (0.0, 1.0)}
    AttackSpec(**right)
    with pytest.raises(InputError, match="an attack cannot be run like this"):
        AttackSpec(**(right | wrong))
