"""Everything that GGUF files, llama.cpp and packages refuse is told in Chinese too."""

from __future__ import annotations

import pytest

from hexgate.cli.studies.edge_zh import STUDY_EDGE_ERRORS
from support.twins import check_twin, without_twin


@pytest.mark.parametrize(("english", "twin"), STUDY_EDGE_ERRORS)
def test_a_twin_names_no_gap_that_its_sentence_lacks(english: str, twin: str) -> None:
    check_twin(english, twin)


@pytest.mark.parametrize(
    "name",
    [
        "study.edge.gguf_file",
        "study.edge.gguf_server",
        "study.edge.gguf_target",
        "study.edge.llama_process",
        "study.edge.package",
        "cli.studies.run",
    ],
)
def test_every_refusal_has_a_twin(name: str) -> None:
    assert without_twin(f"hexgate.{name}") == []
