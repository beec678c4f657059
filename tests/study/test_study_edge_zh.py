"""Everything that GGUF files, llama.cpp and packages refuse is told in Chinese too."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

from hexgate.cli.errors_zh import error_in_chinese
from hexgate.cli.studies.edge_zh import STUDY_EDGE_ERRORS

HAN = re.compile("[\u4e00-\u9fff]")


@pytest.mark.parametrize(("english", "twin"), STUDY_EDGE_ERRORS)
def test_a_twin_names_no_gap_that_its_sentence_lacks(english: str, twin: str) -> None:
    assert set(re.findall(r"\{(\w+)\}", twin)) <= set(re.findall(r"\{(\w+)\*?\}", english))
    assert error_in_chinese(re.sub(r"\{\w+\*?\}", "7", english)) != re.sub(r"\{\w+\*?\}", "7", english)


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
    found = set(refusals(importlib.import_module(f"hexgate.{name}")))
    assert found
    assert sorted(one for one in found if not HAN.search(error_in_chinese(one))) == []


def refusals(module: ModuleType) -> Iterator[str]:
    """What the errors of a module say is wrong and comes next, with a figure in each gap."""
    places = {"InputError": 0, "MissingExtra": 1, "refuse": 1, "_refuse": 0}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(node, ast.Call):
            continue
        place = places.get(getattr(node.func, "id", getattr(node.func, "attr", "")))
        if place is None:
            continue
        for part in [
            *node.args[place : place + 1],
            *(one.value for one in node.keywords if one.arg == "hint"),
        ]:
            if isinstance(part, ast.JoinedStr):
                text = "".join(
                    str(one.value) if isinstance(one, ast.Constant) else "7" for one in part.values
                )
            elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                text = part.value
            else:
                continue
            if re.search("[a-z]{3} [a-z]", text):
                yield text
