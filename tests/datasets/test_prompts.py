from __future__ import annotations

import json
from pathlib import Path

import pytest

from hexgate.datasets.prompts import Prompt, read_prompts
from hexgate.errors import DataError
from hexgate.reference import prompts as embedded_prompts


def test_embedded_prompts() -> None:
    found = read_prompts("demo:")
    assert found.path == embedded_prompts()
    assert found.prompts_total == len(found.prompts) > 200
    assert {prompt.lang for prompt in found.prompts} == {"en", "zh"}


FORMS = {
    "p.json": '[{"prompt": "One?"}, {"question": "二？"}]',
    "p.jsonl": '{"text": "One?"}\n{"turns": ["二？"]}\n',
    "p.csv": "prompt\nOne?\n二？\n",
    "p.txt": "\nOne?\r\n\n  二？  \n",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FORMS[name].encode("utf-8"))
    found = read_prompts(path)
    assert [(prompt.id, prompt.text, prompt.turns) for prompt in found.prompts] == [
        ("0", "One?", ("One?",)),
        ("1", "二？", ("二？",)),
    ]
    assert found.to_block(None, 2)["items"] == 2


def test_fields_and_turns(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "prompt": "P", "lang": "en", "group": "g", "frame": "f"},
        {"question_id": 81, "category": "writing", "turns": ["First", "Second"]},
    ]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert read_prompts(path).prompts == (
        Prompt("a", "P", "en", "g", "f", ("P",)),
        Prompt("81", "First", None, "writing", None, ("First", "Second")),
    )
    limited = read_prompts(path, limit=1)
    assert (len(limited.prompts), limited.prompts_total) == (1, 2)


BAD = {
    "none": ({"id": 1}, "has no prompt"),
    "empty": ({"prompt": " "}, "is empty"),
    "number": ({"prompt": 3}, "not a string"),
    "no turns": ({"turns": []}, "is empty"),
    "bad turn": ({"turns": ["a", 2]}, "not a string"),
    "two": ({"prompt": "a", "text": "b"}, "has both 'prompt' and 'text'"),
    "same id": ({"id": "0", "prompt": "a"}, "stands already at line 1"),
    "surrogate": ({"prompt": "\ud800"}, "surrogate"),
    "two groups": ({"prompt": "a", "group": "b", "category": "c"}, "has both 'group' and 'category'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows(tmp_path: Path, name: str) -> None:
    row, message = BAD[name]
    path = tmp_path / "bad.jsonl"
    path.write_text('{"prompt": "good"}\n' + json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_prompts(path)
    assert message in str(caught.value)
    assert "line 2: " in str(caught.value)


def test_gbk_text(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_bytes("one\n你好\n".encode("gbk"))
    with pytest.raises(DataError, match=r"p\.txt: line 2, byte 1"):
        read_prompts(path)
