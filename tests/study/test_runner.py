"""Studies carried out against real servers: the reference endpoint, and an Ollama whose every reply is scripted."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import EvidenceError, InputError, Interrupted, TargetFailed
from hexgate.meters.base import Basis
from hexgate.reference.endpoint import start_server
from hexgate.study.design import Plan, Run, Visit, make_plan
from hexgate.study.items import read_cells
from hexgate.study.ledger import CALLS, RUNS, VISITS
from hexgate.study.lines import read_lines
from hexgate.study.results import COLUMNS
from hexgate.study.runner import Carrying, Outcome, carry_out
from hexgate.study.spec_file import read_spec
from support.routed_server import Reply
from support.studies import LAST, RunningCounter, ScriptedOllama, said, write_study

MODEL = "hexgate-demo-lm"


CHANGED: dict[str, tuple[str, dict[str, Any]]] = {
    "digest": ("GET /api/tags", {"models": [{"name": "tiny:1b", "digest": "sha256:cd34"}]}),
    "quantization": ("POST /api/show", {"details": {"family": "llama", "quantization_level": "Q8_0"}}),
    "server_version": ("GET /api/version", {"version": "0.13.0"}),
}
"""What Ollama states of another model or by another server: the route, and its reply."""


class Watching:
    """Remembers what it was told; may raise at a run."""

    def __init__(self, *, raises: Mapping[int, BaseException] | None = None) -> None:
        self.notes: list[str] = []
        self.visits: list[tuple[int, str]] = []
        self.records: list[Mapping[str, Any]] = []
        self.left: list[float] = []
        self.begun: tuple[int, int] = (0, 0)
        self._raises = raises or {}

    def begin(self, left: Sequence[Run], done: int) -> None:
        self.begun = (len(left), done)

    def visit(self, visit: Visit) -> None:
        self.visits.append((visit.block, visit.model))

    def ran(self, record: Mapping[str, Any], left_s: float) -> None:
        self.records.append(record)
        self.left.append(left_s)
        if (error := self._raises.get(len(self.records))) is not None:
            raise error

    def note(self, text: str) -> None:
        self.notes.append(text)


def carried(
    folder: Path, carrying: Carrying | None = None, watching: Watching | None = None, **changes: Any
) -> tuple[Outcome, Plan, Watching]:
    spec = read_spec(write_study(folder, **changes))
    plan = make_plan(spec, read_cells(spec))
    watching = watching or Watching()
    outcome = carry_out(spec, plan, folder / "out", carrying or Carrying(), watching)
    return outcome, plan, watching


def rows_of(outcome: Outcome) -> list[dict[str, str]]:
    with outcome.results.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def ledger_of(folder: Path) -> list[dict[str, Any]]:
    return list(read_lines(folder / "out" / RUNS))


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with start_server() as server:
        yield server.url


def reference(origin: str) -> list[dict[str, Any]]:
    port = origin.rpartition(":")[2]
    return [
        {"name": "chat", "target": f"{origin}/v1", "model": MODEL, "quantization": "none"},
        {"name": "ollama", "target": f"ollama://127.0.0.1:{port}/{MODEL}"},
    ]


class TestReference:
    """Over the reference endpoint: two models of which one speaks OpenAI's API and one Ollama's."""

    def test_every_run_is_made_once_and_kept_in_every_form(self, tmp_path: Path, origin: str) -> None:
        outcome, plan, watching = carried(tmp_path, models=reference(origin))
        assert outcome.stopped is None
        assert (outcome.planned, outcome.done, outcome.failed, outcome.made) == (16, 16, 0, 16)
        records = ledger_of(tmp_path)
        assert [row["run_id"] for row in records] == [run.run_id for run in plan.runs]
        assert watching.begun == (16, 0)
        assert watching.visits == [(visit.block, visit.model) for visit in plan.visits()]
        assert watching.left[-1] == 0
        rows = rows_of(outcome)
        assert [row["run_id"] for row in rows] == [run.run_id for run in plan.runs]
        assert tuple(rows[0]) == COLUMNS
        for row, record in zip(rows, records, strict=True):
            raw = json.loads((tmp_path / "out" / row["raw_file"]).read_text("utf-8"))
            assert raw["generated_text"] == record["generated_text"]
            text = tmp_path / "out" / row["raw_file"].replace("/raw/", "/texts/").replace(".json", ".txt")
            assert text.read_text("utf-8") == record["generated_text"]
            assert float(row["latency_seconds"]) == record["latency_seconds"] > 0
            assert row["status"] == "ok"
            assert 0 < int(row["eval_count"]) <= record["max_tokens"]
        assert len(list((tmp_path / "out").rglob("*.txt"))) == 16

    def test_that_no_energy_is_measured_is_told_before_the_runs_and_once(
        self, tmp_path: Path, origin: str
    ) -> None:
        nothing = Carrying(rapl_root=tmp_path / "no-powercap")
        _, _, watching = carried(tmp_path, nothing, models=reference(origin), meters=["rapl"], idle_s=0)
        told = [
            line for line in watching.notes if "no energy is measured: no power meter can be read" in line
        ]
        assert sorted(line.partition(":")[0] for line in told) == ["chat", "ollama"]

    def test_what_a_server_clocks_is_told_and_what_it_does_not_is_null(
        self, tmp_path: Path, origin: str
    ) -> None:
        outcome, _, _ = carried(tmp_path, models=reference(origin), runs=1)
        by_model = {row["model"]: row for row in rows_of(outcome)}
        assert float(by_model["ollama"]["throughput_tokens_per_sec"]) > 0
        assert float(by_model["ollama"]["api_first_token_seconds"]) > 0
        assert by_model["chat"]["throughput_tokens_per_sec"] == ""
        assert by_model["ollama"]["server_version"].endswith("-hexgate")
        assert by_model["chat"]["quantization"] == "none"
        assert {name: row["prompt_state"] for name, row in by_model.items()} == {
            "chat": "cold_by_nonce",
            "ollama": "cold_by_nonce",
        }

    def test_a_study_that_is_whole_is_left_as_it_is(self, tmp_path: Path, origin: str) -> None:
        carried(tmp_path, models=reference(origin), runs=1)
        before = (tmp_path / "out" / RUNS).read_bytes()
        outcome, _, watching = carried(tmp_path, models=reference(origin), runs=1)
        assert (outcome.made, outcome.done) == (0, 8)
        assert watching.begun == (0, 8)
        assert (tmp_path / "out" / RUNS).read_bytes() == before

    def test_a_limit_makes_the_first_runs_and_the_next_call_the_rest(
        self, tmp_path: Path, origin: str
    ) -> None:
        models = reference(origin)
        first, plan, _ = carried(tmp_path, Carrying(limit=3), models=models, runs=1)
        assert (first.made, first.done) == (3, 3)
        second, _, _ = carried(tmp_path, models=models, runs=1)
        assert (second.made, second.done) == (5, 8)
        assert [row["run_id"] for row in ledger_of(tmp_path)] == [run.run_id for run in plan.runs]

    def test_an_interrupt_keeps_what_was_made(self, tmp_path: Path, origin: str) -> None:
        models = reference(origin)
        watching = Watching(raises={3: KeyboardInterrupt()})
        stopped, _, _ = carried(tmp_path, watching=watching, models=models, runs=1)
        assert isinstance(stopped.stopped, Interrupted)
        assert len(rows_of(stopped)) == len(ledger_of(tmp_path)) == 3
        ends = [row for row in read_lines(tmp_path / "out" / VISITS) if row["event"] == "end"]
        assert ends[-1]["cut"] is not None
        outcome, _, _ = carried(tmp_path, models=models, runs=1)
        assert (outcome.made, outcome.done, outcome.stopped) == (5, 8, None)
        assert max(Counter(row["run_id"] for row in ledger_of(tmp_path)).values()) == 1

    def test_what_a_killed_call_did_not_write_is_written_by_the_next(
        self, tmp_path: Path, origin: str
    ) -> None:
        models = reference(origin)
        outcome, _, _ = carried(tmp_path, models=models, runs=1)
        before = rows_of(outcome)
        lost = tmp_path / "out" / before[0]["raw_file"]
        content = lost.read_bytes()
        lost.unlink()
        outcome.results.unlink()
        again, _, _ = carried(tmp_path, models=models, runs=1)
        assert lost.read_bytes() == content
        assert rows_of(again) == before

    def test_a_budget_stops_it_and_more_of_it_goes_on(self, tmp_path: Path, origin: str) -> None:
        models = reference(origin)
        poor, _, _ = carried(tmp_path, models=models, runs=1, budget={"max_disk_gb": 1e-9})
        assert isinstance(poor.stopped, EvidenceError)
        assert "budget" in str(poor.stopped)
        rich, _, _ = carried(tmp_path, models=models, runs=1, budget={"max_disk_gb": 10})
        assert (rich.stopped, rich.done) == (None, 8)

    def test_two_servers_side_by_side(self, tmp_path: Path, origin: str) -> None:
        with start_server() as other:
            models = [
                {"name": "one", "target": f"{origin}/v1", "model": MODEL},
                {"name": "two", "target": f"{other.url}/v1", "model": MODEL},
            ]
            outcome, plan, watching = carried(tmp_path, Carrying(parallel=2), models=models)
        assert (outcome.stopped, outcome.done, outcome.failed) == (None, 16, 0)
        blocks = [block for block, _ in groupby(watching.visits, key=lambda visit: visit[0])]
        assert blocks == [1, 2]
        assert [row["run_id"] for row in rows_of(outcome)] == [run.run_id for run in plan.runs]
        for model in ("one", "two"):
            own = [row["order"] for row in ledger_of(tmp_path) if row["model"] == model]
            assert own == sorted(own)


def scripted(ollama: ScriptedOllama) -> list[dict[str, Any]]:
    return [{"name": "tiny", "target": ollama.target}]


class TestOllama:
    """Over an Ollama whose replies the test decides."""

    def test_a_visit_is_clean_state_loading_warm_up_runs_and_clean_state(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            outcome, _, _ = carried(tmp_path, models=scripted(ollama), clean="unload", warmup=2, runs=2)
            assert outcome.failed == 0
            visit = ["unload", "load", *["chat"] * 6, "unload"]
            assert ollama.log == visit * 2
            assert not ollama.loaded
        begins = [row for row in read_lines(tmp_path / "out" / VISITS) if row["event"] == "begin"]
        assert [len(row["warm_up"]) for row in begins] == [2, 2]
        assert {row["unloaded_before"] for row in begins} == {True}
        assert len(ledger_of(tmp_path)) == 8

    def test_each_run_is_asked_alike_but_for_its_nonce(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            carried(tmp_path, models=scripted(ollama), runs=3)
            bodies = ollama.server.bodies("POST /api/chat")
        prompts = [body.pop("messages")[-1]["content"] for body in bodies]
        assert len(set(prompts)) == len(prompts) == 12
        nonces = [prompt.partition("\n")[0] for prompt in prompts]
        assert len(set(nonces)) == 12
        for record in ledger_of(tmp_path):
            assert f"[{record['nonce']}]\n{record['prompt']}" in prompts
        options = {json.dumps(body["options"], sort_keys=True) for body in bodies}
        assert len(options) == 2
        assert all(body["think"] is False and body["options"]["num_ctx"] == 2048 for body in bodies)

    def test_warm_prompts_are_sent_as_they_are(self, tmp_path: Path) -> None:
        last = {**LAST, "prompt_eval_cached_count": 19}
        with ScriptedOllama(lambda _: said("Yes", last=last)) as ollama:
            outcome, _, _ = carried(tmp_path, models=scripted(ollama), cold="none", runs=1)
            asked = {body["messages"][-1]["content"] for body in ollama.server.bodies("POST /api/chat")}
        assert asked == {row["prompt"] for row in ledger_of(tmp_path)}
        assert {row["prompt_state"] for row in rows_of(outcome)} == {"warm"}
        assert {row["prompt_eval_cached_count"] for row in rows_of(outcome)} == {"19"}

    def test_cold_by_unloading_loads_before_each_run(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            carried(tmp_path, models=scripted(ollama), cold="unload", runs=1)
            assert ollama.log == ["load", *["unload", "load", "chat"] * 4]

    def test_thinking_and_the_answer_are_kept_apart(self, tmp_path: Path) -> None:
        with ScriptedOllama(lambda _: said("42", thinking=("six", " seven"))) as ollama:
            carried(tmp_path, models=scripted(ollama), runs=1)
        record = ledger_of(tmp_path)[0]
        assert (record["thinking_text"], record["generated_text"]) == ("six seven", "42")
        assert record["first_token_seconds"] <= record["first_answer_seconds"]

    def test_a_failed_run_is_a_result_with_its_reason(self, tmp_path: Path) -> None:
        def chat(body: dict[str, Any]) -> Reply:
            return 500 if "train" in body["messages"][-1]["content"].lower() else said("Yes")

        with ScriptedOllama(chat) as ollama:
            outcome, _, _ = carried(tmp_path, models=scripted(ollama), runs=2)
            assert (outcome.stopped, outcome.done, outcome.failed) == (None, 8, 4)
            rows = {row["item"]: row for row in rows_of(outcome)}
            assert (rows["b"]["status"], rows["b"]["error_kind"]) == ("failed", "http_500")
            assert rows["b"]["latency_seconds"] == ""
            again, _, _ = carried(tmp_path, models=scripted(ollama), runs=2)
            assert again.made == 0
            ollama.chat = lambda _: said("Yes")
            retried, _, _ = carried(tmp_path, Carrying(retry_failed=True), models=scripted(ollama), runs=2)
        assert (retried.made, retried.failed) == (4, 0)
        assert {row["attempt"] for row in rows_of(retried) if row["item"] == "b"} == {"2"}

    def test_a_server_that_goes_away_stops_the_study_which_goes_on_when_it_is_back(
        self, tmp_path: Path
    ) -> None:
        answered = 0

        def chat(_: dict[str, Any]) -> Reply:
            nonlocal answered
            answered += 1
            return said("Yes") if answered <= 4 else None

        with ScriptedOllama(chat) as ollama:
            stopped, plan, _ = carried(tmp_path, models=scripted(ollama), runs=2)
            assert isinstance(stopped.stopped, TargetFailed)
            assert (stopped.done, stopped.failed) == (7, 3)
            kinds = [row["error"] and row["error"]["kind"] for row in ledger_of(tmp_path)]
            assert kinds == [None] * 4 + ["connection"] * 3
            ollama.chat = lambda _: said("Yes")
            outcome, _, _ = carried(tmp_path, models=scripted(ollama), runs=2)
        assert (outcome.stopped, outcome.done, outcome.failed, outcome.made) == (None, 8, 0, 4)
        assert [row["run_id"] for row in rows_of(outcome)] == [run.run_id for run in plan.runs]

    def test_nothing_is_begun_where_a_server_is_not_there(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            models = scripted(ollama)
        with pytest.raises(TargetFailed):
            carried(tmp_path, models=models)
        assert ledger_of(tmp_path) == []

    @pytest.mark.parametrize("what", CHANGED)
    def test_a_model_that_changes_in_the_middle_is_refused_and_goes_on_when_it_is_back(
        self, tmp_path: Path, what: str
    ) -> None:
        with ScriptedOllama() as ollama:
            first, _, _ = carried(tmp_path, Carrying(limit=4), models=scripted(ollama), runs=2)
            assert (first.stopped, first.made) == (None, 4)
            routes = dict(ollama.server.routes)
            route, reply = CHANGED[what]
            ollama.server.routes[route] = lambda _: reply
            for _ in range(2):
                refused, _, _ = carried(tmp_path, models=scripted(ollama), runs=2)
                assert isinstance(refused.stopped, EvidenceError)
                assert refused.stopped.exit_code == 4
                assert what in str(refused.stopped.got)
                assert "another --out" in str(refused.stopped.hint)
                assert (refused.made, refused.done) == (0, 4)
            rows = [row for row in read_lines(tmp_path / "out" / VISITS) if row["event"] == "refused"]
            assert [row["kind"] for row in rows] == ["configuration_changed"] * 2
            assert rows[0]["changes"][0].startswith(what)
            ollama.server.routes = routes
            back, _, _ = carried(tmp_path, models=scripted(ollama), runs=2)
        assert (back.stopped, back.made, back.done) == (None, 4, 8)

    def test_a_fact_that_is_not_stated_any_more_is_no_change(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            carried(tmp_path, Carrying(limit=4), models=scripted(ollama), runs=2)
            del ollama.server.routes["GET /api/version"]
            outcome, _, _ = carried(tmp_path, models=scripted(ollama), runs=2)
        assert (outcome.stopped, outcome.done) == (None, 8)

    def test_warm_up_that_fails_is_told_and_marks_the_runs(self, tmp_path: Path) -> None:
        def chat(body: dict[str, Any]) -> Reply:
            return 500 if "days of the week" in body["messages"][-1]["content"] else said("Yes")

        with ScriptedOllama(chat) as ollama:
            outcome, _, watching = carried(tmp_path, models=scripted(ollama), runs=1, warmup=2)
        assert outcome.failed == 0
        assert [note for note in watching.notes if "2 of 2 warm-up requests failed (http_500" in note]
        for record in ledger_of(tmp_path):
            assert len(record["degraded"]) == 1
            assert record["degraded"][0].startswith("2 of 2 warm-up requests failed (http_500")
        assert {row["degraded"][:30] for row in rows_of(outcome)} == {"2 of 2 warm-up requests failed"}

    def test_a_study_whose_warm_up_succeeds_has_no_such_mark(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            outcome, _, _ = carried(tmp_path, models=scripted(ollama), runs=1, warmup=1)
        assert {row["degraded"] for row in rows_of(outcome)} == {""}

    def test_a_disk_that_is_still_full_is_told_as_at_first(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            first, _, _ = carried(tmp_path, Carrying(limit=2), models=scripted(ollama), runs=1)
            # A file where a folder should be takes nothing, whoever the user is.
            summary = first.results.parent
            first.results.unlink()
            summary.rmdir()
            summary.write_bytes(b"")
            full, _, _ = carried(tmp_path, models=scripted(ollama), runs=1)
            assert isinstance(full.stopped, TargetFailed)
            assert "the study cannot be written" in str(full.stopped)
            assert "make room" in str(full.stopped.hint)
            assert (full.made, full.done) == (0, 2)
            summary.unlink()
            rest, _, _ = carried(tmp_path, models=scripted(ollama), runs=1)
        assert (rest.stopped, rest.done) == (None, 4)

    def test_hours_of_earlier_calls_count_with_loading_and_warm_up(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            carried(tmp_path, Carrying(limit=1), models=scripted(ollama), runs=1)
            calls = tmp_path / "out" / CALLS
            rows = list(read_lines(calls))
            occupied_s = sum(row["occupied_seconds"] for row in ledger_of(tmp_path))
            assert {row["call"] for row in rows} == {1}
            assert rows[-1]["seconds"] > occupied_s
            # As if loading had taken two hours.
            with calls.open("ab") as file:
                file.write(b'{"call":1,"seconds":7200.0}\n')
            poor, _, _ = carried(tmp_path, models=scripted(ollama), runs=1, budget={"max_hours": 2})
            assert isinstance(poor.stopped, EvidenceError)
            assert (poor.made, poor.stopped.where) == (0, "budget.max_hours")
            rich, _, _ = carried(tmp_path, models=scripted(ollama), runs=1, budget={"max_hours": 3})
        assert (rich.stopped, rich.done) == (None, 4)
        assert {row["call"] for row in read_lines(calls)} == {1, 2, 3}

    def test_traces_of_a_visit_that_was_killed_are_taken_up(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            carried(tmp_path, Carrying(limit=1), models=scripted(ollama), runs=1)
            traces = tmp_path / "out" / "traces"
            (traces / "0002_m_1.power.jsonl.partial").write_bytes(b'{"t_ns":1}\n{"t_n')
            (traces / "0002_m_1.resources.jsonl.partial").write_bytes(b'{"t_n')
            (traces / "0002_m_1.meters.json.partial").write_bytes(b"{")
            outcome, _, _ = carried(tmp_path, models=scripted(ollama), runs=1)
        assert outcome.stopped is None
        assert list(traces.glob("*.partial")) == []
        assert [path.name for path in traces.glob("0002_m_1*")] == ["0002_m_1.power.jsonl"]
        assert (traces / "0002_m_1.power.jsonl").read_bytes() == b'{"t_ns":1}\n'
        assert list(traces.glob("0003_*"))

    def test_another_spec_in_the_same_folder_is_refused(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            carried(tmp_path, models=scripted(ollama), runs=1)
            with pytest.raises(InputError, match="another study"):
                carried(tmp_path, models=scripted(ollama), runs=1, request={"max_tokens": 3})


class TestEnergy:
    """With a counter that runs; it is synthetic, and shows how energy comes into a record."""

    def test_runs_have_energy_gross_and_net(self, tmp_path: Path) -> None:
        def slowly(_: dict[str, Any]) -> Reply:
            time.sleep(0.8)
            return said("Yes")

        # On a busy machine the counter may go unread for too long, which rightly is no energy.
        for attempt in range(5):
            folder = tmp_path / str(attempt)
            folder.mkdir()
            with (
                ScriptedOllama(slowly) as ollama,
                RunningCounter(folder / "powercap", 40.0) as counter,
            ):
                outcome, _, _ = carried(
                    folder,
                    Carrying(rapl_root=counter.root),
                    models=scripted(ollama),
                    loads=[{"name": "usual"}],
                    runs=1,
                    idle_s=1.0,
                    quiet={"before_s": 0.4, "after_s": 0.6},
                    meters=["rapl"],
                    power_hz=50,
                )
            ends = [row for row in read_lines(folder / "out" / VISITS) if row["event"] == "end"]
            measured = [row["energy_basis"] == Basis.MEASURED.value for row in rows_of(outcome)]
            if all(measured) and ends[0]["idle_before_w"] is not None:
                break
        for row in rows_of(outcome):
            assert row["energy_basis"] == Basis.MEASURED.value
            seconds = float(row["latency_seconds"])
            assert float(row["energy_gross_j"]) == pytest.approx(40.0 * seconds, rel=0.5)
            assert row["gpu_energy_j"] == ""
        raw = json.loads((folder / "out" / rows_of(outcome)[0]["raw_file"]).read_text("utf-8"))
        assert raw["energy"]["domains"][0]["id"] == "rapl:package-0"
        # A busy machine may have left its idle unread, or no idle at all.
        assert (raw["energy"]["net_j"] is None) is ("energy.net_j" in raw["missing"])
        assert ends[0]["idle_before_w"] == pytest.approx(40.0, rel=0.2)

    def test_without_a_meter_energy_is_null_with_a_reason(self, tmp_path: Path) -> None:
        (tmp_path / "none").mkdir()
        with ScriptedOllama() as ollama:
            outcome, _, _ = carried(
                tmp_path,
                Carrying(rapl_root=tmp_path / "none"),
                models=scripted(ollama),
                runs=1,
                meters=["rapl"],
            )
        row = rows_of(outcome)[0]
        assert row["energy_basis"] == Basis.NOT_MEASURED.value
        assert row["energy_gross_j"] == row["energy_net_j"] == ""
        raw = json.loads((tmp_path / "out" / row["raw_file"]).read_text("utf-8"))
        assert "no power meter can be read" in raw["missing"]["energy.gross_j"]
        assert "no power meter can be read" in raw["missing"]["energy.net_j"]

    def test_models_that_run_at_once_do_not_share_a_meter(self, tmp_path: Path) -> None:
        with (
            ScriptedOllama() as one,
            ScriptedOllama() as other,
            RunningCounter(tmp_path / "powercap", 40.0) as counter,
        ):
            models = [{"name": "one", "target": one.target}, {"name": "other", "target": other.target}]
            outcome, _, _ = carried(
                tmp_path, Carrying(rapl_root=counter.root, parallel=2), models=models, runs=1, meters=["rapl"]
            )
        assert outcome.failed == 0
        for row in rows_of(outcome):
            assert row["energy_gross_j"] == ""
            raw = json.loads((tmp_path / "out" / row["raw_file"]).read_text("utf-8"))
            assert "may run at the same time" in raw["missing"]["energy.gross_j"]
