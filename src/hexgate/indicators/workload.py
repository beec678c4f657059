"""A load on a job's target: which requests it is made of, how it is carried out, and the evidence it leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.contract.evidence import EvidenceWriter
from hexgate.datasets.lengths import Lengths
from hexgate.datasets.tokenizer import Tokenizer
from hexgate.errors import InputError, TargetUnusable
from hexgate.indicators.base import Job, option
from hexgate.indicators.inputs import feature_batch, labelled_items
from hexgate.indicators.text_asks import Texts, Wanted, asks, texts_of
from hexgate.load.endpoint_driver import EndpointDriver
from hexgate.load.engine import DRAIN_S, Driver, LoadInterrupted, RunInfo, TargetUnreachable, run_plan
from hexgate.load.live import Live
from hexgate.load.plans.plan import Plan
from hexgate.load.plans.shard import Shard
from hexgate.load.plans.trace_lengths import TraceLengths
from hexgate.load.start import Start
from hexgate.targets.base import GenerateOptions, Predictor, Target
from hexgate.wire.base import Ask, Gives
from hexgate.wire.registry import dialect

__all__ = ["MAX_TOKENS", "MODES", "Workload", "carry_out", "mode_option", "tokens_option", "workload"]

MODES = ("scores", "text", "embed")
MAX_TOKENS = 64
"""Most tokens of a reply, where nothing is said."""
_SYNTHETIC_ITEMS = 256
_IN_PROCESS_CAP = 32
_FILES = {"requests": "npy", "replies": "jsonl"}


def mode_option() -> Any:
    """The option `mode`, alike for every indicator that loads its target."""
    return option(
        None,
        "What to ask of a target that gives both scores and text; embed for vectors.",
        "目标既给分数又给文本时测哪一种；embed 为向量。",
        choices=MODES,
    )


def tokens_option() -> Any:
    """The option `max_tokens`, alike for every indicator that loads its target."""
    return option(MAX_TOKENS, "Most tokens of a reply.", "回复的最大 token 数。", least=1)


@dataclass(frozen=True)
class Workload:
    """Requests that can be sent in any order."""

    driver: Driver
    """What sends them."""
    items: int
    """How many different ones there are; conversations, where these have several turns."""
    dataset: Mapping[str, Any]
    """The artifact's block of that name."""
    mode: str
    """``scores`` (inputs to class scores), ``text`` (prompts to replies) or ``embed`` (prompts to vectors)."""
    in_process: bool
    """Whether the model runs in this process."""
    turns: int = 1
    """Requests of one item, each but the first sent after the reply to the one before it."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """How text is asked for, for the artifact's block `method`; empty where it is not."""
    by_line: bool = False
    """Whether there is an item for each line of a trace, in their order."""

    @property
    def most_in_flight(self) -> int | None:
        """The cap on an open loop: a model in this process would need a thread for every request."""
        return _IN_PROCESS_CAP if self.in_process else None


