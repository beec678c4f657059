"""What a load is made of, and the evidence that it leaves, against real servers on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
from hexgate.datasets.lengths import Lengths
from hexgate.errors import InputError, TargetFailed, TargetUnusable
from hexgate.indicators.base import Job
from hexgate.indicators.workload import Workload, carry_out, workload
from hexgate.load.endpoint_driver import EndpointDriver
from hexgate.load.plans.plan import Plan, closed_loop
from hexgate.load.plans.trace_lengths import trace_lengths
from hexgate.reference.endpoint import RunningServer
from hexgate.targets.base import Target
from hexgate.targets.registry import OpenOptions, open_target
from support import needs
from support.scripted import ScriptedServer

FILES = {"plan_head", "plan", "requests", "replies", "client", "stream", "run"}


@pytest.fixture
def open_here() -> Iterator[Callable[..., Target]]:
    opened: list[Target] = []

    def open_one(uri: str, dialect: str | None = None) -> Target:
        opened.append(open_target(uri, options=OpenOptions(dialect=dialect)))
        return opened[-1]

    yield open_one
    for target in opened:
        target.close()


def job_on(target: Target, data: str | None = None, *, limit: int | None = 8) -> Job:
    return Job(target=target, data=data, options=None, limit=limit)


def plan_of(load: Workload, requests: int, *, concurrency: int = 2) -> Plan:
    return closed_loop(concurrency=concurrency, items=load.items, requests=requests, seed=0, turns=load.turns)


def carried(job: Job, plan: Plan, load: Workload, folder: Path, **options: Any) -> EvidenceReader:
    with EvidenceWriter(folder, "load") as evidence:
        info = carry_out(job, plan, load, evidence, "a load", **options)
    assert info.stopped is None
    return EvidenceReader(folder, {name: file.to_json() for name, file in evidence.finish().items()})


def lines(reader: EvidenceReader, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in reader.path(name).read_text("utf-8").splitlines()]


def test_a_load_leaves_its_plan_its_records_and_its_replies(
    scripted: Callable[..., ScriptedServer], open_here: Callable[..., Target], tmp_path: Path
) -> None:
    server = scripted(chat=lambda said: f"you said {said.split()[0]}")
    job = job_on(open_here(server.v1))
    load = workload(
        job, max_tokens=5, temperature=0.5, top_p=0.8, system="S", ignore_eos=True, extra_body='{"top_k": 3}'
    )
    plan = plan_of(load, 12)
    reader = carried(job, plan, load, tmp_path, workers=1)
    assert reader.names == FILES
    head = reader.document("plan_head")
    written = np.load(reader.path("plan"))
    assert written["item"].tolist() == np.concatenate(list(plan.blocks()))["item"].tolist()
    assert head["seed"] == 0
    records = np.load(reader.path("requests"))
    assert records["index"].tolist() == list(range(12))
    replies = lines(reader, "replies")
    assert [reply["index"] for reply in replies] == list(range(12))
    assert all(reply["text"].startswith("you said ") for reply in replies)
    run = reader.document("run")
    assert (run["plan_digest"], run["workers"]) == (plan.digest(), 1)
    assert not {"files", "client", "stream"} & run.keys()
    for body in server.bodies:
        assert body["messages"][0] == {"role": "system", "content": "S"}
        assert (body["max_tokens"], body["min_tokens"], body["ignore_eos"]) == (5, 5, True)
        assert (body["temperature"], body["top_p"], body["top_k"], body["seed"]) == (0.5, 0.8, 3, 0)
    assert load.asked["extra_body"] == {"top_k": 3}


def test_a_later_turn_is_sent_with_what_was_said_before(
    scripted: Callable[..., ScriptedServer], open_here: Callable[..., Target], tmp_path: Path
) -> None:
    server = scripted(chat=lambda said: f"heard {said}")
    data = tmp_path / "talks.jsonl"
    talks = [["one", "two", "three"], ["four", "five"], ["six"]]
    data.write_text("".join(json.dumps({"turns": turns}) + "\n" for turns in talks), "utf-8")
    job = job_on(open_here(server.v1), str(data), limit=None)
    load = workload(job, turns=2)
    assert (load.items, load.turns) == (2, 2)
    assert load.dataset["conversations"] == {"turns": 2, "left_out": 1}
    plan = plan_of(load, 2, concurrency=1)
    reader = carried(job, plan, load, tmp_path, workers=1)
    records = np.load(reader.path("requests"))
    assert records["turn"].tolist() == [0, 1, 0, 1]
    said = [[message["content"].strip() for message in body["messages"]] for body in server.bodies]
    first = talks[int(np.load(reader.path("plan"))["item"][0])]
    assert said[0] == [first[0]]
    assert said[1] == [first[0], f"heard {first[0]}", first[1]]
    assert [message["role"] for message in server.bodies[1]["messages"]] == ["user", "assistant", "user"]


def test_a_server_that_dies_leaves_the_evidence_of_what_was(
    scripted: Callable[..., ScriptedServer], open_here: Callable[..., Target], tmp_path: Path
) -> None:
    server = scripted(chat=lambda _: "yes")
    job = job_on(open_here(server.v1))
    load = workload(job)
    server.die()
    with EvidenceWriter(tmp_path, "load") as evidence, pytest.raises(TargetFailed, match="no connection"):
        carry_out(job, plan_of(load, 500), load, evidence, "a load")
    files = evidence.finish()
    assert {"plan", "requests", "run"} <= files.keys()
    assert files["requests"].rows == len(np.load(tmp_path / files["requests"].path))
    run = json.loads((tmp_path / files["run"].path).read_text("utf-8"))
    assert run["stopped"] == "unreachable"


def test_scores_and_text_of_a_model_in_this_process(open_here: Callable[..., Target], tmp_path: Path) -> None:
    target = open_here("demo:")
    job = job_on(target)
    for mode, replies in ((None, False), ("text", True)):
        load = workload(job, mode=mode, max_tokens=3)
        folder = tmp_path / load.mode
        folder.mkdir()
        reader = carried(job, plan_of(load, 6), load, folder)
        assert load.in_process
        assert load.most_in_flight == 32
        assert ("replies" in reader.names) is replies
        assert len(np.load(reader.path("requests"))) == 6


def test_what_a_target_cannot_do_is_refused_before_anything_is_sent(
    scripted: Callable[..., ScriptedServer], open_here: Callable[..., Target], reference: RunningServer
) -> None:
    demo = job_on(open_here("demo:"))
    for options, said in (
        ({"mode": "embed"}, "does not give embed.*--mode scores"),
        ({"mode": "text", "ignore_eos": True}, "does not take --ignore-eos"),
        ({"mode": "text", "extra_body": '{"a": 1}'}, "does not take --extra-body"),
        ({"mode": "text", "turns": 2}, "does not take --turns"),
        ({"http2": True}, "not reached over the network; take --http2 out"),
        ({"proxy": "http://127.0.0.1:1"}, "not reached over the network; take --proxy out"),
    ):
        with pytest.raises(TargetUnusable, match=said):
            workload(demo, **options)
    with pytest.raises(InputError, match="--input-tokens is for targets that take prompts"):
        workload(demo, input_tokens="100")
    chat = scripted(chat=lambda _: "yes")
    with pytest.raises(TargetUnusable, match=r"does not give scores.*--mode text"):
        workload(job_on(open_here(chat.v1)), mode="scores")
    with pytest.raises(TargetUnusable, match=r"does not give embed.*--dialect openai-embeddings"):
        workload(job_on(open_here(chat.v1)), mode="embed")
    assert chat.asked == 0
    completions = job_on(open_here(f"{reference.url}/v1/completions"))
    with pytest.raises(TargetUnusable, match="takes no conversation"):
        workload(completions, turns=2)
    ollama = job_on(open_here(f"ollama://{reference.url.partition('://')[2]}"))
    with pytest.raises(TargetUnusable, match="Ollama has no way"):
        workload(ollama, ignore_eos=True)


def test_vectors_are_asked_for_where_the_api_gives_them(
    scripted: Callable[..., ScriptedServer], open_here: Callable[..., Target], tmp_path: Path
) -> None:
    server = scripted(embed=lambda said: [float(len(said)), 1.0])
    job = job_on(open_here(server.v1, "openai-embeddings"))
    load = workload(job)
    assert (load.mode, load.turns, load.in_process) == ("embed", 1, False)
    reader = carried(job, plan_of(load, 6), load, tmp_path)
    records = np.load(reader.path("requests"))
    assert records["outcome"].tolist() == [0] * 6
    assert {body["input"] for body in server.bodies} <= {ask.prompt for ask in load.driver.asks}
    with pytest.raises(TargetUnusable, match="have no turns and no end"):
        workload(job, ignore_eos=True)


@pytest.mark.vendor
def test_a_tokenizer_counts_prompts_and_replies(
    scripted: Callable[..., ScriptedServer], open_here: Callable[..., Target], tmp_path: Path
) -> None:
    needs.module("tokenizers")
    import tokenizers

    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    server = scripted(chat=lambda _: "just four words here")
    job = job_on(open_here(server.v1), limit=20)
    load = workload(job, input_tokens="30..60", tokenizer=str(path))
    said = load.dataset["lengths"]
    assert (said["by"], said["fit"], said["template_included"]) == ("tokenizer", None, False)
    assert server.asked == 0
    reader = carried(job, plan_of(load, 20), load, tmp_path)
    lengths = sorted(len(made.encode(body["messages"][0]["content"]).ids) for body in server.bodies)
    assert lengths == sorted(Lengths(30, 60).draw(20, 0))
    assert set(np.load(reader.path("requests"))["counted_tokens"].tolist()) == {4}


@pytest.mark.vendor
def test_a_tokenizer_makes_the_prompts_of_a_trace_and_what_they_share(
    scripted: Callable[..., ScriptedServer], open_here: Callable[..., Target], tmp_path: Path
) -> None:
    needs.module("tokenizers")
    import tokenizers

    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    rows = [
        {"timestamp": 0, "input_length": length, "output_length": 7, "hash_ids": ids}
        for length, ids in ((600, [1, 2]), (1100, [1, 3, 4]), (1, [9]))
    ]
    trace = tmp_path / "trace.jsonl"
    trace.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    load = workload(
        job_on(open_here(scripted().v1), limit=None), trace=trace_lengths(trace), tokenizer=str(path)
    )
    assert isinstance(load.driver, EndpointDriver)
    prompts = [ask.prompt or "" for ask in load.driver.asks]
    counts = [len(made.encode(prompt).ids) for prompt in prompts]
    assert counts == [600, 1100, 1]
    assert [ask.max_tokens for ask in load.driver.asks] == [7, 7, 7]
    same = next(place for place, pair in enumerate(zip(*prompts[:2], strict=False)) if pair[0] != pair[1])
    assert len(made.encode(prompts[0][:same]).ids) == pytest.approx(512, abs=30)
    assert load.by_line
