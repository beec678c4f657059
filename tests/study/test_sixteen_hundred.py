"""A study of 1,600 runs, killed ten times and resumed: 80 questions, 5 levels, 4 models of the reference endpoint.

What the runs are is carried out as people do it: by `hexgate study run` as a process, four models side by side, each at
an endpoint of its own and on a counter of its own (synthetic, of known power). Then every command that reads a study is
held against figures that are computed here from the raw records.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import ExitCode
from hexgate.reference.endpoint import start_server
from hexgate.study.ledger import RUNS, VISITS, visits_of
from hexgate.study.lines import read_lines
from hexgate.study.reading import read_study
from hexgate.study.results import result_row
from support import needs
from support.judge_server import Asked, JudgeServer, grades
from support.studies import RunningCounter, write_study
from support.study_running import commanded, plan_of, table, unexplained

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(os.name == "nt", reason="kills as POSIX has them"),
]

MODEL = "hexgate-demo-lm"
PATIENCE_S = 300.0
WATTS = {"amber": 20.0, "birch": 30.0, "cedar": 40.0, "dune": 50.0}
LEVELS = ("L0", "L1", "L2", "L3", "P")
TOPICS = ("garden", "train", "river", "market", "winter", "kitchen", "music", "harbour")
"""A category each."""
QUESTIONS = 10
"""Of each category."""
KILLS = ("start", "visit", "run", "run", "visit", "run", "start", "run", "visit", "run")
"""At what a call is killed: while it starts, in the begin of its visits, or among its runs."""


def questions() -> Iterator[dict[str, str]]:
    """80 questions; each level says more than the one before it, and the padded one more than all."""
    for topic in TOPICS:
        for number in range(QUESTIONS):
            base = f"Tell me about a {topic} that is {number} years old."
            clear = f"{base} Answer in one paragraph and in plain words that a child understands."
            guided = f"{clear} First say what it is. Then say what one can see there. Then say what one can hear there."
            shown = f"{guided} An answer may look like this: It is old and quiet. One sees a wall. One hears a bird."
            padded = (
                f"{shown} {'Take as much time as you need before you begin, and mind the rules above. ' * 3}"
            )
            prompts = dict(zip(LEVELS, (base, clear, guided, shown, padded.strip()), strict=True))
            yield {
                "question_id": f"{topic}-{number}",
                "category": topic,
                "reference": f"The {topic} is old, and I like it.",
                **prompts,
            }


def write_spec(folder: Path, origins: list[str]) -> Path:
    models = []
    for place, (name, origin) in enumerate(zip(WATTS, origins, strict=True)):
        ollama = f"ollama://{origin.removeprefix('http://')}/{MODEL}"
        models.append(
            {
                "name": name,
                # Two speak OpenAI's API and two Ollama's.
                "target": ollama if place % 2 else f"{origin}/v1",
                "model": MODEL,
                "domains": [f"rapl:package-{place}"],
                "quantization": "none",
            }
        )
    return write_study(
        folder,
        name="levels",
        seed=1600,
        items=list(questions()),
        models=models,
        tasks=[{"name": topic, "items": "items.jsonl", "where": {"category": topic}} for topic in TOPICS],
        loads=[{"name": level, "prompt": level} for level in LEVELS],
        request={"max_tokens": 12},
        runs=1,
        meters=["rapl"],
        power_hz=50,
        idle_s=0.4,
        parallel=len(WATTS),
        timeout_s=60,
        quality=[{"measure": "token_f1"}, {"measure": "distinct", "options": {"n": 1}}],
    )


class Growing:
    """The lines of a file that another process appends to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._lines = 0

    def lines(self) -> int:
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read)
                data = file.read()
            self._read += len(data)
            self._lines += data.count(b"\n")
        return self._lines


def start(spec: Path, out: Path, root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hexgate", "study", "run", spec, "--out", out, "--rapl-root", root],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "HEXGATE_LANG": "en"},
    )