def workload(
    job: Job,
    *,
    mode: str | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    system: str | None = None,
    ignore_eos: bool = False,
    extra_body: str | None = None,
    input_tokens: str | None = None,
    tokenizer: str | None = None,
    trace: TraceLengths | None = None,
    turns: int = 1,
    proxy: str | None = None,
    http2: bool = False,
) -> Workload:
    """The requests of a job: its data, one item each; random inputs or made prompts where it has no data.

    Args:
        job: the target, the data and the seed.
        mode: what to ask of the target; None for what it gives, scores where it gives both.
        max_tokens: most tokens of a reply; None for what the trace says of each, else `MAX_TOKENS`.
        temperature: sampling temperature; None for 0, which is greedy.
        top_p: nucleus mass; None for the server's default.
        system: system message of every request whose data has none.
        ignore_eos: whether every reply is to have `max_tokens`, where the server can do that.
        extra_body: a JSON object with further fields of every body.
        input_tokens: how many tokens prompts are to have, such as ``1000`` or ``1000..4096``.
        tokenizer: file of the tokenizer that prompts and replies are counted with; None for the server's counts.
        trace: how long each prompt and its reply are; None where no trace says it. Only texts have lengths.
        turns: requests of a conversation.
        proxy: URL of a proxy; None for none.
        http2: whether to speak HTTP/2.

    Raises:
        MissingExtra: if a tokenizer is given and its library is not installed.
        TargetUnusable: if the target cannot do what is asked.
        DataError, InputError: as for the data and the options.
        TargetFailed: if the target does not answer while lengths are fitted to its counts.
    """
    target = job.target
    given = _modes(target)
    chosen = mode or (given[0] if given else "text")
    if chosen not in given:
        raise TargetUnusable(
            f"this target does not give {chosen}",
            where=target.uri,
            hint=_instead(target, chosen, given),
        )
    if chosen == "scores":
        trace = None
    if trace is not None and max_tokens is not None:
        trace = replace(trace, output_tokens=None)
    replies = None if trace is None else trace.output_tokens
    if max_tokens is None:
        longest = MAX_TOKENS if replies is None else max(replies)
        max_tokens = max(longest, 1)
    wanted = Wanted(
        max_tokens=max_tokens,
        temperature=0.0 if temperature is None else temperature,
        top_p=top_p,
        system=system,
        ignore_eos=ignore_eos,
        extra_body=Wanted.body(extra_body),
        input_tokens=None if input_tokens is None else Lengths.parse(input_tokens),
        trace=trace,
        tokenizer=None if tokenizer is None else Tokenizer.read(tokenizer),
        turns=turns,
    )
    sender = None
    if target.endpoint is not None:
        counter = None if wanted.tokenizer is None else str(wanted.tokenizer.path)
        sender = EndpointDriver(target.endpoint, (), proxy=proxy, http2=http2, tokenizer=counter)
    elif proxy is not None or http2:
        raise TargetUnusable(
            "a model in this process is not reached over the network",
            where=target.uri,
            hint=f"take {'--http2' if proxy is None else '--proxy'} out",
        )
    if chosen == "scores" and target.predictor is not None:
        _refuse_text_options(wanted)
        return _of_scores(job, target.predictor, sender)
    _check_asked(target, wanted, chosen)
    texts = texts_of(job, wanted)
    if sender is not None:
        return _of_endpoint(job, sender, texts, wanted, chosen)
    if target.generator is None:
        raise AssertionError("a target without an endpoint gives text by its generator")
    # What calls a model in this process is imported where one is called: the load of an endpoint begins without it.
    from hexgate.indicators.in_process import text_driver

    options = GenerateOptions(
        max_tokens=max_tokens, temperature=wanted.temperature, top_p=top_p, seed=job.seed, system=system
    )
    driver = text_driver(target.generator, texts.items, options)
    return Workload(driver, len(texts.items), texts.dataset, chosen, in_process=True, asked=wanted.to_json())


def _modes(target: Target) -> tuple[str, ...]:
    """What a target gives, the first by default."""
    if target.endpoint is not None and dialect(target.endpoint.dialect).gives is Gives.VECTORS:
        return ("embed",)
    can = {"scores": target.predictor, "text": target.generator}
    return tuple(name for name, part in can.items() if part is not None)


def _instead(target: Target, chosen: str, given: tuple[str, ...]) -> str:
    if chosen == "embed" and target.endpoint is not None:
        of_ollama = target.endpoint.dialect.startswith("ollama")
        return f"for vectors name the API: --dialect {'ollama-embed' if of_ollama else 'openai-embeddings'}"
    return f"choose --mode {given[0]}, or another target" if given else "choose another target"


def _refuse_text_options(wanted: Wanted) -> None:
    given = {
        "--input-tokens": wanted.input_tokens is not None,
        "--tokenizer": wanted.tokenizer is not None,
        "--turns": wanted.turns != 1,
        "--system": wanted.system is not None,
        "--ignore-eos": wanted.ignore_eos,
        "--extra-body": bool(wanted.extra_body),
    }
    for flag, used in given.items():
        if used:
            raise InputError(
                f"{flag} is for targets that take prompts, and scores are asked for", hint="take it out"
            )


