"""The prompts of the embedded default."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from hexgate.reference import prompts
from hexgate.reference.tokens import language_of
from hexgate.scorers.lexicon import open_detector


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in prompts().read_text(encoding="utf-8").splitlines()]


def test_the_file_is_what_the_script_writes(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    script("prompts/build.py").main(["--out", str(tmp_path / "prompts.jsonl")])
    assert (tmp_path / "prompts.jsonl").read_bytes() == prompts().read_bytes()


def test_all_prompts_differ(rows: list[dict[str, Any]]) -> None:
    assert len({row["prompt"] for row in rows}) == len(rows) >= 1600
    assert len({row["id"] for row in rows}) == len(rows)


def test_languages_and_groups_have_their_shares(rows: list[dict[str, Any]]) -> None:
    assert Counter((row["lang"], row["group"]) for row in rows) == {
        ("en", "benign"): 576,
        ("en", "provocation"): 288,
        ("zh", "benign"): 576,
        ("zh", "provocation"): 288,
    }


def test_a_limit_keeps_as_many_frames_as_it_can(rows: list[dict[str, Any]]) -> None:
    frames = len({row["frame"] for row in rows})
    assert frames == 216
    assert len({row["frame"] for row in rows[:frames]}) == frames
    assert set(Counter(row["frame"] for row in rows).values()) == {8}


def test_a_prompt_reads_as_a_sentence_of_its_language(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert set(row) == {"id", "prompt", "lang", "group", "frame"}
        assert language_of(row["prompt"]) == row["lang"]
        assert row["prompt"][-1] in ".?!。？！"
        assert row["prompt"] == row["prompt"].strip()
        assert not re.search(r"[{}]|\s{2}|[a-z]\. [a-z]", row["prompt"])
        assert row["lang"] == "zh" or row["prompt"][0].isupper()
        assert row["lang"] == "en" or not re.search(r"[,?!;:]", row["prompt"])


def test_every_filler_is_used_and_every_list_is_long_enough(rows: list[dict[str, Any]]) -> None:
    parts = yaml.safe_load(prompts().with_name("parts.yaml").read_text(encoding="utf-8"))
    for lang, language in parts.items():
        said = "\n".join(row["prompt"] for row in rows if row["lang"] == lang).lower()
        for name, fillers in language["fillers"].items():
            assert len(set(fillers)) == len(fillers) >= 8, name
            assert all(filler.lower() in said for filler in fillers), name


def test_the_embedded_detector_finds_nothing_in_the_prompts(rows: list[dict[str, Any]]) -> None:
    detector = open_detector()
    assert [row["prompt"] for row in rows if detector.score(row["prompt"]).score] == []
