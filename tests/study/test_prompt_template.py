"""The template, the questions that ship with hexgate, and the prompts that were made of them."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from hexgate.datasets.passages import word_count
from hexgate.datasets.tokenizer import Tokenizer
from hexgate.errors import DataError, InputError
from hexgate.scorers.quality import Item, open_quality
from hexgate.study.design import make_plan
from hexgate.study.items import read_cells
from hexgate.study.prompts.check import check_prompts
from hexgate.study.prompts.columns import _CATEGORY_WORDS
from hexgate.study.prompts.levels import LEVELS, RISING, Leveled
from hexgate.study.prompts.padding import Padding
from hexgate.study.prompts.questions import Question, language_of, read_questions
from hexgate.study.prompts.template import BUILT_IN, read_template
from hexgate.study.spec_file import read_spec
from support import needs

ROOT = Path(__file__).resolve().parents[2]
STUDIES = ROOT / "examples" / "studies"
QUESTIONS = STUDIES / "questions.jsonl"


def question(category: str, text: str = "Why?", lang: str = "en") -> Question:
    return Question("1", category, text, lang)


def rows_of(path: Path, padding: Padding | None = None) -> list[Leveled]:
    template = read_template(None)
    return [
        Leveled(one.id, one.category, template.levels(one, padding or Padding()), one.fields)
        for one in read_questions(path).questions
    ]


def test_the_questions_are_as_they_should_be() -> None:
    questions = read_questions(QUESTIONS).questions
    assert [one.id for one in questions] == [str(1001 + place) for place in range(len(questions))]
    counts = {name: sum(one.category == name for one in questions) for name in _CATEGORY_WORDS}
    assert set(counts.values()) <= {2, 3}
    assert sum(counts.values()) == len(questions)
    assert {"en", "zh"} == {one.lang for one in questions}
    lines = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    assert all(len(line["turns"]) == 2 for line in lines)
    assert all(len(line.get("reference", ["", ""])) == 2 for line in lines)
    right = {"reasoning", "math", "coding", "extraction"}
    assert {one.category for one in questions if "reference" in one.fields} == right
    assert all("reference" in one.fields for one in questions if one.category in right)


def test_the_reference_programs_pass_their_tests() -> None:
    for one in read_questions(QUESTIONS).questions:
        if one.category == "coding":
            space: dict[str, Any] = {}
            exec(one.fields["reference"] + one.fields["tests"], space)  # noqa: S102 - our own lines
            space["check"](space[one.fields["entry_point"]])
            with pytest.raises(AssertionError):
                space["check"](lambda *_: [])


def test_the_references_match_themselves_and_each_other_question_not() -> None:
    scorer = open_quality("exact_match", {"variant": "literal"})
    with_one = [one for one in read_questions(QUESTIONS).questions if "reference" in one.fields]
    items = [
        Item(
            f"{one.id}/{other.id}",
            prompt=one.text,
            reply=other.fields["reference"],
            references=(one.fields["reference"],),
        )
        for one in with_one
        for other in with_one
    ]
    assert [found.value for found in scorer.score(items)] == [
        float(one.id == other.id) for one in with_one for other in with_one
    ]


def test_the_prompts_of_the_example_are_what_the_command_makes(tmp_path: Path, call: Any) -> None:
    ended = call("study", "prompts", "build", QUESTIONS, "--template", "--out", tmp_path)
    assert ended.code == 0, ended.err
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_bytes() for path in (STUDIES / "prompts").iterdir()}
    assert made == kept


def test_every_level_holds_the_one_before_and_rises() -> None:
    rows = rows_of(QUESTIONS)
    assert check_prompts(rows).not_rising == ()
    assert check_prompts(rows).longest_padded == len(rows)
    for row, one in zip(rows, read_questions(QUESTIONS).questions, strict=True):
        texts = [row.levels[level] for level in LEVELS]
        assert texts[0] == one.text
        assert all(before in text for before, text in pairwise(texts))
        assert texts[4].endswith(texts[3])


def test_levels_are_as_much_longer_as_the_study_wants() -> None:
    # 002: L1 is about 50 to 150 tokens longer, L2 100 to 200, L3 150 to 250, P 100 to 200. Counted without a tokenizer
    # a token is a word, a mark or a Chinese character, which is more than a tokenizer of Chinese counts.
    wanted = {"L1": (45, 190), "L2": (60, 220), "L3": (80, 330), "P": (150, 220)}
    for row in rows_of(QUESTIONS):
        lengths = [word_count(row.levels[level]) for level in LEVELS]
        for place, level in enumerate(LEVELS[1:], start=1):
            least, most = wanted[level]
            assert least <= lengths[place] - lengths[place - 1] <= most, (row.question_id, level, lengths)


def test_no_example_of_the_template_is_a_question_of_the_example() -> None:
    words = read_template(None)
    asked = {one.text for one in read_questions(QUESTIONS).questions}
    for language in words.languages.values():
        assert set(language.categories) == {*_CATEGORY_WORDS, "any"}
        assert not asked & {shown for one in language.categories.values() for shown, _ in one.examples}


def test_a_category_without_words_takes_those_for_any() -> None:
    template = read_template(None)
    named = template.levels(question("poetry"), Padding())
    assert named == template.levels(question("any"), Padding())
    assert named != template.levels(question("math"), Padding())


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("tokens", [1, 50, 150, 1000])
def test_padding_has_the_stated_length_and_nothing_else_changes(lang: str, tokens: int) -> None:
    template = read_template(None)
    for on in ("L3", "L0"):
        levels = template.levels(question("math", lang=lang), Padding(tokens, on))
        assert levels["P"].endswith(f"\n\n{levels[on]}")
        added = word_count(levels["P"]) - word_count(levels[on])
        assert tokens <= added <= tokens + 40


@pytest.mark.vendor
def test_padding_is_counted_by_a_tokenizer(tmp_path: Path) -> None:
    needs.module("tokenizers")
    import tokenizers

    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.train_from_iterator(
        ["Some days are longer than others."],
        tokenizers.trainers.BpeTrainer(
            vocab_size=300, initial_alphabet=inner.pre_tokenizer.alphabet(), show_progress=False
        ),
    )
    path = tmp_path / "tokenizer.json"
    inner.save(str(path))
    tokenizer = Tokenizer.read(path)
    levels = read_template(None).levels(question("math"), Padding(500, "L0", tokenizer))
    added = levels["P"].removesuffix("\n\nWhy?")
    assert 500 <= tokenizer.count(added) <= 700
    assert check_prompts([Leveled("1", "math", levels)], tokenizer).categories[0].median["tokens"]["L0"] > 0


def test_the_first_turn_is_asked_and_the_first_reference_kept(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    rows = [
        {
            "question_id": 81,
            "category": "writing",
            "turns": ["First?", "Second?"],
            "reference": ["one", "two"],
        },
        {
            "question_id": "b",
            "category": "写作",
            "turns": ["写一句话。"],
            "reference": [""],
            "tests": "x",
            "n": 3,
        },
        {
            "question_id": 83,
            "category": "a",
            "turns": ["¿Qué?"],
            "reference": "text",
            "lang": "zh",
            "more": [1],
        },
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    first, second, third = read_questions(path).questions
    assert (first.text, first.fields) == ("First?", {"lang": "en", "reference": "one"})
    assert (second.lang, second.fields) == ("zh", {"lang": "zh", "tests": "x", "n": "3"})
    assert third.fields == {"lang": "zh", "reference": "text"}


def test_every_row_that_is_no_question_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    good = {"question_id": 1, "category": "a", "turns": ["x"]}
    rows: list[Any] = [
        good,
        good,
        {**good, "question_id": None},
        {**good, "question_id": 2.5},
        {**good, "question_id": 3, "category": " "},
        {**good, "question_id": 4, "turns": "x"},
        {**good, "question_id": 5, "turns": [""]},
        {**good, "question_id": 6, "reference": [7]},
        {**good, "question_id": 7, "lang": "fr"},
        [],
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_questions(path)
    said = str(caught.value)
    assert "10 mistakes" in said
    assert all(f"line {number}: " in said for number in range(2, 12))
    assert "stands already at line 1" in said


@pytest.mark.parametrize("name", ["q.csv", "q.xlsx", "q", "none.jsonl"])
def test_what_is_no_file_of_questions_is_refused(tmp_path: Path, name: str) -> None:
    if not name.startswith("none"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    with pytest.raises(InputError):
        read_questions(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("Why?", "en"),
        ("为什么？", "zh"),
        ("", "en"),
        ("123", "en"),
        ("请写一个函数 merge_spans(spans)，返回合并结果。", "zh"),
        ("What does 你好 mean in the greeting of a formal letter?", "en"),
    ],
)
def test_the_language_is_that_of_the_letters(text: str, lang: str) -> None:
    assert language_of(text) == lang


def changed(folder: Path, change: Any) -> Path:
    block = yaml.safe_load((ROOT / BUILT_IN).read_text("utf-8"))
    change(block)
    path = folder / "template.yaml"
    path.write_text(json.dumps(block), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda block: block.update(version=2), "version"),
        (lambda block: block.update(fr={}), "fr"),
        (lambda block: block["en"].pop("last"), "last is missing"),
        (lambda block: block["en"].update(joint=3), "joint is not a text"),
        (lambda block: block["en"].pop("padding"), "padding is missing"),
        (lambda block: block["zh"]["categories"]["math"].pop("role"), "zh.categories.math"),
        (lambda block: block["zh"]["categories"]["math"].update(steps=[]), "steps is missing"),
        (
            lambda block: block["en"]["categories"]["math"].update(examples=[{"question": "x"}]),
            "answer is missing",
        ),
        (lambda block: [block.pop("en"), block.pop("zh")], "no language"),
    ],
)
def test_a_mistake_in_a_template_is_told_with_its_path(tmp_path: Path, change: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_template(changed(tmp_path, change))
    assert words in str(caught.value)


def test_a_template_without_words_for_a_question_is_told(tmp_path: Path) -> None:
    template = read_template(
        changed(tmp_path, lambda block: [block.pop("zh"), block["en"]["categories"].pop("any")])
    )
    with pytest.raises(InputError, match="the category 'poetry'"):
        template.levels(question("poetry"), Padding())
    with pytest.raises(InputError, match="the language zh"):
        template.levels(question("math", lang="zh"), Padding())
    with pytest.raises(InputError, match="no such template"):
        read_template(tmp_path / "none.yaml")


def test_the_example_study_asks_every_question_at_every_level() -> None:
    spec = read_spec(STUDIES / "prompt_length.yaml")
    cells = read_cells(spec)
    questions = read_questions(QUESTIONS).questions
    assert len(cells) == len(questions) * len(LEVELS)
    assert [load.name for load in spec.loads] == list(LEVELS)
    assert {(cell.task, cell.item) for cell in cells} == {(one.category, one.id) for one in questions}
    assert (spec.request.max_tokens, spec.request.temperature, spec.idle_s, spec.power_hz) == (
        1024,
        0.0,
        10.0,
        10.0,
    )
    assert len(make_plan(spec, cells).runs) == len(cells) * len(spec.models)
    assert all(
        cell.references for cell in cells if cell.task in {"math", "coding", "extraction", "reasoning"}
    )


def test_the_questions_of_mt_bench_become_400_prompts() -> None:
    path = os.environ.get("HEXGATE_MT_BENCH")
    if not path:
        pytest.skip("HEXGATE_MT_BENCH does not name a question.jsonl of MT-Bench")
    rows = rows_of(Path(path))
    assert [row.question_id for row in rows] == [str(number) for number in range(81, 161)]
    checked = check_prompts(rows)
    assert [(one.category, one.questions) for one in checked.categories] == [
        (name, 10) for name in _CATEGORY_WORDS
    ]
    assert checked.not_rising == ()
    assert set(RISING) < set(rows[0].levels)
    assert sum("reference" in row.fields for row in rows) > 20