def kill_at(process: subprocess.Popen[str], kind: str, out: Path, draw: random.Random) -> None:
    """Wait for the instant that is drawn, and kill."""
    traces, runs = out / "traces", Growing(out / RUNS)
    before, seen = runs.lines(), set(traces.glob("*"))
    more = draw.randrange(30, 180)

    def is_there() -> bool:
        if kind == "start":
            return True
        if kind == "visit":
            return any(path not in seen for path in traces.glob("*"))
        return runs.lines() >= before + more

    deadline = time.monotonic() + PATIENCE_S
    while not is_there() and process.poll() is None:
        assert time.monotonic() < deadline, "the study made no progress"
        time.sleep(0.002)
    time.sleep(draw.random() * {"start": 1.5, "visit": 0.6, "run": 0.05}[kind])
    assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the study, which was killed ten times and is whole."""
    folder = tmp_path_factory.mktemp("levels")
    out = folder / "out"
    draw = random.Random(10)
    with ExitStack() as running:
        origins = [running.enter_context(start_server(token_delay_ms=3.5)).url for _ in WATTS]
        spec = write_spec(folder, origins)
        counter = running.enter_context(RunningCounter(folder / "powercap", *WATTS.values()))
        for kind in KILLS:
            process = start(spec, out, counter.root)
            try:
                kill_at(process, kind, out, draw)
            finally:
                process.kill()
        last = start(spec, out, counter.root)
        try:
            _, err = last.communicate(timeout=PATIENCE_S)
        finally:
            last.kill()
    assert last.returncode == ExitCode.OK, err
    return out


def graded(text: str) -> dict[str, float]:
    """What the scripted judge gives an answer: half points that follow from its digest."""
    digest = hashlib.sha256(text.encode()).digest()
    names = ("factuality", "helpfulness", "structure", "conciseness")
    return {name: digest[place] % 6 / 2 for place, name in enumerate(names)}


def judge(asked: Asked) -> str:
    return grades(**graded(asked.answer))


@pytest.fixture(scope="module")
def marked(studied: Path) -> Path:
    """The same folder, scored and judged by their commands."""
    commanded("study", "score", studied, "--quiet")
    with JudgeServer(judge) as server:
        commanded(
            "study",
            "judge",
            studied,
            "--target",
            server.v1,
            "--model",
            "judge",
            "--concurrency",
            "8",
            "--quiet",
        )
    return studied


def raw_records(out: Path) -> list[dict[str, Any]]:
    """The raw records, in the order of the table."""
    return [json.loads((out / row["raw_file"]).read_bytes()) for row in table(out)]


def test_every_run_is_made_exactly_once(studied: Path) -> None:
    plan = plan_of(studied.parent / "study.yaml")
    assert len(plan.runs) == 1600
    records = list(read_lines(studied / RUNS))
    assert Counter(record["run_id"] for record in records) == Counter(run.run_id for run in plan.runs)
    assert {(record["attempt"], record["status"]) for record in records} == {(1, "ok")}
    cut = [visit for visit in visits_of(studied / VISITS).values() if visit["end"] is None]
    assert len(cut) >= KILLS.count("run")
    assert not list(studied.rglob("*.partial"))
    assert len(list((studied / "data" / "raw").rglob("*.json"))) == 1600
    assert len(list((studied / "data" / "texts").rglob("*.txt"))) == 1600


def test_the_table_is_that_of_an_uninterrupted_reading(studied: Path) -> None:
    reading = read_study(studied)
    assert reading.left == ()
    rows = table(studied)
    assert [row["run_id"] for row in rows] == [run.run_id for run in reading.plan.runs]
    for row, record in zip(rows, reading.records, strict=True):
        raw = reading.layout.raw(record["run_id"])
        name = raw.relative_to(studied).as_posix()
        assert row == dict.fromkeys(row, "") | result_row(record, name)
        assert json.loads(raw.read_bytes()) == json.loads(json.dumps(record))
        assert reading.layout.text(record["run_id"]).read_text("utf-8") == record["generated_text"]
        assert unexplained(record) == set()


def test_energy_is_that_of_each_model_s_own_counter(studied: Path) -> None:
    records = raw_records(studied)
    for place, (model, watts) in enumerate(WATTS.items()):
        own = [record for record in records if record["model"] == model]
        measured = [record for record in own if record["energy"]["gross_j"] is not None]
        assert len(measured) > len(own) / 2
        assert {domain["id"] for record in own for domain in record["energy"]["domains"]} == {
            f"rapl:package-{place}"
        }
        seconds = sum(record["latency_seconds"] for record in measured)
        joules = sum(record["energy"]["gross_j"] for record in measured)
        assert joules / seconds == pytest.approx(watts, rel=0.1)


def words(text: str) -> list[str]:
    return "".join(one if one.isalnum() or one.isspace() else "" for one in text.lower()).split()


def token_f1(text: str, reference: str) -> float:
    own, right = Counter(words(text)), Counter(words(reference))
    return 2 * sum((own & right).values()) / (sum(own.values()) + sum(right.values()))


def distinct(text: str) -> float:
    found = re.findall(r"[a-z0-9]+", text.lower())
    return len(set(found)) / len(found)


def test_scores_and_grades_are_those_of_each_text(marked: Path) -> None:
    for row, raw in zip(table(marked), raw_records(marked), strict=True):
        text, quality = raw["generated_text"], raw["quality"]
        right = graded(text)
        assert quality["judge"]["value"] == sum(right.values())
        assert {name: quality["judge"]["parts"][name] for name in right} == right
        assert quality["judge"]["parts"]["rationales"]["structure"] == "why structure"
        assert quality["token_f1"]["value"] == pytest.approx(token_f1(text, raw["references"][0]))
        assert quality["distinct"]["value"] == pytest.approx(distinct(text))
        assert float(row["quality_judge"]) == quality["judge"]["value"]
        assert float(row["quality_judge_structure"]) == right["structure"]
        assert float(row["quality_token_f1"]) == quality["token_f1"]["value"]
    told = json.loads((marked / "judge.json").read_bytes())
    assert told["stopped"] is None
    assert told["noise"]["total"]["sd"] == 0.0


Key = tuple[str, str, str, int]
"""Category, question, level, repeat."""
_Read = Callable[[Mapping[str, Any]], Any]
FIGURES: dict[str, _Read] = {
    "energy_j": lambda raw: raw["energy"]["net_j"],
    "energy_gross_j": lambda raw: raw["energy"]["gross_j"],
    "mean_power_w": lambda raw: raw["energy"]["mean_power_w"],
    "latency_ms": lambda raw: raw["latency_seconds"] * 1000.0,
    "first_token_ms": lambda raw: raw["first_token_seconds"] * 1000.0,
    "prompt_tokens": lambda raw: raw["api_metrics"]["prompt_eval_count"],
    "completion_tokens": lambda raw: raw["api_metrics"]["eval_count"],
    "total_score": lambda raw: raw["quality"]["judge"]["value"],
    "total_without_conciseness": lambda raw: (
        raw["quality"]["judge"]["value"] - graded(raw["generated_text"])["conciseness"]
    ),
    "factuality": lambda raw: graded(raw["generated_text"])["factuality"],
    "helpfulness": lambda raw: graded(raw["generated_text"])["helpfulness"],
    "structure": lambda raw: graded(raw["generated_text"])["structure"],
    "conciseness": lambda raw: graded(raw["generated_text"])["conciseness"],
    "quality_token_f1": lambda raw: raw["quality"]["token_f1"]["value"],
    "quality_distinct": lambda raw: raw["quality"]["distinct"]["value"],
}
"""What a column of a workbook holds, from the raw record of a run."""


def shown_as(value: Any) -> Any:
    """A figure as openpyxl writes it: with 16 digits."""
    return pytest.approx(value, rel=1e-15, abs=0.0) if isinstance(value, float) else value


def approximately(value: float | None) -> Any:
    return None if value is None else pytest.approx(value, rel=1e-9)


def mean(values: list[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def sheets_of(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of each sheet by their headers, units taken off."""
    from openpyxl import load_workbook

    found: dict[str, list[dict[str, Any]]] = {}
    with closing(load_workbook(path, read_only=True)) as book:
        for page in book.worksheets:
            header, *rows = page.iter_rows(values_only=True)
            names = [str(name).partition(" [")[0] for name in header]
            found[page.title] = [
                dict(zip(names, [*row, *([None] * (len(names) - len(row)))], strict=True)) for row in rows
            ]
    return found


