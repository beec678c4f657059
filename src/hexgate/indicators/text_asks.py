"""What a load asks of a generator: prompts of a wanted length or from data, one turn or several, and the sampling."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hexgate.datasets.conversations import Conversation, conversations
from hexgate.datasets.lengths import PROBES, Fit, Lengths, calibrate, exact_prompts, fitted_prompts
from hexgate.datasets.made import Made
from hexgate.datasets.passages import Passages, own_sentences
from hexgate.datasets.tokenizer import Tokenizer
from hexgate.errors import InputError, TargetFailed, TargetUnusable
from hexgate.indicators.base import Job
from hexgate.indicators.inputs import prompts_of
from hexgate.load.plans.trace_lengths import BLOCK_TOKENS, TraceLengths, block_count
from hexgate.targets.base import GenerateOptions
from hexgate.wire.base import Ask

__all__ = ["Texts", "Wanted", "asks", "texts_of"]

_MADE_PROMPTS = 1000
_OWN_WORDS = 64
_SAMPLE_WORDS = 2000
_SET_BY_LOAD = ("model", "messages", "prompt", "input", "stream")


@dataclass(frozen=True)
class Wanted:
    """What may be chosen of the requests to a generator."""

    max_tokens: int = 64
    """Most tokens of a reply."""
    temperature: float = 0.0
    """Sampling temperature; 0 is greedy."""
    top_p: float | None = None
    """Nucleus mass; None for the server's default."""
    system: str | None = None
    """System message of every request whose data has none."""
    ignore_eos: bool = False
    """Whether every reply is to have `max_tokens`, by the names that vLLM and SGLang have for that."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of every body, as the API names them."""
    input_tokens: Lengths | None = None
    """How long prompts are to be; None for the prompts of the data as they are."""
    trace: TraceLengths | None = None
    """How long each prompt and its reply are to be, in the order of a trace; None where no trace says it."""
    tokenizer: Tokenizer | None = None
    """What lengths are counted with; None for the server's own counts."""
    turns: int = 1
    """Turns of a conversation; a request each."""

    @staticmethod
    def body(text: str | None) -> dict[str, Any]:
        """The object that `--extra-body` gives.

        Raises:
            InputError: if it is none, or names what a load sets itself.
        """
        if text is None:
            return {}
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            found, why = None, f"not JSON ({error})"
        else:
            why = "not a JSON object"
        if not isinstance(found, dict):
            raise InputError(why, where="--extra-body", got=text[:100], expected='such as {"top_k": 5}')
        if taken := [name for name in _SET_BY_LOAD if name in found]:
            raise InputError(
                f"{taken[0]!r} is set by the load itself", where="--extra-body", hint="take it out"
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """The choices as they stand in an artifact's `method` block."""
        return {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "system": self.system,
            "ignore_eos": self.ignore_eos,
            "extra_body": dict(self.extra_body),
            "turns": self.turns,
            "tokenizer": None if self.tokenizer is None else self.tokenizer.to_json(),
        }


@dataclass(frozen=True)
class Texts:
    """What the user says in the requests of a load."""

    items: Sequence[Conversation]
    """One for each data item."""
    dataset: Mapping[str, Any]
    """The artifact's block of that name."""


def texts_of(job: Job, wanted: Wanted) -> Texts:
    """The texts of a load: those of the data, or made to the wanted lengths from them.

    A load on an endpoint needs no data: then the texts are made of hexgate's own sentences.

    Raises:
        InputError: if there are none, or lengths cannot be set on this target.
        DataError: as for the data.
        TargetFailed: if the target does not answer while lengths are fitted to its counts.
    """
    target = job.target
    if wanted.trace is not None:
        return _of_trace(job, wanted, wanted.trace)
    if wanted.input_tokens is not None:
        return _of_lengths(job, wanted, wanted.input_tokens)
    if job.data is None and target.default_prompts is None and target.endpoint is not None:
        if wanted.turns != 1:
            raise InputError(
                "there are no conversations without data", where="--turns", hint="add --data FILE"
            )
        sentences, digest = own_sentences()
        count = job.limit or _MADE_PROMPTS
        passages = Passages(sentences, seed=job.seed)
        name = f"hexgate's own sentences, {_OWN_WORDS} words a prompt, seed {job.seed}"
        return Texts(
            _single(passages.text(index, _OWN_WORDS) for index in range(count)),
            _own_block(name, digest, count, job.limit),
        )
    prompts = prompts_of(job, messages=True)
    items, left_out = conversations(prompts.prompts, wanted.turns, where=str(prompts.path))
    block = prompts.to_block(job.limit, len(items))
    if wanted.turns > 1:
        block["conversations"] = {"turns": wanted.turns, "left_out": left_out}
    return Texts(items, block)


def asks(texts: Texts, wanted: Wanted, *, seed: int, stream: bool = True) -> Sequence[Ask]:
    """The first request of each data item, its reply in pieces where `stream` says so; made when it is asked for."""
    replies = None if wanted.trace is None else wanted.trace.output_tokens

    def ask(number: int) -> Ask:
        item = texts.items[number]
        # No API takes a reply of no token.
        max_tokens = wanted.max_tokens if replies is None else max(min(wanted.max_tokens, replies[number]), 1)
        options = dict(wanted.extra_body)
        if wanted.ignore_eos:
            options = {"ignore_eos": True, "min_tokens": max_tokens, **options}
        return Ask(
            prompt=item.turns[0],
            system=item.system if item.system is not None else wanted.system,
            max_tokens=max_tokens,
            temperature=wanted.temperature,
            top_p=wanted.top_p,
            seed=seed,
            stream=stream,
            options=options,
        )

    return Made(len(texts.items), ask)


def _of_lengths(job: Job, wanted: Wanted, lengths: Lengths) -> Texts:
    if wanted.turns != 1:
        raise InputError(
            "lengths are set of single prompts, not of conversations",
            where="--input-tokens",
            hint="take --turns or --input-tokens out",
        )
    if job.data is not None:
        prompts = prompts_of(job, messages=True)
        sources = [turn for prompt in prompts.prompts for turn in prompt.turns]
        passages = Passages(sources, seed=job.seed, joint="\n")
        count = max(_MADE_PROMPTS, len(sources))
        block = prompts.to_block(job.limit, len(prompts.prompts))
        block["name"] = f"{prompts.name}, made into prompts of {lengths} tokens, seed {job.seed}"
    else:
        sources, digest = own_sentences()
        passages = Passages(sources, seed=job.seed)
        count = job.limit or _MADE_PROMPTS
        name = f"hexgate's own sentences, {lengths} tokens a prompt, seed {job.seed}"
        block = _own_block(name, digest, count, job.limit)
    targets = lengths.draw(count, job.seed)
    tokenizer, fit = wanted.tokenizer, None
    if tokenizer is not None:
        made = exact_prompts(passages, targets, tokenizer)
    else:
        fit = _fit(job, wanted, passages, lengths, first=count)
        made = fitted_prompts(passages, targets, fit)
    block["lengths"] = _lengths_block(lengths, count, fit, tokenizer)
    return Texts(_single(made), block)


def _of_trace(job: Job, wanted: Wanted, trace: TraceLengths) -> Texts:
    """A prompt for each line of a trace, as long as it says; prompts that share blocks there begin alike here."""
    if job.limit is not None:
        raise InputError(
            "the trace says how many prompts there are",
            where="--limit",
            hint="--requests takes fewer of its lines",
        )
    sentences, digest = own_sentences()
    passages = Passages(sentences, seed=job.seed)
    count, targets, tokenizer = len(trace), trace.input_tokens, wanted.tokenizer
    shortest, longest = min(targets), max(targets)
    lengths = Lengths(max(shortest, 1), max(longest, 1))
    fit = None
    if tokenizer is None:
        # The blocks of a trace have numbers of their own: those of the probes are far behind them.
        fit = _fit(job, wanted, passages, lengths, first=passages.most - PROBES, raised=True)
        least, per_word = fit.least_tokens, fit.tokens_per_word
    else:
        least, per_word = 1, tokenizer.count(passages.text(count, _SAMPLE_WORDS)) / _SAMPLE_WORDS
    begins, ids, each = trace.blocks(), trace.block_ids, max(round(BLOCK_TOKENS / per_word), 1)

    def made(number: int) -> Conversation:
        tokens, begin = targets[number], begins[number]
        blocks = [] if ids is None else ids[begin : begin + block_count(tokens)]

        def text(words: int) -> str:
            return passages.chained(blocks, each, words, then=number)

        if fit is not None:
            return Conversation(str(number), None, (text(fit.words(tokens, raised=True)),))
        if tokenizer is None:
            raise AssertionError("without a tokenizer there is a fit")
        return Conversation(str(number), None, (tokenizer.exactly(text, max(tokens, least)),))

    block = _own_block(
        f"hexgate's own sentences, prompts as long as in {trace.name}, seed {job.seed}", digest, count, None
    )
    replies = trace.output_tokens
    block["lengths"] = _lengths_block(lengths, count, fit, tokenizer) | {
        "trace": {
            "name": trace.name,
            "sha256": trace.sha256,
            "output_least": None if replies is None else min(replies),
            "output_greatest": None if replies is None else max(replies),
            "block_tokens": None if ids is None else BLOCK_TOKENS,
            "raised": sum(tokens < least for tokens in targets),
        }
    }
    return Texts(Made(count, made), block)


def _fit(
    job: Job, wanted: Wanted, passages: Passages, lengths: Lengths, *, first: int, raised: bool = False
) -> Fit:
    job.progress.note(f"{PROBES} untimed requests find out how the server counts tokens")
    count = _server_count(job, wanted)
    return calibrate(passages, lengths, count, first=first, where=job.target.uri, raised=raised)


def _lengths_block(
    lengths: Lengths, prompts: int, fit: Fit | None, tokenizer: Tokenizer | None
) -> dict[str, Any]:
    return {
        "least": lengths.least,
        "greatest": lengths.greatest,
        "prompts": prompts,
        "by": "server" if tokenizer is None else "tokenizer",
        # A server counts what its chat template and a system message add; a tokenizer sees the prompt alone.
        "template_included": tokenizer is None,
        "fit": None if fit is None else fit.to_json(),
        "tokenizer": None if tokenizer is None else tokenizer.to_json(),
    }


def _server_count(job: Job, wanted: Wanted) -> Callable[[str], int]:
    generator = job.target.generator
    if generator is None or job.target.endpoint is None:
        raise TargetUnusable(
            "the lengths of prompts cannot be fitted to the counts of this target",
            where=job.target.uri,
            hint="give a tokenizer with --tokenizer FILE",
        )
    options = GenerateOptions(max_tokens=1, seed=job.seed, system=wanted.system)

    def count(text: str) -> int:
        reply = generator.generate(text, options)
        if reply.error is not None:
            kind = reply.error.partition(":")[0]
            refused = kind.startswith("http_4")
            hint = "give it longer with --timeout-s" if kind == "timeout" else "look at the server's log"
            raise (InputError if refused else TargetFailed)(
                "no answer to a request that was to show how the server counts tokens",
                where=job.target.uri,
                got=reply.error,
                hint="is its context long enough?" if refused else hint,
            )
        if not reply.prompt_tokens:
            raise InputError(
                "the server does not say how many tokens a prompt has, so that no lengths can be set by it",
                where=job.target.uri,
                hint="give the model's tokenizer with --tokenizer FILE (its tokenizer.json)",
            )
        return reply.prompt_tokens

    return count


def _single(texts: Iterable[str]) -> list[Conversation]:
    return [Conversation(str(index), None, (text,)) for index, text in enumerate(texts)]


def _own_block(name: str, digest: str, count: int, limit: int | None) -> dict[str, Any]:
    return {"name": name, "sha256": digest, "items": count, "used": count, "limit": limit, "split": None}
