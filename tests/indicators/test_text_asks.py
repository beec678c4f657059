"""What a load says to a generator, with lengths held against a real server's own counts of tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from hexgate.datasets.lengths import PROBES, Lengths
from hexgate.errors import InputError, TargetFailed, TargetUnusable
from hexgate.indicators.base import Job
from hexgate.indicators.text_asks import Texts, Wanted, asks, texts_of
from hexgate.load.plans.trace_lengths import TraceLengths, trace_lengths
from hexgate.reference.tokens import tokenize
from hexgate.targets.base import GenerateOptions, Target
from hexgate.targets.registry import OpenOptions, open_target
from support.scripted import ScriptedServer
from support.served import served


@pytest.fixture(scope="module")
def served_model() -> Iterator[Target]:
    """The reference language model behind HTTP, as another process serves it."""
    with served() as address:
        target = open_target(f"{address}/v1", options=OpenOptions(dialect="openai-chat"))
        yield target
        target.close()


def job_on(target: Target, data: Path | None = None, *, limit: int | None = None, seed: int = 0) -> Job:
    return Job(target=target, data=None if data is None else str(data), options=None, limit=limit, seed=seed)


def counted(target: Target, text: str, system: str | None = None) -> int:
    assert target.generator is not None
    reply = target.generator.generate(text, GenerateOptions(max_tokens=1, system=system))
    assert reply.prompt_tokens is not None
    return reply.prompt_tokens


@pytest.mark.parametrize("system", [None, "Answer in one short sentence, please."])
def test_the_servers_own_counts_set_lengths_within_the_stated_error(
    served_model: Target, system: str | None
) -> None:
    lengths = Lengths(1000, 4096)
    texts = texts_of(job_on(served_model, seed=3), Wanted(input_tokens=lengths, system=system))
    said = texts.dataset["lengths"]
    fit = said["fit"]
    assert said["by"] == "server"
    assert said["template_included"] is True
    assert (said["least"], said["greatest"], said["prompts"]) == (1000, 4096, len(texts.items))
    assert fit["probes"] == PROBES
    assert 0 <= fit["largest_error_ratio"] <= 0.02
    around = 0 if system is None else len(tokenize(system))
    assert fit["base_tokens"] == pytest.approx(around, abs=6)
    targets = lengths.draw(len(texts.items), 3)
    errors = []
    for index in range(0, len(texts.items), 40):
        count = counted(served_model, texts.items[index].turns[0], system)
        errors.append(abs(count - targets[index]) / targets[index])
    # The stated error is the largest of five prompts; of 25, a few may be beyond it, and none far.
    stated = max(fit["largest_error_ratio"], 1 / 1000)
    assert sum(error > stated for error in errors) <= 8
    assert max(errors) <= 3 * stated


def test_given_texts_are_what_prompts_are_made_of(served_model: Target, tmp_path: Path) -> None:
    data = tmp_path / "talk.jsonl"
    rows = [{"prompt": "Tell me about the river Elbe."}, {"turns": ["Name a mountain.", "And another one?"]}]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    texts = texts_of(job_on(served_model, data), Wanted(input_tokens=Lengths(200, 200)))
    made = [item.turns[0] for item in texts.items]
    assert "river Elbe" in made[0]
    assert "And another one?" in made[0]
    assert len({text.split(" ", 1)[0] for text in made}) == len(made) == 1000
    assert texts.dataset["name"] == "talk.jsonl, made into prompts of 200 tokens, seed 0"
    assert (texts.dataset["items"], texts.dataset["used"]) == (2, 2)
    assert counted(served_model, made[5]) == pytest.approx(200, abs=8)


def test_the_same_job_says_the_same(served_model: Target) -> None:
    wanted = Wanted(input_tokens=Lengths(50, 90))
    one, again = (texts_of(job_on(served_model, limit=20, seed=1), wanted) for _ in range(2))
    assert one == again
    assert len(one.items) == one.dataset["items"] == one.dataset["limit"] == 20
    assert texts_of(job_on(served_model, limit=20, seed=2), wanted).items != one.items


def test_a_load_on_an_endpoint_needs_no_data(served_model: Target) -> None:
    texts = texts_of(job_on(served_model), Wanted())
    assert len({item.turns[0].split()[0] for item in texts.items}) == len(texts.items) == 1000
    assert "lengths" not in texts.dataset
    with pytest.raises(InputError, match="no conversations without data"):
        texts_of(job_on(served_model), Wanted(turns=2))


def test_what_is_too_short_for_the_template_is_refused(served_model: Target) -> None:
    system = "word " * 60
    with pytest.raises(
        InputError, match=r"too short.*the server counts about (59|60|61) around every prompt"
    ):
        texts_of(job_on(served_model), Wanted(input_tokens=Lengths(40, 50), system=system))


def test_a_server_without_counts_asks_for_a_tokenizer(scripted: Callable[..., ScriptedServer]) -> None:
    server = scripted(chat=lambda _: "words")
    target = open_target(server.v1)
    try:
        # Three tokens, says this server of every prompt.
        with pytest.raises(InputError, match=r"no more tokens in longer prompts.*--tokenizer"):
            texts_of(job_on(target), Wanted(input_tokens=Lengths(100, 100)))
        server.counts_prompts = False
        with pytest.raises(InputError, match=r"does not say how many tokens.*--tokenizer"):
            texts_of(job_on(target), Wanted(input_tokens=Lengths(100, 100)))
    finally:
        target.close()


@pytest.mark.parametrize(("answer", "error"), [(400, InputError), (500, TargetFailed), (None, TargetFailed)])
def test_a_server_that_does_not_answer_says_so(
    scripted: Callable[..., ScriptedServer], answer: int | None, error: type[Exception]
) -> None:
    target = open_target(scripted(chat=lambda _: answer).v1)
    try:
        with pytest.raises(error, match="how the server counts tokens"):
            texts_of(job_on(target), Wanted(input_tokens=Lengths(100, 100)))
    finally:
        target.close()


def test_a_model_in_this_process_has_no_counts_to_fit() -> None:
    target = open_target("demo:")
    try:
        with pytest.raises(TargetUnusable, match="--tokenizer"):
            texts_of(job_on(target), Wanted(input_tokens=Lengths(100, 100)))
    finally:
        target.close()


def test_turns_are_the_first_of_each_conversation(served_model: Target, tmp_path: Path) -> None:
    data = tmp_path / "talk.jsonl"
    rows: list[dict[str, Any]] = [
        {"turns": ["a", "b", "c"]},
        {"turns": ["d"]},
        {"messages": [{"role": "system", "content": "S"}, *({"role": "user", "content": t} for t in "ef")]},
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    texts = texts_of(job_on(served_model, data), Wanted(turns=2, system="T"))
    assert [item.turns for item in texts.items] == [("a", "b"), ("e", "f")]
    assert texts.dataset["conversations"] == {"turns": 2, "left_out": 1}
    assert (texts.dataset["items"], texts.dataset["used"]) == (3, 2)
    assert [ask.system for ask in asks(texts, Wanted(system="T"), seed=0)] == ["T", "S"]
    with pytest.raises(InputError, match="not of conversations"):
        texts_of(job_on(served_model, data), Wanted(turns=2, input_tokens=Lengths(9, 9)))


def test_sampling_goes_into_every_ask(served_model: Target) -> None:
    texts = texts_of(job_on(served_model, limit=3), Wanted())
    wanted = Wanted(max_tokens=9, temperature=0.7, top_p=0.9, ignore_eos=True, extra_body={"top_k": 5})
    for ask in asks(texts, wanted, seed=4):
        assert (ask.max_tokens, ask.temperature, ask.top_p, ask.seed, ask.stream) == (9, 0.7, 0.9, 4, True)
        assert ask.options == {"ignore_eos": True, "min_tokens": 9, "top_k": 5}
    assert asks(texts, Wanted(), seed=0)[0].options == {}
    assert isinstance(texts, Texts)


def test_the_extra_body_is_an_object_of_what_the_load_does_not_set() -> None:
    assert Wanted.body(None) == {}
    assert Wanted.body('{"a": {"b": 1}}') == {"a": {"b": 1}}
    for text, said in (
        ("[1]", "not a JSON object"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"stream": false}', "'stream' is set"),
    ):
        with pytest.raises(InputError, match=f"--extra-body: {said}"):
            Wanted.body(text)


def shared(one: str, other: str) -> str:
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(letter for letter, _ in same)


def of_trace(tmp_path: Path, rows: list[dict[str, Any]]) -> TraceLengths:
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    found = trace_lengths(path)
    assert found is not None
    return found


def test_a_trace_says_how_long_each_prompt_and_its_reply_are(served_model: Target, tmp_path: Path) -> None:
    lengths = [3, 400, 900, 1700]
    rows = [{"timestamp": 0, "input_length": n, "output_length": n // 100} for n in lengths]
    wanted = Wanted(trace=of_trace(tmp_path, rows), ignore_eos=True, max_tokens=17)
    texts = texts_of(job_on(served_model), wanted)
    asked = asks(texts, wanted, seed=0)
    prompts = [item.turns[0] for item in texts.items]
    assert [ask.prompt for ask in asked] == prompts
    found = [counted(served_model, prompt) for prompt in prompts]
    assert found[1:] == pytest.approx(lengths[1:], rel=0.03)
    # A prompt of three tokens cannot be made: it is as short as can be, and counted.
    assert 3 <= found[0] <= 12
    assert [ask.max_tokens for ask in asked] == [1, 4, 9, 17]
    assert [ask.options["min_tokens"] for ask in asked] == [1, 4, 9, 17]
    said = texts.dataset["lengths"]
    assert (said["least"], said["greatest"], said["prompts"], said["by"]) == (3, 1700, 4, "server")
    told = said["trace"]
    assert (told["output_least"], told["output_greatest"], told["block_tokens"], told["raised"]) == (
        0,
        17,
        None,
        1,
    )
    assert len({prompt[:20] for prompt in prompts}) == 4


def test_prompts_share_the_blocks_that_the_trace_says_they_share(
    served_model: Target, tmp_path: Path
) -> None:
    ids = [[5, 6, 7], [5, 6, 8], [9, 6, 7]]
    rows = [{"timestamp": 0, "input_length": 1300, "output_length": 1, "hash_ids": own} for own in ids]
    wanted = Wanted(trace=of_trace(tmp_path, rows))
    texts = texts_of(job_on(served_model), wanted)
    assert texts.dataset["lengths"]["trace"]["block_tokens"] == 512
    first, second, third = (item.turns[0] for item in texts.items)
    same = shared(first, second)
    assert counted(served_model, same) == pytest.approx(1024, rel=0.03)
    assert len(shared(first, third)) < 20
    # Whoever makes them again, a shard or a worker, makes the same.
    assert first == texts.items[0].turns[0]
    with pytest.raises(InputError, match="the trace says how many"):
        texts_of(job_on(served_model, limit=3), wanted)