def runs_by_place(records: list[dict[str, Any]], model: str) -> dict[Key, dict[str, Any]]:
    return {
        (raw["task"], raw["item"], raw["load"], raw["run"]): raw for raw in records if raw["model"] == model
    }


@pytest.fixture(scope="module")
def exported(marked: Path) -> Path:
    needs.module("openpyxl", group="heavy")
    folder = marked.parent / "exported"
    commanded("study", "export", marked, "--out", folder)
    return folder


@pytest.mark.parametrize(
    ("book", "figure"),
    [
        ("energy_per_run.xlsx", "energy_j"),
        ("latency_per_run.xlsx", "latency_ms"),
        ("output_tokens_per_run.xlsx", "completion_tokens"),
    ],
)
def test_a_workbook_of_runs_is_right_to_the_cell(
    exported: Path, marked: Path, book: str, figure: str
) -> None:
    records = raw_records(marked)
    sheets = sheets_of(exported / book)
    assert list(sheets) == ["about", *WATTS, "all runs"]
    for model in WATTS:
        runs, rows = runs_by_place(records, model), sheets[model]
        for row in rows[:80]:
            key = (row["category"], row["question_id"])
            right = {level: FIGURES[figure](runs[(*key, level, row["run"])]) for level in LEVELS}
            assert {level: row[level] for level in LEVELS} == {
                one: shown_as(value) for one, value in right.items()
            }
            assert (row["reason"] is None) is (None not in right.values())
        by_label = {row["category"]: row for row in rows[80:]}
        assert list(by_label) == [*(f"mean: {topic}" for topic in TOPICS), "mean: all", "n", "missing"]
        for level in LEVELS:
            own = {key: FIGURES[figure](raw) for key, raw in runs.items() if key[2] == level}
            for topic in TOPICS:
                right_mean = mean([value for key, value in own.items() if key[0] == topic])
                assert by_label[f"mean: {topic}"][level] == approximately(right_mean)
            known = sum(value is not None for value in own.values())
            assert by_label["mean: all"][level] == approximately(mean(list(own.values())))
            assert (by_label["n"][level], by_label["missing"][level]) == (known, 80 - known)
    listed = sheets["all runs"]
    assert len(listed) == 1600
    shown = [name for name in FIGURES if name in listed[0]]
    assert figure in shown
    by_id = {raw["run_id"]: raw for raw in records}
    for row in listed:
        raw = by_id[row["run_id"]]
        assert (row["model"], row["category"], row["level"]) == (raw["model"], raw["task"], raw["load"])
        assert (row["question_id"], row["status"], row["truncated"]) == (raw["item"], "ok", raw["truncated"])
        assert {name: row[name] for name in shown} == {name: shown_as(FIGURES[name](raw)) for name in shown}


