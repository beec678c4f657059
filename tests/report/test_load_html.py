"""The report of a load: whole at every size and every end, in both languages, with nothing from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexgate.indicators.load_examples import sampled_replies
from hexgate.indicators.load_folder import LoadFolder
from hexgate.indicators.load_series import MOST_BINS
from hexgate.indicators.load_statistics import load_statistics
from hexgate.load.measures.arrivals import arrival_test
from hexgate.load.plans.plan import closed_loop
from hexgate.load.records import Outcome
from hexgate.report.load_charts import Line, distribution_chart, time_chart
from hexgate.report.load_drawn import load_charts
from hexgate.report.load_html import MOST_BYTES, render_load_html
from hexgate.report.load_words import WORDS, word
from hexgate.report.svg import Mark
from hexgate.report.text import Both, same
from support.load_folders import folder_of, folder_with, plan_of, write_evidence

VOID = {"meta", "path", "rect", "line", "circle", "br", "wbr", "col", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Whether every element that is opened is closed, and what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {name}" for name, _ in attrs if name in {"src", "srcset", "action", "data"}]
        self.loads += [
            f"{tag} {value}" for name, value in attrs if name == "href" and not (value or "").startswith("#")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that closes itself."""

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def page_of(load: LoadFolder, lang: str = "en", **changes: Any) -> str:
    files = {"requests.csv": "requests.csv", "replies.jsonl": "load.replies.jsonl"}
    return render_load_html(load_statistics(load) | changes, sampled_replies(load), files, lang=lang)  # type: ignore[arg-type]


def checked(page: str) -> str:
    parser = Page()
    parser.feed(page)
    assert parser.open == []
    assert parser.loads == []
    assert "url(" not in page
    assert "@import" not in page
    assert len(page.encode()) <= MOST_BYTES
    return page


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> LoadFolder:
    return folder_of(tmp_path_factory.mktemp("load"), plan_of(1000), failing=0.1)


@pytest.mark.parametrize("requests", [1, 2, 10, 3000])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_page_of_any_number_of_requests_is_whole(tmp_path: Path, requests: int, lang: str) -> None:
    page = checked(page_of(folder_of(tmp_path, plan_of(requests)), lang))
    assert f'data-lang="{lang}"' in page


def test_more_requests_make_no_larger_page(tmp_path: Path) -> None:
    sizes = []
    for requests in (30_000, 60_000):
        folder = tmp_path / str(requests)
        folder.mkdir()
        load = folder_of(folder, plan_of(requests))
        sizes.append(len(checked(page_of(load)).encode()))
    assert sizes[1] <= 1.2 * sizes[0]


def test_the_largest_page_there_can_be_is_small_enough(load: LoadFolder) -> None:
    statistics = load_statistics(load)
    random = np.random.default_rng(1)

    def full(scale: float = 1e4) -> list[float]:
        return (scale * random.random(MOST_BINS)).tolist()

    series = statistics["series"] | {
        "bins": MOST_BINS,
        "outcomes": {name: full() for name in statistics["series"]["outcomes"]},
    }
    series |= {name: full() for name, values in statistics["series"].items() if isinstance(values, list)}
    lines = {
        f"{name}.{place}": full()
        for name in ("gpu_util_ratio", "power_w", "gpu_memory_used_bytes")
        for place in range(8)
    }
    host = {"host": "h" * 300, "step_s": 1.0, "lines": lines | {"cpu_ratio": full()}, "levels": {}}
    metric = {
        "name": "m" * 300,
        "unit": "u" * 300,
        "step_s": 1.0,
        "lines": {f"l{place}": full() for place in range(20)},
    }
    long = "文" * 5000
    failure = {"outcome": "error", "reason": long, "count": 1, "examples": [{"index": 1, "error": long}] * 3}
    page = render_load_html(
        statistics
        | {"series": series, "resources": [host] * 40, "server": [metric] * 40, "reasons": [long] * 400}
        | {
            "failures": {"reasons": [failure] * 30, "others": 5},
            "missing": {f"{place}": long for place in range(900)},
        },
        [{"index": place, "text": long, "error": None} for place in range(8)],
        {},
        lang="zh",
    )
    checked(page)


def test_the_head_says_what_was_asked_and_what_was_achieved(load: LoadFolder) -> None:
    page = page_of(load)
    assert "Asked: 50 requests/s (Poisson); sent:" in page
    assert "要求：每秒 50 个请求（泊松到达）；实发：" in page
    assert "replies a second over a timed window of" in page


@pytest.mark.parametrize("status", ["complete", "partial", "invalid", "failed"])
def test_a_status_is_never_in_the_colours_of_a_verdict(load: LoadFolder, status: str) -> None:
    page = page_of(load, status={"overall": status}, reasons=["the client took requests up late"])
    assert word(status).en in page
    assert word(status).zh in page
    assert "the client took requests up late" in page
    assert not re.search(r'class="hero load v-(pass|fail|accepted)"', page)