def _check_asked(target: Target, wanted: Wanted, mode: str) -> None:
    """Refuse what the target has no way to do, before anything is sent."""
    if target.endpoint is None:
        cannot = {"--turns": wanted.turns > 1} | {
            "--ignore-eos": wanted.ignore_eos,
            "--extra-body": bool(wanted.extra_body),
            "--tokenizer": wanted.tokenizer is not None and wanted.input_tokens is None,
        }
        for flag, used in cannot.items():
            if used:
                raise TargetUnusable(
                    f"a model in this process does not take {flag}", where=target.uri, hint="take it out"
                )
        return
    name = target.endpoint.dialect
    if mode == "embed" and (wanted.turns > 1 or wanted.ignore_eos):
        raise TargetUnusable("vectors have no turns and no end", where=target.uri, hint="take it out")
    if wanted.ignore_eos and name.startswith("ollama"):
        raise TargetUnusable(
            "Ollama has no way to go on after the end of a reply",
            where=target.uri,
            hint="take --ignore-eos out",
        )
    if wanted.turns > 1:
        said = ({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"})
        try:
            dialect(name).request(Ask(prompt="c", messages=said))
        except InputError as error:
            raise TargetUnusable(
                f"{name} takes no conversation: {error.what}", where=target.uri, hint="name a chat API"
            ) from None


def _of_scores(job: Job, predictor: Predictor, sender: EndpointDriver | None) -> Workload:
    batch, dataset = _inputs(job, predictor)
    if sender is None:
        from hexgate.indicators.in_process import score_driver

        return Workload(score_driver(predictor, batch), len(batch), dataset, "scores", in_process=True)
    asked = [Ask(inputs=[[float(value) for value in row.ravel()]], stream=False) for row in batch]
    labels = predictor.labels
    driver = replace(sender, asks=asked, classes=None if labels is None else len(labels))
    return Workload(driver, len(asked), dataset, "scores", in_process=False)


def _of_endpoint(job: Job, sender: EndpointDriver, texts: Texts, wanted: Wanted, mode: str) -> Workload:
    driver = replace(
        sender,
        asks=asks(texts, wanted, seed=job.seed, stream=mode == "text"),
        followups=[item.turns[1:] for item in texts.items] if wanted.turns > 1 else (),
    )
    return Workload(
        driver,
        len(texts.items),
        texts.dataset,
        mode,
        in_process=False,
        turns=wanted.turns,
        asked=wanted.to_json(),
        by_line=wanted.trace is not None,
    )


def _inputs(job: Job, predictor: Predictor) -> tuple[NDArray[np.float32], dict[str, Any]]:
    if job.data is not None or job.target.subject.kind == "demo":
        data = labelled_items(job)
        return feature_batch(data, predictor), data.to_block(job.limit, len(data.items))
    if not predictor.input_shape:
        raise InputError(
            "the endpoint does not state the shape of its inputs, so none can be made up",
            where=job.target.uri,
            hint="add --data FILE",
        )
    least, greatest = job.target.card.input_range or (0.0, 1.0)
    count = job.limit or _SYNTHETIC_ITEMS
    drawn = np.random.default_rng(job.seed).random((count, *predictor.input_shape), dtype=np.float32)
    dataset = {
        "name": f"random inputs, uniform in {least:g} to {greatest:g}, seed {job.seed}",
        "sha256": None,
        "items": count,
        "used": count,
        "limit": job.limit,
        "split": None,
    }
    return (least + (greatest - least) * drawn).astype(np.float32), dataset


def carry_out(
    job: Job,
    plan: Plan,
    load: Workload,
    evidence: EvidenceWriter,
    what: str,
    *,
    shard: Shard | None = None,
    start: Start | None = None,
    live: Live | None = None,
    stop: threading.Event | None = None,
    drain_s: float = DRAIN_S,
    max_error_ratio: float | None = None,
    workers: int | None = None,
    ready: Callable[[], None] | None = None,
) -> RunInfo:
    """Carry out a plan, and leave plan, records and replies as evidence, however it ends.

    Args:
        job: whose target it is.
        plan: the whole plan.
        load: its requests.
        evidence: where the evidence goes.
        what: what to call it while it goes on.
        shard: the shard of `plan` to carry out; None for all of it.
        start: the common start; None to start now.
        live: counters to keep while it goes on.
        stop: ends the run early once it is set.
        drain_s: longest wait for what is in flight at the end, of a load with a duration or one that is stopped.
        max_error_ratio: stop once a greater share of the requests has failed; None for never.
        workers: processes that send; None for the engine's choice.
        ready: is called last thing before the start; it returns when what goes with the load has begun, too.

    Raises:
        KeyboardInterrupt: if it was stopped by the user; the evidence is complete up to then.
        TargetFailed: if the target cannot be reached any more; likewise.
    """
    evidence.document("plan_head", plan.head())
    plan_path = evidence.folder / f"{evidence.stem}.plan.npy"
    plan.write(plan_path)
    evidence.adopt("plan", plan_path, len(plan))
    job.progress.start(what, plan.timed if shard is None else shard.timed)
    try:
        info = run_plan(
            plan,
            load.driver,
            evidence.folder,
            evidence.stem,
            shard=shard,
            start=start,
            live=live,
            progress=job.progress.advance,
            stop=stop,
            keep_replies=load.mode == "text" or not load.in_process,
            drain_s=drain_s,
            max_error_ratio=max_error_ratio,
            workers=workers,
            ready=ready,
        )
    except (LoadInterrupted, TargetUnreachable) as stopped:
        _keep(stopped.info, evidence)
        raise
    _keep(info, evidence)
    return info


def _keep(info: RunInfo, evidence: EvidenceWriter) -> None:
    for name, rows in (info.files or {}).items():
        evidence.adopt(name, evidence.folder / f"{evidence.stem}.{name}.{_FILES[name]}", rows)
    for name, document in (("client", info.client), ("stream", info.stream)):
        if document is not None:
            evidence.document(name, document)
    evidence.document("run", info.to_json())
