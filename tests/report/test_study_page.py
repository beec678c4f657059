"""The page of a study: whole of every study, in both languages, with nothing from outside and of bounded size."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from hexgate.errors import EvidenceError
from hexgate.report.studies.page import MOST_BYTES, study_page
from hexgate.report.studies.reasons import STUDY_REASONS, reason_words
from hexgate.report.studies.words import WORDS, word
from hexgate.report.text import Lang
from hexgate.scorers.quality import QUALITY
from hexgate.study.rating.rated import rate_study
from support.rated_studies import made_reading
from support.readings import MODELS, Made, Model, synthetic

HAN = re.compile("[\u4e00-\u9fff]")
VOID = {"meta", "path", "rect", "line", "circle", "br", "wbr", "input"}
LANGS: tuple[Lang, ...] = ("en", "zh")


class Page(HTMLParser):
    """Whether every element that is opened is closed, what the page would load, and what it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append(tag)
        self.loads += [
            f"{tag} {name}" for name in named if name in {"src", "srcset", "action", "data", "xlink:href"}
        ]
        if (link := named.get("href")) is not None:
            (self.links if link.startswith("#") else self.loads).append(link)
        if (identity := named.get("id")) is not None:
            self.ids.append(identity)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that closes itself."""

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def checked(page: str, *, most: int = MOST_BYTES) -> Page:
    parser = Page()
    parser.feed(page)
    assert parser.open == []
    assert parser.loads == []
    assert len(set(parser.ids)) == len(parser.ids)
    assert {link.removeprefix("#") for link in parser.links} <= set(parser.ids)
    outside = re.sub(r'xmlns="http://www\.w3\.org/2000/svg"', "", page)
    assert not re.search(r"https?://|url\(|@import", outside)
    assert parser.tags.count("script") == 1
    assert not re.search(r">[^<]*\b(nan|NaN|None)\b[^<]*<", page[: page.index("<script>")])
    assert len(page.encode()) <= most
    return parser


def section(page: str, name: str) -> str:
    begin = page.index(f'<section id="{name}"')
    return page[begin : page.index("</section>", begin)]


def titles(page: str) -> set[str]:
    return set(re.findall(r'<section id="(\w+)"', page))


MEASURES = ("judge", *QUALITY)
KINDS: dict[str, dict[str, Any]] = {
    "whole": {"questions": 4, "measures": ("judge", "exact_match")},
    "no energy": {"questions": 4, "energy": False},
    "no quality": {"questions": 4, "measures": ()},
    "neither": {"questions": 2, "energy": False, "measures": ()},
    "half done": {"questions": 4, "done": 0.4, "failing": 0.2},
    "not begun": {"questions": 2, "done": 0.0},
    "one model": {"questions": 3, "models": MODELS[:1]},
    "one load": {"questions": 3, "levels": ("usual",)},
    "one run": {"questions": 1, "models": MODELS[:1], "tasks": ("t",), "levels": ("l",)},
    "all failed": {"questions": 2, "failing": 1.0},
    "repeats": {"questions": 1, "runs": 4},
    "two scopes": {"questions": 3, "models": (MODELS[0], replace(MODELS[1], scope="board+package"))},
    "unknown sizes": {"questions": 3, "models": (Model("a", None, None), Model("b", None, None))},
    "all measures": {"questions": 1, "models": MODELS[:2], "levels": ("L0",), "measures": MEASURES},
    "nine models": {
        "questions": 2,
        "models": [replace(MODELS[0], name=f"m{n}", billions=n + 1) for n in range(9)],
    },
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return synthetic(tmp_path_factory.mktemp("whole"), **KINDS["whole"])


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_of_every_kind_of_study_is_whole(tmp_path: Path, kind: str, lang: Lang) -> None:
    page = study_page(synthetic(tmp_path, **KINDS[kind]).reading(), lang)
    checked(page)
    assert f'data-lang="{lang}"' in page
    assert {"energy", "rating", "tasks", "sizes", "profiles", "models", "meters", "cells", "how"} <= titles(
        page
    )


def test_a_whole_study_has_its_charts_and_its_tables(whole: Made) -> None:
    page = study_page(whole.reading(), "en")
    parser = checked(page)
    assert titles(page) >= {"levels", "distributions", "judge"}
    energy = section(page, "energy")
    assert energy.count("<svg") == 4
    assert energy.count('class="s-front"') == 4
    assert energy.count('scope="row"') == 4
    assert section(page, "cells").count('scope="row"') == 40
    assert parser.tags.count("figure") == page.count("<figcaption>") == page.count('role="img"')
    assert "energy of a request, J" in energy
    assert section(page, "distributions").count('class="s-tick') == 6 * 4
    assert "Judge noise" in section(page, "judge")
    assert "judge-model" in section(page, "judge")
    assert "the whole GPU board" in section(page, "meters")
    assert section(page, "models").count("Q4_K_M") == 2
    assert 'http-equiv="refresh"' not in page


def test_energy_that_was_not_measured_is_said_first_and_never_zero(tmp_path: Path) -> None:
    page = study_page(synthetic(tmp_path, **KINDS["no energy"]).reading(), "en")
    assert page.index("Energy was not measured") < page.index("<h1>")
    assert "shows no RAPL zone" in page[: page.index("<h1>")]
    assert "/x 中没有 RAPL 域" in page
    assert "no run has an energy" in section(page, "energy")
    assert "s-front" not in section(page, "energy")
    rows = section(page, "cells")
    assert rows.count('<td class="num soft">–</td>') >= 40
    assert "low energy" not in section(page, "profiles")


def test_a_part_of_a_study_says_that_it_is_one(tmp_path: Path) -> None:
    page = study_page(synthetic(tmp_path, **KINDS["half done"]).reading(), "en", live=True)
    assert "64 of 160 runs" in page
    assert "96 runs are left" in page
    assert "The study is not over" in page
    assert "Its newest run was sent at 20" in page
    assert '<meta http-equiv="refresh" content="10">' in page
    assert "no answer within 300 s" in section(page, "missing")


def test_models_that_were_metered_apart_are_on_charts_of_their_own(tmp_path: Path) -> None:
    page = study_page(synthetic(tmp_path, **KINDS["two scopes"]).reading(), "en")
    energy = section(page, "energy")
    assert energy.count("<svg") == 4
    assert "Metered: board+package." in energy
    assert "Energy was metered in several ways" in page[: page.index("<h1>")]
    for other in ("levels", "tasks", "sizes", "profiles", "distributions"):
        drawn = "".join(re.findall(r"<figure>.*?</figure>", section(page, other), re.DOTALL))
        assert "energy" not in drawn.lower(), other


def test_a_missing_axis_of_a_profile_is_a_gap(tmp_path: Path) -> None:
    made = synthetic(tmp_path, questions=2)
    runs = made.out / "runs.jsonl"
    rows = [json.loads(line) for line in runs.read_text("utf-8").splitlines()]
    for one in rows:
        if one["model"] == MODELS[1].name:
            one["throughput_tokens_per_sec"] = None
            one["missing"]["throughput_tokens_per_sec"] = "the API has no such figure"
    runs.write_text("".join(json.dumps(one, sort_keys=True) + "\n" for one in rows), encoding="utf-8")
    profiles = section(study_page(made.reading(), "en"), "profiles")
    assert "small-3b: Judge" in profiles
    assert "Tokens/s –" in profiles


HOSTILE = "<script>alert(1)</script>\u202e文字 ☕" + "x" * 120


@pytest.mark.parametrize("lang", LANGS)
def test_text_from_outside_does_nothing(tmp_path: Path, lang: Lang) -> None:
    models = (replace(MODELS[0], name=HOSTILE), replace(MODELS[1], name='"><img src=x>{{ 7*7 }}'))
    made = synthetic(tmp_path, models=models, tasks=("a<b>&c",), questions=2, name="</title><svg onload=x>")
    page = study_page(made.reading(), lang)
    checked(page)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "49" not in re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_is_small_at_sixteen_hundred_runs(tmp_path: Path) -> None:
    made = synthetic(tmp_path, tasks=[f"category-{n}" for n in range(8)], questions=10)
    reading = made.reading()
    assert len(reading.records) == 1600
    page = study_page(reading, "en")
    checked(page, most=1_000_000)
    assert section(page, "cells").count('scope="row"') == 160


def test_a_rating_that_the_study_asks_for_is_shown(tmp_path: Path) -> None:
    accepted = [{"measure": "exact_match", "least": 0.6}]
    rating = {"reference": MODELS[3].name, "accepted": accepted, "floor": {"acceptance": 0.6}}
    made = synthetic(tmp_path, questions=8, measures=("exact_match",), rating=rating)
    page = study_page(made.reading(), "en")
    checked(page)
    shown = section(page, "rating")
    assert shown.count('scope="row"') == 4
    letters = sum(one.letter is not None for one in rate_study(made.reading()))
    assert 0 < letters < 4
    # A label in each language.
    assert shown.count("<svg") == 2 * letters
    assert "below the floor" in shown
    assert "no block rating" not in shown
    none = study_page(synthetic(tmp_path / "none", questions=1).reading(), "en")
    assert "no block rating" in section(none, "rating")
    wrong = synthetic(
        tmp_path / "wrong", questions=1, measures=(), rating={"floor": rating["floor"]}
    ).reading()
    assert "There is nothing to rate yet" in section(study_page(wrong, "en"), "rating")


def test_every_measure_of_quality_has_a_name_and_what_is_too_much_is_said(tmp_path: Path) -> None:
    assert all(f"measure_{name}" in WORDS for name in MEASURES)
    page = study_page(synthetic(tmp_path, **KINDS["all measures"]).reading(), "en")
    assert "Further measures are in the table of all cells" in section(page, "energy")
    assert "Self-BLEU" in section(page, "cells")


def test_the_same_study_gives_the_same_bytes(whole: Made) -> None:
    assert study_page(whole.reading(), "zh") == study_page(whole.reading(), "zh")


def test_every_word_has_a_twin_with_the_same_parts() -> None:
    for key, (english, chinese) in WORDS.items():
        parts = [sorted(re.findall(r"\{(\w+)\}", each)) for each in (english, chinese)]
        assert parts[0] == parts[1], key
        assert "!" not in english + chinese, key
        if key not in {"measure_bartscore", "measure_bertscore", "measure_rouge", "measure_self_bleu"}:
            assert english != chinese or re.fullmatch(r"[{}\w: ]+", english), key
            assert HAN.search(chinese) or "{" in chinese, key


def test_every_word_is_used() -> None:
    folder = Path(__file__).resolve().parents[2] / "src/hexgate/report"
    source = "".join(
        path.read_text("utf-8")
        for path in (*folder.glob("studies/*.py"), *folder.glob("templates/study*"))
        if not path.name.startswith("words")
    )
    families: tuple[str, ...] = ("cold_", "conf_", "fact_", "measure_", "radar_", "tile_", "norm_")
    families += ("col_domain", "col_covers", "col_device", "col_models", "col_doubt", "col_model", "col_kind")
    families += (
        "col_detail",
        "col_reason",
        "col_fields",
        "factuality",
        "helpfulness",
        "structure",
        "conciseness",
    )
    named = set(re.findall(r"[\"'](\w+)[\"']", source))
    unused = [key for key in WORDS if key not in named and not key.startswith(families)]
    assert unused == []


def test_every_reason_has_a_chinese_twin() -> None:
    for english, chinese in STUDY_REASONS:
        filled = re.sub(r"\{\w+\*?\}", "seven", english)
        assert HAN.search(reason_words(filled).zh), english
        assert set(re.findall(r"\{(\w+)\}", chinese)) <= set(re.findall(r"\{(\w+)\*?\}", english))
    nested = reason_words("no power meter can be read: nvml: NVML cannot be used (x); rapl: none was found")
    assert nested.zh.startswith("没有可读的能耗计：nvml：无法使用 NVML（x）")


def test_a_part_in_both_languages_follows_its_sentence() -> None:
    assert word("chart_runs", what=word("the_energy")).zh == "全部运行：能耗"
    with pytest.raises(KeyError):
        word("chart_runs")


def rewritten(made: Made, change: Callable[[int, dict[str, Any]], None]) -> Made:
    """The study with its runs changed, each by its place."""
    runs = made.out / "runs.jsonl"
    rows = [json.loads(line) for line in runs.read_text("utf-8").splitlines()]
    for place, one in enumerate(rows):
        change(place, one)
    runs.write_text("".join(json.dumps(one, sort_keys=True) + "\n" for one in rows), encoding="utf-8")
    return made


def table(page: str, name: str, caption: str) -> list[list[str]]:
    """The cells of a table of a section, by its caption, as text in English."""
    part = re.sub(r'<span lang="zh[^"]*">[^<]*</span>', "", section(page, name))
    part = part[part.index(f">{escape(caption)}<") :]
    part = part[part.index("<tbody>") : part.index("</tbody>")]
    rows = re.findall(r"<tr>(.*?)</tr>", part, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[re.sub(r"<[^>]+>", "|", cell) for cell in row] for row in cells]


def test_no_mean_is_over_energies_of_several_meters(tmp_path: Path) -> None:
    kinds = (replace(MODELS[1], name="a"), replace(MODELS[1], name="b", scope="board+package"))
    made = synthetic(tmp_path, questions=3, levels=("L0",), models=kinds)
    page = study_page(made.reading(), "en")
    (row,) = table(page, "sizes", "By quantisation: means of the models' means")
    # Quantisation, models, which, judge, energy, latency, tokens a second.
    assert "a, b" in row[2]
    assert row[4] == "–"
    assert row[5] != "–"


def test_a_mean_of_fewer_runs_than_were_answered_says_so(tmp_path: Path) -> None:
    made = synthetic(tmp_path, questions=4, tasks=("writing",), levels=("L0",), models=MODELS[:2])
    kept = next(one["run_id"] for one in made.reading().records if one["model"] == MODELS[0].name)

    def change(_: int, one: dict[str, Any]) -> None:
        if one["model"] == MODELS[0].name and one["run_id"] != kept:
            one["energy"]["gross_j"] = None
            one["missing"]["energy.gross_j"] = "a gap"

    page = study_page(rewritten(made, change).reading(), "en")
    few, all_of_them = table(page, "energy", "By model")
    assert "n = 1" in few[3]
    # Energy of one run over the tokens of four is a figure of nothing.
    assert few[5] == "–"
    assert not any("n = " in cell for cell in all_of_them)


def test_energy_and_tokens_of_different_runs_have_no_ratio(tmp_path: Path) -> None:
    def change(place: int, one: dict[str, Any]) -> None:
        if place == 0:
            one["energy"]["gross_j"] = None
            one["missing"]["energy.gross_j"] = "a gap"
        elif place == 1:
            one["api_metrics"]["eval_count"] = None
            one["missing"]["api_metrics.eval_count"] = "the server did not state it"

    made = synthetic(tmp_path, questions=4, tasks=("t",), levels=("L0",), models=MODELS[:1])
    ((_, _, _, energy, _, per_token, *_),) = table(
        study_page(rewritten(made, change).reading(), "en"), "energy", "By model"
    )
    assert "n = 3" in energy
    assert per_token == "–"


def test_the_best_of_one_model_is_no_full_mark(tmp_path: Path) -> None:
    page = study_page(synthetic(tmp_path, **KINDS["one model"]).reading(), "en")
    profiles = section(page, "profiles")
    assert "low energy" not in profiles
    rows = table(
        page, "profiles", "What the axes stand for: the value, and below it where that is on the axis"
    )
    shares = {row[0].strip("|"): "→" in row[2] for row in rows}
    assert shares["Judge"]
    assert shares["Answered, share"]
    assert not any(shares[name] for name in ("Energy, J", "Latency, s", "First token, s", "Tokens/s"))


def test_one_run_that_failed_is_told_with_its_model_and_means_are_of_common_questions(tmp_path: Path) -> None:
    made = synthetic(tmp_path, questions=4, tasks=("writing",), levels=("L0", "L1"), models=MODELS[:2])
    failed = next(one["run_id"] for one in made.reading().records if one["model"] == MODELS[0].name)

    def change(_: int, one: dict[str, Any]) -> None:
        if one["run_id"] == failed:
            one |= {"status": "failed", "error": {"kind": "timeout", "detail": "x"}}

    page = study_page(rewritten(made, change).reading(), "en")
    checked(page)
    assert f"1 run failed, of {MODELS[0].name}. It is in no mean" in page
    assert "1 runs" not in page
    for name in ("energy", "sizes", "profiles"):
        assert "are of the 7 of 8 questions" in section(page, name)
    for name in ("levels", "tasks"):
        assert "each of the questions that were answered there" in section(page, name)
    rows = table(page, "energy", "By model")
    assert [re.findall(r"\d+", row[1])[0] for row in rows] == ["7", "8"]
    unit = next((one["load"], one["item"]) for one in made.reading().records if one["run_id"] == failed)
    others = [
        one["api_metrics"]["eval_count"]
        for one in made.reading().records
        if one["model"] == MODELS[1].name and (one["load"], one["item"]) != unit
    ]
    assert len(others) == 7
    assert float(rows[1][-1].split("|")[0].replace(",", "")) == pytest.approx(sum(others) / 7, rel=1e-3)


def test_a_total_that_no_judge_gives_ends_the_rating_and_not_the_page(tmp_path: Path) -> None:
    page = study_page(made_reading(tmp_path, lambda _, __: {"judge": 10.5}, judged=True), "en")
    checked(page)
    shown = section(page, "rating")
    assert "No model can be rated: the total of a judge is not from 0 to 10 (run " in shown
    assert "无法为任何模型评级：评判总分不在 0 到 10 之间" in shown
    assert 'scope="row"' in section(page, "energy")


def test_a_model_without_a_letter_keeps_its_figures_on_the_page(tmp_path: Path) -> None:
    def given(model: str, number: int) -> dict[str, Any]:
        return {"energy_j": None} if model == "big" and number == 0 else {"energy_j": 20.0}

    page = study_page(made_reading(tmp_path, given), "en")
    part = section(page, "rating")
    row = part[part.index(">small<") :]
    assert row.count('<td class="num">20<') == 2
    assert "the reference big is not rated itself" in row


def test_an_energy_beyond_reason_is_one_clear_error(tmp_path: Path) -> None:
    made = synthetic(tmp_path, questions=2, tasks=("writing",), levels=("L0",), models=MODELS[:1])

    def change(_: int, one: dict[str, Any]) -> None:
        one["energy"]["gross_j"] = 1.7e308

    with pytest.raises(EvidenceError, match="too large to be that of a run"):
        rewritten(made, change).reading()
