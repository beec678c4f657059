from __future__ import annotations

import subprocess
import sys

import pytest

from hexgate.errors import InputError
from hexgate.scorers.base import DETECTORS, Scored, Unscored, open_detector


def test_an_unknown_detector_is_answered_with_the_nearest_one():
    with pytest.raises(InputError, match=r"did you mean 'lexicon'\?"):
        open_detector("lexcon")
    with pytest.raises(InputError, match="expected one of lexicon"):
        open_detector("perspective")


@pytest.mark.parametrize("name", [name for name, where in DETECTORS.items() if where is None])
def test_a_detector_whose_place_is_kept_says_that_it_is_not_there(name):
    with pytest.raises(InputError, match="does not exist yet"):
        open_detector(name)


@pytest.mark.parametrize("both", [(0.5, Unscored.EMPTY), (None, None)])
def test_a_text_has_a_score_or_a_reason_and_not_both(both):
    with pytest.raises(ValueError, match="either a score or a reason"):
        Scored(*both)


def test_listing_detectors_reads_no_terms():
    code = "import sys, hexgate.scorers.base; sys.exit('hexgate.scorers.lexicon' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