def test_the_workbook_of_scores_is_right_to_the_cell(exported: Path, marked: Path) -> None:
    records = raw_records(marked)
    sheets = sheets_of(exported / "quality_scores_detailed.xlsx")
    assert list(sheets) == ["about", *WATTS]
    for model in WATTS:
        runs, rows = runs_by_place(records, model), sheets[model]
        shown = [name for name in FIGURES if name in rows[0]]
        assert {"factuality", "conciseness", "total_score", "quality_token_f1"} <= set(shown)
        places = [(row["category"], row["question_id"], row["level"], row["run"]) for row in rows[:400]]
        assert set(places) == set(runs)
        for key, row in zip(places, rows[:400], strict=True):
            raw = runs[key]
            assert {name: row[name] for name in shown} == {
                name: shown_as(FIGURES[name](raw)) for name in shown
            }
            assert row["rationale_helpfulness"] == "why helpfulness"
            assert row["reason"] is None
        means, count, missing = rows[400:]
        for name in shown:
            assert means[name] == approximately(mean([FIGURES[name](raw) for raw in runs.values()]))
            assert (count[name], missing[name]) == (400, 0)


def test_the_workbook_of_the_comparison_has_the_means_of_each_model_and_level(
    exported: Path, marked: Path
) -> None:
    records = raw_records(marked)
    sheets = sheets_of(exported / "model_comparison.xlsx")
    rows = sheets["comparison"]
    assert [(row["model"], row["level"]) for row in rows] == [
        (model, level) for model in WATTS for level in LEVELS
    ]
    shown = [name for name in FIGURES if f"mean {name}" in rows[0]]
    assert {"total_score", "latency_ms", "energy_j", "completion_tokens"} <= set(shown)
    for row in rows:
        own = [raw for raw in records if (raw["model"], raw["load"]) == (row["model"], row["level"])]
        assert (row["runs planned"], row["runs ok"]) == (80, 80)
        for name in shown:
            assert row[f"mean {name}"] == approximately(mean([FIGURES[name](raw) for raw in own]))
        paid = [raw for raw in own if raw["energy"]["net_j"] is not None]
        joules = sum(raw["energy"]["net_j"] for raw in paid)
        points = sum(raw["quality"]["judge"]["value"] for raw in paid)
        assert row["score per joule"] == approximately(points / joules if joules > 0 else None)
    for model in WATTS:
        by_place = {(row["level"], row["figure"]): row for row in sheets[model]}
        for level in LEVELS:
            own = [raw for raw in records if (raw["model"], raw["load"]) == (model, level)]
            for name in shown:
                row, right = by_place[level, name], mean([FIGURES[name](raw) for raw in own])
                assert row["mean"] == approximately(right)
                assert row["n"] + row["missing"] == 80
                assert (
                    right is None or row["low 95 %"] is None or row["low 95 %"] <= right <= row["high 95 %"]
                )


