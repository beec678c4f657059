"""toxicity: how often the text that a model writes is toxic, by a detector that says how far it can be trusted."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, ClassVar

from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
from hexgate.datasets.prompts import Prompt
from hexgate.errors import EvidenceError, TargetFailed, TargetUnusable
from hexgate.indicators.base import Counts, Figures, Job, Method, option
from hexgate.indicators.inputs import prompts_of
from hexgate.scorers.base import DETECTORS, Detector, Scored, open_detector
from hexgate.stats.clustered import Observation, clustered_proportion
from hexgate.stats.interval import Interval
from hexgate.targets.base import GenerateOptions, Generator, Reply

__all__ = ["Toxicity"]

_LOST_AFTER = 20


@dataclass(frozen=True)
class Options:
    """What may be chosen."""

    detector: str = option("lexicon", "Who scores the replies.", "由谁给回复打分。", choices=tuple(DETECTORS))
    max_tokens: int = option(64, "Most tokens of a reply.", "回复的最大 token 数。", least=1)
    temperature: float = option(0.0, "Sampling temperature.", "采样温度。", least=0)
    parallel: int = option(
        4, "Prompts asked at the same time of an endpoint.", "对服务同时发出的提示数。", least=1
    )


class Toxicity:
    """Replies to prompts, scored. A reply that could not be scored is never "not toxic"."""

    name: ClassVar[str] = "toxicity"
    options: ClassVar[type[Any]] = Options

    def collect(self, job: Job, evidence: EvidenceWriter) -> None:
        """Ask every prompt, score every reply, and write both."""
        chosen: Options = job.options
        generator = job.target.generator
        if generator is None:
            raise TargetUnusable(
                "toxicity is measured on text, and this target writes none",
                where=job.target.uri,
                hint="measure the model that writes the text (an OpenAI-compatible or Ollama endpoint, demo:), or "
                "name it as `generator` in the card.json of the system it belongs to",
            )
        detector = open_detector(chosen.detector)
        prompts = prompts_of(job)
        asked = GenerateOptions(max_tokens=chosen.max_tokens, temperature=chosen.temperature, seed=job.seed)
        evidence.describe(
            dataset=prompts.to_block(job.limit, len(prompts.prompts)),
            method={
                "requested": len(prompts.prompts),
                "max_tokens": chosen.max_tokens,
                "temperature": chosen.temperature,
                "generations_per_prompt": 1,
                "threshold": detector.threshold,
                "detector": _card(detector),
                "certifies": detector.certifies,
                "why_not": detector.why_not,
            },
        )
        rows = evidence.rows("replies")
        parallel = 1 if job.target.endpoint is None else max(1, chosen.parallel)
        lost = 0
        job.progress.start(f"{len(prompts.prompts)} prompts", len(prompts.prompts))
        for prompt, reply in _replies(generator, prompts.prompts, asked, parallel):
            scored = None if reply.text is None else detector.score(reply.text)
            rows.write(_row(prompt, reply, scored))
            job.progress.advance()
            lost = lost + 1 if reply.text is None else 0
            if lost >= _LOST_AFTER:
                raise TargetFailed(
                    f"{lost} prompts in a row got no reply",
                    where=job.target.subject.uri,
                    got=reply.error,
                    hint="see whether the endpoint is up, then measure again",
                )

    def figures(self, method: Method, evidence: EvidenceReader) -> Figures:
        """Toxic over scored, with everything that was not scored counted apart."""
        rows = list(evidence.rows("replies"))
        if not rows:
            raise EvidenceError("no prompt was asked")
        known = _known_detector(method)
        threshold = _threshold(method, known)
        scored = [row for row in rows if row["score"] is not None]
        toxic = [row for row in scored if row["score"] >= threshold]
        unscored = len(rows) - len(scored)
        requested = int(method["requested"])
        ratio = len(toxic) / len(scored) if scored else None
        level = method["confidence"]
        intervals = {"unscored_ratio": _interval(rows, [row["score"] is None for row in rows], level)}
        if scored:
            intervals["toxic_ratio"] = _interval(scored, [row["score"] >= threshold for row in scored], level)
        # What an artifact says of its detector can be edited; where the detector is at hand, it says it itself.
        certifies, why_not = (
            (method["certifies"], method["why_not"]) if known is None else (known.certifies, known.why_not)
        )
        why_unscored = Counter(str(row["unscored"]) for row in rows if row["score"] is None)
        return Figures(
            values={
                "toxic_ratio": ratio,
                "total_samples": len(rows),
                "scored_samples": len(scored),
                "unscored_samples": unscored,
                "unscored_ratio": unscored / len(rows),
                "empty_replies": sum(row["reply"] is not None and not row["reply"].strip() for row in rows),
                "failed_replies": sum(row["reply"] is None for row in rows),
                "toxic_count": len(toxic),
                "detector": method["detector"] if known is None else _card(known),
                "groups": _groups(rows, threshold),
                "categories": dict(
                    sorted(Counter(name for row in toxic for name in row["categories"]).items())
                ),
            },
            counts=Counts(requested, len(scored), unscored, requested - len(rows)),
            intervals=intervals,
            missing={} if scored else {"toxic_ratio": "no reply could be scored"},
            cannot_certify={} if certifies else {"toxic_ratio": str(why_not)},
            invalid_reasons=()
            if scored
            else (f"no reply could be scored: {', '.join(sorted(why_unscored))}",),
        )


def _card(detector: Detector) -> dict[str, Any]:
    return {
        "name": detector.name,
        "version": detector.version,
        "sha256": detector.digest,
        "languages": list(detector.languages),
        "threshold": detector.threshold,
        "validated": detector.validated,
        "sensitivity": _as_json(detector.sensitivity),
        "specificity": _as_json(detector.specificity),
    }


def _threshold(method: Method, known: Detector | None) -> float:
    stated = method["threshold"]
    expected = method["detector"]["threshold"] if known is None else known.threshold
    if not stated == expected == method["detector"]["threshold"]:
        raise EvidenceError(
            "the threshold is not the detector's",
            where="$.method.threshold",
            got=repr(stated),
            expected=repr(expected),
            hint="measure again; an artifact is never edited",
        )
    return float(stated)


def _known_detector(method: Method) -> Detector | None:
    said = method["detector"]
    if DETECTORS.get(said["name"]) is None:
        return None
    detector = open_detector(said["name"])
    return detector if detector.digest == said["sha256"] else None


def _interval(rows: list[dict[str, Any]], counts: list[bool], level: float) -> Interval:
    seen = [
        # The same prompt again is no new evidence, and neither is its spacing.
        Observation(" ".join(row["prompt"].split()), row["frame"], count)
        for row, count in zip(rows, counts, strict=True)
    ]
    return clustered_proportion(seen, level=level, items="prompts", clusters="frames")


def _as_json(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None else interval.to_json()


def _replies(
    generator: Generator, prompts: tuple[Prompt, ...], asked: GenerateOptions, parallel: int
) -> Iterator[tuple[Prompt, Reply]]:
    if parallel == 1:
        for prompt in prompts:
            yield prompt, generator.generate(prompt.text, asked)
        return
    waiting: deque[tuple[Prompt, Future[Reply]]] = deque()
    todo: SimpleQueue[tuple[Prompt, Future[Reply]] | None] = SimpleQueue()

    def work() -> None:
        while (job := todo.get()) is not None:
            prompt, future = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(generator.generate(prompt.text, asked))
            except BaseException as error:  # noqa: BLE001 - raised again where the reply is waited for
                future.set_exception(error)

    for _ in range(parallel):
        # Daemons: a pool would keep an interrupted process alive until every reply under way had come.
        Thread(target=work, daemon=True).start()
    try:
        # Not far ahead: a target that died is noticed before everything has been queued on it.
        for prompt in prompts:
            waiting.append((prompt, Future()))
            todo.put(waiting[-1])
            if len(waiting) == 2 * parallel:
                asked_first, future = waiting.popleft()
                yield asked_first, future.result()
        for asked_first, future in waiting:
            yield asked_first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()
        for _ in range(parallel):
            todo.put(None)


def _row(prompt: Prompt, reply: Reply, scored: Scored | None) -> dict[str, Any]:
    return {
        "id": prompt.id,
        "lang": prompt.lang,
        "group": prompt.group,
        "frame": prompt.frame,
        "prompt": prompt.text,
        "reply": reply.text,
        "error": reply.error,
        "finish_reason": reply.finish_reason,
        "score": scored.score if scored else None,
        "unscored": _why_unscored(reply, scored),
        "categories": list(scored.categories) if scored else [],
    }


def _why_unscored(reply: Reply, scored: Scored | None) -> str | None:
    if scored is None:
        return f"no reply ({(reply.error or 'unknown').partition(':')[0]})"
    return None if scored.unscored is None else scored.unscored.value


def _groups(rows: list[dict[str, Any]], threshold: float) -> list[dict[str, Any]]:
    found: dict[tuple[str | None, str | None], dict[str, Any]] = {}
    for row in rows:
        key = (row["lang"], row["group"])
        group = found.setdefault(
            key, {"lang": key[0], "group": key[1], "scored": 0, "toxic": 0, "unscored": 0}
        )
        if row["score"] is None:
            group["unscored"] += 1
        else:
            group["scored"] += 1
            group["toxic"] += row["score"] >= threshold
    return [found[key] for key in sorted(found, key=lambda key: (key[0] or "", key[1] or ""))]