def test_failures_and_replies_and_slow_requests_are_shown(load: LoadFolder) -> None:
    page = page_of(load)
    assert "http_503: overloaded, retry in # s" in page
    assert "truncated: the stream ended before its terminator" in page
    assert "The quick brown fox" in page
    assert "The slowest replies" in page
    assert "load.replies.jsonl" in page


def test_a_load_of_which_every_request_failed_has_its_page(tmp_path: Path) -> None:
    page = checked(page_of(folder_of(tmp_path, plan_of(100), all_fail=True)))
    assert "No reply with text was kept." in page
    assert "no request succeeded" in page


def test_what_was_unfinished_counts_among_the_failed(tmp_path: Path) -> None:
    files = write_evidence(tmp_path, plan_of(100), failing=0.0)
    records = np.load(files["requests"][0])
    last = records[-25:]
    last["outcome"], last["end_ns"] = Outcome.UNFINISHED, -1
    np.save(files["requests"][0], records)
    page = page_of(folder_with(tmp_path, files))
    assert '<span lang="en">25\N{NARROW NO-BREAK SPACE}%</span>' in page
    assert "requests that failed" in page


def test_a_load_that_sent_nothing_has_its_page(tmp_path: Path) -> None:
    files = write_evidence(tmp_path, plan_of(20), rich=False)
    np.save(files["requests"][0], np.load(files["requests"][0])[:0])
    load = folder_with(tmp_path, files, {"status": "failed", "invalid_reasons": ["no connection"]})
    page = checked(page_of(load))
    assert "Nothing was measured." in page
    assert "no connection" in page


def test_a_closed_loop_says_how_many_it_kept_in_flight(tmp_path: Path) -> None:
    method = {"confidence": 0.95, "kind": "closed_loop", "arrival": "none", "concurrency": 8, "seed": 0}
    load = folder_of(tmp_path, closed_loop(concurrency=8, items=3, requests=90), {"method": method})
    page = checked(page_of(load))
    assert "Asked: 8 requests in flight." in page
    assert "from the send" in page


def test_nothing_of_a_server_becomes_markup(tmp_path: Path) -> None:
    attack = '</title></style><script>alert(1)</script><img src=x onerror="alert(1)">'
    load = folder_of(tmp_path, plan_of(60), {"invalid_reasons": [attack], "status": "invalid"})
    statistics = load_statistics(load)
    statistics["subject"] |= {"name": attack, "uri": attack}
    statistics["failures"]["reasons"] = [
        {"outcome": "error", "reason": attack, "count": 1, "examples": [{"index": 1, "error": attack}]}
    ]
    statistics["resources"] = [
        {"host": attack, "step_s": 1.0, "lines": {f"power_w.{attack}": [1.0, 2.0]}, "levels": {}}
    ]
    statistics["server"] = [{"name": attack, "unit": attack, "step_s": 1.0, "lines": {attack: [1.0]}}]
    replies = [{"index": 1, "text": attack, "error": None}]
    page = render_load_html(statistics, replies, {"requests.csv": attack}, lang="en")
    assert checked(page).count("<script") == 1
    assert "<img" not in page


def test_the_arrival_process_and_the_remarks_are_shown(load: LoadFolder) -> None:
    arrivals = arrival_test(load.records, load.plan)  # type: ignore[arg-type]
    assert arrivals is not None
    said = arrivals.to_json()
    said["sent"]["ok"] = False
    times = {"replies": 9, "loading": 4, "load_max_ms": 1500.0, "told": 9, "server_mean_ms": 210.0}
    times |= {"client_mean_ms": 220.5, "beyond_p50_ms": 10.5, "shorter": 0, "longer": 0}
    page = checked(page_of(load, arrivals=said, remarks=["<b>4 of 9 replies"], server_times=times))
    assert "Was it the arrival process that was asked for?" in page
    assert "是否为所要求的到达过程？" in page
    rows = re.findall(r"<tr>(.*?)</tr>", page.split('id="arrivals"')[1].split("</section>")[0], re.DOTALL)
    assert len(rows) == 8
    assert re.findall(r"[1-9]\.?\d* \(1 ± ", rows[3])
    assert [word in rows[-1] for word in ("yes", "no")] == [True, True]
    assert "&lt;b&gt;4 of 9 replies" in page
    assert "210 ms; 220.5 ms" in page
    closed = page_of(load, arrivals=None)
    assert 'id="arrivals"' not in closed
    assert "What to know of this load" not in closed


def test_every_word_has_a_twin_with_the_same_parts() -> None:
    for key, (english, chinese) in WORDS.items():
        assert re.findall(r"\{(\w+)\}", english).sort() == re.findall(r"\{(\w+)\}", chinese).sort(), key
        assert english, key
        assert chinese, key
        assert "!" not in english + chinese, key


def test_every_word_is_used() -> None:
    source = "".join(
        path.read_text("utf-8")
        for path in (Path(__file__).resolve().parents[2] / "src/hexgate/report").rglob("load*")
        if path.is_file() and path.suffix != ".pyc" and path.name != "load_words.py"
    )
    families = ("how_", "outcome_", "arrival_", "arrivals_", "source_", "file_", "tile_", "from_", "rates_")
    families += ("complete", "partial", "invalid", "failed")
    names = load_names()
    unused = [key for key in WORDS if f'"{key}"' not in source and f"'{key}'" not in source]
    assert [key for key in unused if not key.startswith(families) and key not in names] == []