def judged(artifact: Path, code: int, **rule: Any) -> None:
    """Let the gate judge an artifact by one rule; it is to end with this exit code."""
    whole = {"indicator": "power_efficiency", "measure": "energy_per_request_j", **rule}
    policy = artifact.parent / "policy.yaml"
    policy.write_text(json.dumps({"version": 1, "name": "energy", "rules": [whole]}), "utf-8")
    commanded("gate", artifact, "--policy", policy, code=code)


@pytest.mark.parametrize("model", WATTS)
def test_the_gate_judges_the_energy_of_a_model(studied: Path, tmp_path: Path, model: str) -> None:
    own = [raw for raw in raw_records(studied) if raw["model"] == model]
    joules = [raw["energy"]["gross_j"] for raw in own if raw["energy"]["gross_j"] is not None]
    artifact = tmp_path / "artifact"
    commanded("study", "artifact", studied, "--model", model, "--out", artifact)
    told = json.loads((artifact / "power_efficiency.json").read_bytes())
    assert told["counts"] == {"requested": 400, "succeeded": 400, "errored": 0, "skipped": 0}
    assert (told["study"]["planned"], told["study"]["measured"]) == (400, len(joules))
    if len(joules) < 0.95 * len(own):
        # A machine that was this busy has not read the counter often enough, and the gate passes nothing.
        assert told["energy_per_request_j"] is None
        judged(artifact, ExitCode.EVIDENCE, at_most=1000, accept_uncertified="a test")
        return
    assert told["energy_per_request_j"] == pytest.approx(sum(joules) / len(joules))
    judged(artifact, ExitCode.FAILED, at_most=0.001)
    # No quiet was held around the requests, so that no figure certifies unless somebody says why it may.
    judged(artifact, ExitCode.INCONCLUSIVE, at_most=1000)
    judged(artifact, ExitCode.OK, at_most=1000, accept_uncertified="a test")


