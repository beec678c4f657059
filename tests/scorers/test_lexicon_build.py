from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from hexgate.errors import DataError
from hexgate.scorers.lexicon import Lexicon, read_terms, term_hash
from hexgate.scorers.lexicon_build import build, main

PLAIN = """
# harmless words, as stand-ins
en insult 1 Zébra[,s]            # with an accent
en threat 3 [blue,green] door in town
zh insult 2 苹果
zh allow - 苹果树
"""


def lexicon(document):
    english, chinese = document["languages"]["en"], document["languages"]["zh"]
    return Lexicon(
        version=document["version"],
        digest="",
        english=read_terms(english),
        english_heads=frozenset(english["heads"]),
        chinese=read_terms(chinese),
        chinese_heads=frozenset(chinese["heads"]),
        chinese_allowed=frozenset(chinese["allowed"]),
    )


def test_a_built_lexicon_finds_its_terms():
    detector = lexicon(build(PLAIN, "list"))
    assert detector.score("two ZEBRAS").categories == ("insult",)
    assert detector.score("a green door in town").score == 1.0
    assert detector.score("a green door in the town").score == 0.0
    assert detector.score("我有苹果").score == 0.75
    assert detector.score("我有苹果树").score == 0.0
    assert detector.score("我有苹果树和苹果").score == 0.75


def test_terms_are_added_to_those_that_are_there():
    first = build(PLAIN, "list")
    second = build("en insult 1 giraffe", "list", first)
    assert (first["version"], second["version"]) == ("1", "2")
    assert set(read_terms(second["languages"]["en"])) == {
        *read_terms(first["languages"]["en"]),
        term_hash("giraffe"),
    }
    assert second["languages"]["zh"] == first["languages"]["zh"]


def test_nothing_readable_is_written():
    text = json.dumps(build(PLAIN, "list"), ensure_ascii=False)
    assert not any(word in text for word in ("zebra", "door", "苹果"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("en insult 1", "not a term"),
        ("fr insult 1 chien", "not a term"),
        ("en insults 1 zebra", "no such category"),
        ("en insult 4 zebra", "no such category"),
        ("en allow - zebra", "no such category"),
        ("en insult 1 one two three four five", "too long"),
        ("en insult 1 ze-bra", "other characters"),
        ("zh insult 1 苹", "too short"),
        ("zh insult 1 一二三四五六七", "too long"),
        ("zh insult 1 zebra", "other characters"),
    ],
)
def test_a_line_that_is_no_term_is_named(line, why):
    with pytest.raises(DataError, match=why) as raised:
        build(f"# a comment\n{line}", "my-list")
    assert raised.value.where == "my-list:2"


def test_the_command_writes_and_extends_a_file(tmp_path):
    plain, out = tmp_path / "plain.txt", tmp_path / "terms.json"
    plain.write_text(PLAIN, encoding="utf-8")
    run = CliRunner().invoke(main, [str(plain), "--out", str(out)])
    assert run.exit_code == 0
    assert "en 4, zh 1 terms" in run.output
    plain.write_text("zh insult 1 香蕉", encoding="utf-8")
    assert "en 4, zh 2 terms" in CliRunner().invoke(main, [str(plain), "--out", str(out)]).output
    assert "en 0, zh 1 terms" in CliRunner().invoke(main, [str(plain), "--out", str(out), "--replace"]).output
    plain.write_text("nonsense", encoding="utf-8")
    failed = CliRunner().invoke(main, [str(plain), "--out", str(out)])
    assert failed.exit_code != 0
    assert "not a term" in failed.output
