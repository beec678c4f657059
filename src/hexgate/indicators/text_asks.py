"""What a load asks of a generator: prompts of a wanted length or from data, one turn or several, and the sampling."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hexgate.datasets.conversations import Conversation, conversations
from hexgate.datasets.lengths import PROBES, Lengths, calibrate, exact_prompts, fitted_prompts
from hexgate.datasets.passages import Passages, own_sentences
from hexgate.datasets.tokenizer import Tokenizer
from hexgate.errors import InputError, TargetFailed, TargetUnusable
from hexgate.indicators.base import Job
from hexgate.indicators.inputs import prompts_of
from hexgate.targets.base import GenerateOptions
from hexgate.wire.base import Ask

__all__ = ["Texts", "Wanted", "asks", "texts_of"]

_MADE_PROMPTS = 1000
_OWN_WORDS = 64
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

    items: list[Conversation]
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


def asks(texts: Texts, wanted: Wanted, *, seed: int, stream: bool = True) -> list[Ask]:
    """The first request of each data item, its reply in pieces where `stream` says so."""
    options = dict(wanted.extra_body)
    if wanted.ignore_eos:
        options = {"ignore_eos": True, "min_tokens": wanted.max_tokens, **options}
    return [
        Ask(
            prompt=item.turns[0],
            system=item.system if item.system is not None else wanted.system,
            max_tokens=wanted.max_tokens,
            temperature=wanted.temperature,
            top_p=wanted.top_p,
            seed=seed,
            stream=stream,
            options=options,
        )
        for item in texts.items
    ]


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
        job.progress.note(f"{PROBES} untimed requests find out how the server counts tokens")
        fit = calibrate(passages, lengths, _server_count(job, wanted), first=count, where=job.target.uri)
        made = fitted_prompts(passages, targets, fit)
    block["lengths"] = {
        "least": lengths.least,
        "greatest": lengths.greatest,
        "prompts": count,
        "by": "server" if tokenizer is None else "tokenizer",
        # A server counts what its chat template and a system message add; a tokenizer sees the prompt alone.
        "template_included": tokenizer is None,
        "fit": None if fit is None else fit.to_json(),
        "tokenizer": None if tokenizer is None else tokenizer.to_json(),
    }
    return Texts(_single(made), block)


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
