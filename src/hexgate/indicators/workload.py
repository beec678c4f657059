"""A load on a job's target: which requests it is made of, how it is carried out, and the evidence it leaves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.contract.evidence import EvidenceWriter
from hexgate.errors import InputError, TargetUnusable
from hexgate.indicators.base import Job, option
from hexgate.indicators.inputs import feature_batch, labelled_items, prompts_of
from hexgate.load.callable_driver import CallableDriver, CallOutcome
from hexgate.load.endpoint_driver import EndpointDriver
from hexgate.load.engine import Driver, LoadInterrupted, RunInfo, TargetUnreachable, run_plan
from hexgate.load.live import Live
from hexgate.load.plan import Plan
from hexgate.load.reading import LEAST_CLASSES
from hexgate.load.records import Recorder
from hexgate.load.shard import Shard
from hexgate.load.start import Start
from hexgate.targets.base import GenerateOptions, Generator, Predictor
from hexgate.wire.base import Ask, Endpoint

__all__ = ["MODES", "Workload", "carry_out", "mode_option", "tokens_option", "workload"]

MODES = ("scores", "text")
_SYNTHETIC_ITEMS = 256
_IN_PROCESS_CAP = 32


def mode_option() -> Any:
    """The option `mode`, alike for every indicator that loads its target."""
    return option(None, "What to ask of a target that gives both.", "目标两者皆可时测哪一种。", choices=MODES)


def tokens_option() -> Any:
    """The option `max_tokens`, alike for every indicator that loads its target."""
    return option(64, "Most tokens of a reply.", "回复的最大 token 数。", least=1)


@dataclass(frozen=True)
class Workload:
    """Requests that can be sent in any order."""

    driver: Driver
    """What sends them."""
    items: int
    """How many different ones there are."""
    dataset: Mapping[str, Any]
    """The artifact's block of that name."""
    mode: str
    """``scores`` (inputs to class scores) or ``text`` (prompts to replies)."""
    in_process: bool
    """Whether the model runs in this process."""

    @property
    def most_in_flight(self) -> int | None:
        """The cap on an open loop: a model in this process would need a thread for every request."""
        return _IN_PROCESS_CAP if self.in_process else None


def workload(job: Job, *, mode: str | None, max_tokens: int) -> Workload:
    """The requests of a job: its data, one item each; random inputs in the valid range where it has no data.

    Raises:
        TargetUnusable: if the target cannot do what `mode` names.
        DataError, InputError: as for the data.
    """
    target = job.target
    chosen = mode or ("scores" if target.predictor is not None else "text")
    if chosen == "scores" and target.predictor is not None:
        batch, dataset = _inputs(job, target.predictor)
        if target.endpoint is not None:
            flat = [[float(value) for value in row.ravel()] for row in batch]
            asks = [Ask(inputs=[row], stream=False) for row in flat]
            labels = target.predictor.labels
            sender = EndpointDriver(target.endpoint, asks, classes=None if labels is None else len(labels))
            return Workload(sender, len(asks), dataset, chosen, in_process=False)
        return Workload(_score_driver(target.predictor, batch), len(batch), dataset, chosen, in_process=True)
    if chosen == "text" and target.generator is not None:
        prompts = prompts_of(job)
        dataset = prompts.to_block(job.limit, len(prompts.prompts))
        texts = [prompt.text for prompt in prompts.prompts]
        options = GenerateOptions(max_tokens=max_tokens, seed=job.seed)
        driver = _text_driver(target.generator, target.endpoint, texts, options)
        return Workload(driver, len(texts), dataset, chosen, in_process=target.endpoint is None)
    raise TargetUnusable(
        f"this target does not give {chosen}",
        where=target.uri,
        hint=f"choose --mode {MODES[1 - MODES.index(chosen)]}, or another target",
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


def _score_driver(predictor: Predictor, batch: NDArray[np.float32]) -> CallableDriver:
    def call(item: int) -> CallOutcome:
        scores = predictor.scores(batch[item : item + 1])
        return CallOutcome(ended_ns=time.monotonic_ns(), error=_fault_of(scores, predictor.labels))

    return CallableDriver(call)


def _fault_of(scores: NDArray[np.float32], labels: Sequence[str] | None) -> str | None:
    """Why scores are no answer to one input; None where they are."""
    if scores.ndim != 2 or len(scores) != 1 or scores.shape[1] < LEAST_CLASSES:
        return f"protocol: scores of the shape {list(scores.shape)} for one input"
    if labels is not None and scores.shape[1] != len(labels):
        return f"protocol: {scores.shape[1]} scores where there are {len(labels)} classes"
    if not np.isfinite(scores).all():
        return "protocol: scores that are not finite"
    return None


def _text_driver(
    generator: Generator, endpoint: Endpoint | None, texts: list[str], options: GenerateOptions
) -> Driver:
    if endpoint is not None:
        asks = [
            Ask(
                prompt=text, max_tokens=options.max_tokens, temperature=options.temperature, seed=options.seed
            )
            for text in texts
        ]
        return EndpointDriver(endpoint, asks)

    def call(item: int) -> CallOutcome:
        pieces: list[str] = []
        stamps: list[int] = []
        for piece in generator.stream(texts[item], options):
            stamps.append(time.monotonic_ns())
            pieces.append(piece)
        return CallOutcome(text="".join(pieces), token_ns=stamps, output_tokens=len(pieces))

    return CallableDriver(call)


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

    Raises:
        KeyboardInterrupt: if it was stopped by the user; the evidence is complete up to then.
        TargetFailed: if the target cannot be reached any more; likewise.
    """
    evidence.document("plan_head", plan.head())
    evidence.array("plan", plan.to_array())
    replies = evidence.rows("replies") if load.mode == "text" or not load.in_process else None
    records = Recorder()
    info: RunInfo | None = None
    job.progress.start(what, plan.timed if shard is None else shard.timed)
    try:
        info = run_plan(
            plan,
            load.driver,
            records,
            shard=shard,
            start=start,
            live=live,
            spool=replies.write if replies is not None else None,
            progress=job.progress.advance,
        )
    except (LoadInterrupted, TargetUnreachable) as stopped:
        info = stopped.info
        raise
    finally:
        evidence.array("requests", records.array())
        if info is not None:
            evidence.document("run", info.to_json())
    return info