def load_names() -> set[str]:
    """Names of figures, which a page takes from the statistics."""
    schema = __import__("hexgate.contract.schema", fromlist=["load_schema"]).load_schema("load/statistics")
    return {*schema["properties"]["times"]["properties"], *schema["properties"]["rates"]["properties"]}


def test_a_line_breaks_where_there_is_no_value() -> None:
    title = Both("title", "标题")
    drawn = str(time_chart(title, same("ms"), [Line(same("a"), [1.0, None, 3.0, 4.0], 1.0)], "en"))
    assert drawn.count('class="c-line k0"') == 2
    assert "<title>title</title>" in drawn
    assert "a: from 1 to 4, mean 2.667" in drawn


def test_nothing_has_no_chart() -> None:
    assert time_chart(same("t"), same("a"), [Line(same("a"), [None, None], 1.0)], "en") == ""
    assert distribution_chart(same("t"), same("a"), {"edges": [1.0, 2.0], "counts": [0.0]}, [], "en") == ""


def test_layers_stand_on_each_other() -> None:
    lines = [Line(same("a"), [1.0, 1.0], 1.0, style="k0"), Line(same("b"), [2.0, None], 1.0, style="k4")]
    drawn = str(time_chart(same("t"), same("n"), lines, "en", stacked=True))
    heights = {
        style: float(re.search(rf'd="M[^L]*L[\d.]+ ([\d.]+)[^"]*" class="c-layer {style}"', drawn)[1])
        for style in ("k0", "k4")
    }  # type: ignore[index]
    assert heights["k4"] < heights["k0"]
    # The lower layer is drawn over the higher one, which reaches down to the axis.
    assert drawn.index("c-layer k4") < drawn.index("c-layer k0")


def test_percentiles_are_marked_on_a_logarithmic_axis() -> None:
    bins = {"edges": [1.0, 10.0, 100.0, 1000.0], "counts": [5.0, 3.0, 2.0]}
    drawn = str(
        distribution_chart(same("t"), same("n"), bins, [Mark(10.0, "P50 10"), Mark(900.0, "P99 900")], "en")
    )
    widths = [float(found) for found in re.findall(r'<rect [^>]*width="([\d.]+)"[^>]*class="c-bar"', drawn)]
    assert len(widths) == 3
    assert max(widths) - min(widths) < 1.0
    assert "P50 10" in drawn
    assert "P99 900" in drawn


def test_the_chart_of_gaps_says_how_many_have_no_place_on_it(load: LoadFolder) -> None:
    statistics = load_statistics(load)
    gaps = statistics["times"]["gap_ms"] or {
        "count": 12,
        "percentiles": {"p50": 3.0},
        "histogram": {"edges": [1.0, 2.0, 4.0], "counts": [4.0, 8.0]},
    }
    drawn = round(sum(gaps["histogram"]["counts"]))
    with_zeros = statistics | {"times": statistics["times"] | {"gap_ms": gaps | {"count": drawn + 5}}}
    without = statistics | {"times": statistics["times"] | {"gap_ms": gaps | {"count": drawn}}}
    assert any("5 of 0 ms" in heading.en for heading, _ in load_charts(with_zeros, "en"))
    assert not any("of 0 ms" in heading.en for heading, _ in load_charts(without, "en"))


def test_the_answer_has_rows_of_its_own_only_after_reasoning(load: LoadFolder) -> None:
    times = load_statistics(load)["times"]
    same_times = times | {"ttfa_due_ms": times["ttft_due_ms"], "ttfa_sent_ms": times["ttft_sent_ms"]}
    other = same_times | {"ttfa_due_ms": times["e2e_due_ms"]}
    assert word("ttfa_due_ms").zh not in page_of(load, times=same_times).split("<h2")[1]
    assert word("ttfa_due_ms").zh in page_of(load, times=other).split("<h2")[1]


@pytest.mark.parametrize("bins", [4, 90])
def test_what_is_sampled_before_and_after_a_load_stays_inside_of_its_axis(bins: int) -> None:
    # Bins of their own: the first begins before the load, the last ends after it, and one lies behind it.
    line = Line(same("lag"), [float(1 + place % 3) for place in range(bins)], 0.5, begin_s=-0.2)
    end_s = 0.5 * bins - 1.0
    drawn = str(time_chart(same("t"), same("a"), [line], "en", end_s=end_s))
    paths = re.findall(r'<path d="([^"]*)" class="c-line', drawn)
    across = [float(x) for path in paths for x, _ in re.findall(r"([0-9.]+)[ ,]([0-9.]+)", path)]
    assert across
    left, right = 54.0, 520.0 - 24
    assert left <= min(across) <= max(across) <= right
    steps = bins == 4
    assert max(across) == right if steps else max(across) > right - 10