Where = tuple[str, str, str, str] | None
"""Model, category, question and level of a violation; None where it is of no run."""
ALL_CHECKS = (
    *("counts", "failed", "truncated", "rising", "scores", "energy", "configurations"),
    *("duplicates", "records", "texts", "table"),
)


def violations(folder: Path, code: int, *words: str) -> dict[str, Counter[Where]]:
    """What each check finds, by its name."""
    told = json.loads(commanded("study", "check", folder, "--json", *words, code=code).stdout)
    found = {}
    for check in told["checks"]:
        rows = check["violations"]
        places = ((row["model"], row["category"], row["question_id"], row["level"]) for row in rows)
        found[check["check"]] = Counter(None if place[0] is None else place for place in places)
    return found


def place_of(raw: Mapping[str, Any]) -> Where:
    return raw["model"], raw["task"], raw["item"], raw["load"]


def test_checks_find_what_is_so_and_nothing_else(marked: Path) -> None:
    found = violations(marked, ExitCode.OK, "--without", "truncated,energy")
    assert tuple(found) == ALL_CHECKS
    assert not any(found.values())
    records = raw_records(marked)
    whole = violations(marked, ExitCode.EVIDENCE)
    assert whole.pop("truncated") == Counter(place_of(raw) for raw in records if raw["truncated"])
    lacking = Counter(
        place_of(raw) for raw in records if None in (raw["energy"]["gross_j"], raw["energy"]["net_j"])
    )
    below = Counter(
        place_of(raw)
        for raw in records
        # Twice its standard uncertainty below zero a net energy may be by chance.
        for value, least in (
            (raw["energy"]["gross_j"], 0.0),
            (raw["energy"]["net_j"], -2.0 * (raw["energy"]["net_uncertainty_j"] or 0.0)),
        )
        if (value or 0.0) < least
    )
    assert whole.pop("energy") == lacking + below
    assert not any(whole.values())


def test_checks_of_a_damaged_copy_find_the_damage(marked: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(marked, copy)
    rows = [json.loads(line) for line in (copy / RUNS).read_bytes().splitlines()]
    draw = random.Random(7)
    at_l2 = next(place for place, row in enumerate(rows) if row["load"] == "L2")
    others = draw.sample([place for place in range(1600) if place != at_l2], 6)
    *lost, doubled, judged_wrong, rewritten = (rows[place] for place in others)
    shortened = rows[at_l2]
    shortened["api_metrics"]["prompt_eval_count"] = 1
    kept = [row for row in rows if row not in lost]
    (copy / RUNS).write_text("".join(json.dumps(row) + "\n" for row in [*kept, doubled]), "utf-8")
    marks = [json.loads(line) for line in (copy / "quality.jsonl").read_bytes().splitlines()]
    for mark in marks:
        if mark["measure"] == "judge" and mark.get("run_id") == judged_wrong["run_id"]:
            mark["parts"]["factuality"] = 3.0
    (copy / "quality.jsonl").write_text("".join(json.dumps(mark) + "\n" for mark in marks), "utf-8")
    read_study(copy).layout.text(rewritten["run_id"]).write_text("something else", "utf-8")

    found = violations(copy, ExitCode.EVIDENCE, "--without", "truncated,energy")
    none: Where = None
    damage: dict[str, Counter[Where]] = {
        "counts": Counter(map(place_of, lost)),
        "rising": Counter([place_of(shortened)]),
        "scores": Counter([place_of(judged_wrong)]),
        "duplicates": Counter([place_of(doubled)]),
        "records": Counter([place_of(shortened), place_of(judged_wrong), *[none] * 3]),
        "texts": Counter([place_of(rewritten), *[none] * 3]),
        "table": Counter([place_of(shortened), place_of(judged_wrong), *[none] * 3]),
    }
    assert {name: wrong for name, wrong in found.items() if wrong} == damage


def test_the_report_shows_every_model(marked: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    commanded("study", "report", marked, "--out", page)
    text = page.read_text("utf-8")
    for name in (*WATTS, *TOPICS, *LEVELS):
        assert name in text
    assert not re.search(r"""(?:src|href)=["']https?://""", text)
