"""A language model as judge: four anchored scores an answer, from any OpenAI-compatible endpoint, resumable.

A reply that cannot be read is asked for again, and then counts as missing with its reason; it is never 0 and nothing is
clamped. The judge sees neither model nor level nor id, in an order that is drawn with a recorded seed.

Source: the practice and the biases of language models as judges are those of Zheng et al. (2023), "Judging
LLM-as-a-judge with MT-Bench and Chatbot Arena", arXiv 2306.05685; the rubric is our own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hexgate.contract.canonical import canonical_bytes, sha256_bytes
from hexgate.scorers.judge_calls import Calls
from hexgate.scorers.judge_ledger import Came, Ledger, Outcome
from hexgate.scorers.judge_prompt import RUBRIC_VERSION, Language, rubric_digest, rubric_language
from hexgate.scorers.judge_report import Bill, Judged, JudgeReport, noise_of
from hexgate.scorers.judge_spec import JudgeSpec
from hexgate.scorers.judge_task import Task
from hexgate.scorers.quality import Item
from hexgate.wire.reply import whole_text

__all__ = ["Progress", "judge", "judged_so_far"]

Progress = Callable[[int, int], None]
"""Called with the judgements that are settled and all that there are to be; from one thread at a time."""

_EMPTY = "empty answer"
_NO_QUESTION = "no question"


@dataclass(frozen=True)
class _Case:
    """An item with the keys of its judgements."""

    item: Item
    language: Language
    missing: str | None
    tasks: tuple[Task, ...]


def judge(
    items: Sequence[Item], spec: JudgeSpec, ledger_path: Path, progress: Progress | None = None
) -> JudgeReport:
    """Judge answers, or go on where an earlier process with the same judge and ledger stopped.

    Each judgement is kept under a digest of the judge, the rubric, the question, the references and the answer. What is
    on the ledger is not asked for again; items that are alike in all of these share one judgement.

    Args:
        items: what to judge; an empty answer is missing and is not sent.
        spec: who judges.
        ledger_path: a JSON Lines file, made where it does not exist.
        progress: told of every settled judgement.

    Raises:
        InputError: if the ledger or the key cannot be used, or the ledger cannot be written.
        DataError: if the ledger is broken.
        TargetFailed: if the judge refuses the key, the model or a long row of calls. All judgements so far are kept.
        Interrupted: on Ctrl-C, with the same.
    """
    cases = _cases(items, spec)
    tasks = {task.key: task for case in cases for task in case.tasks}
    # By digest: the order is the same on every machine, and says nothing of model or level.
    order = sorted(tasks.values(), key=lambda task: _draw(spec.seed, "order", task.key))
    with Ledger(ledger_path) as ledger, Calls(spec, ledger, order) as calls:
        stopped = calls.run(progress)
        return _report(cases, spec, ledger, calls.unsettled, stopped)


def judged_so_far(items: Sequence[Item], spec: JudgeSpec, ledger_path: Path) -> JudgeReport:
    """What a ledger holds of answers, such as after `judge` has raised; nobody is asked.

    Args:
        items: as `judge` takes them.
        spec: who judges.
        ledger_path: the ledger.

    Raises:
        InputError: if the ledger cannot be used.
        DataError: if it is broken.
    """
    cases = _cases(items, spec)
    with Ledger(ledger_path) as ledger:
        return _report(cases, spec, ledger, {}, None)


def _cases(items: Sequence[Item], spec: JudgeSpec) -> list[_Case]:
    identity = spec.identity()
    first: list[_Case] = []
    for item in items:
        # Half a character cannot be sent, and has no digest.
        question, answer = whole_text([item.prompt]), whole_text([item.reply])
        references = tuple(whole_text([text]) for text in item.references)
        language = rubric_language(question) if spec.language == "auto" else Language(spec.language)
        missing = _EMPTY if not answer.strip() else _NO_QUESTION if not question.strip() else None
        told = {"judge": identity, "rubric": rubric_digest(language), "language": language.value}
        texts = {"question": question, "references": list(references), "answer": answer}
        key = sha256_bytes(canonical_bytes(told | texts))
        task = Task(key, 0, language, question, references, answer)
        first.append(_Case(item, language, missing, () if missing else (task,)))
    keys = sorted({case.tasks[0].key for case in first if case.tasks})
    drawn = sorted(keys, key=lambda key: _draw(spec.seed, "repeats", key))
    several = set(drawn[: math.ceil(spec.repeat_share * len(keys) - 1e-9)]) if spec.repeats > 1 else set()
    return [_repeated(case, spec.repeats) if _key(case) in several else case for case in first]


def _key(case: _Case) -> str | None:
    return case.tasks[0].key if case.tasks else None


def _repeated(case: _Case, repeats: int) -> _Case:
    base = case.tasks[0]
    return _Case(
        case.item, case.language, case.missing, tuple(base.again(number) for number in range(repeats))
    )


def _draw(seed: int, what: str, key: str) -> str:
    return sha256_bytes(f"{seed}:{what}:{key}".encode())


def _report(
    cases: Sequence[_Case], spec: JudgeSpec, ledger: Ledger, unsettled: Mapping[str, str], stopped: str | None
) -> JudgeReport:
    unreached = stopped or "not judged yet"
    judged = tuple(_judged(case, ledger, unsettled, spec.attempts, unreached) for case in cases)
    used = sorted({case.language for case in cases}, key=lambda language: language.value)
    return JudgeReport(
        judge=spec.identity(),
        rubric={"version": RUBRIC_VERSION} | {language.value: rubric_digest(language) for language in used},
        seed=spec.seed,
        judged=judged,
        noise=noise_of(judged),
        bill=_bill({task.key for case in cases for task in case.tasks}, spec, ledger),
        stopped=stopped,
    )


def _judged(
    case: _Case, ledger: Ledger, unsettled: Mapping[str, str], attempts: int, unreached: str
) -> Judged:
    found: list[Came | None] = [_scored(ledger.calls(task.key)) for task in case.tasks]
    first = found[0] if found else None
    missing, settled = case.missing, True
    if case.tasks and first is None:
        key = case.tasks[0].key
        malformed = [call for call in ledger.calls(key) if call.outcome is Outcome.MALFORMED]
        given_up = (
            f"no reply that can be read in {len(malformed)}: {malformed[-1].reason}" if malformed else ""
        )
        settled = len(malformed) >= attempts
        missing = given_up if settled else unsettled.get(key, unreached)
    scores = [call.scores for call in found if call is not None and call.scores is not None]
    return Judged(
        id=case.item.id,
        scores=None if first is None else first.scores,
        missing=missing,
        rationales={} if first is None else first.rationales,
        repeats=tuple(scores) if len(case.tasks) > 1 else (),
        language=case.language.value,
        reply_characters=len(case.item.reply),
        settled=settled,
    )


def _scored(calls: Sequence[Came]) -> Came | None:
    return next((call for call in calls if call.outcome is Outcome.SCORED), None)


def _bill(keys: set[str], spec: JudgeSpec, ledger: Ledger) -> Bill:
    calls = [call for key in sorted(keys) for call in ledger.calls(key)]
    lost = [cost for (key, _), cost in ledger.lost().items() if key in keys]
    replies = [call for call in calls if call.outcome is not Outcome.FAILED]
    known = spec.prices is not None
    return Bill(
        calls=len(calls),
        malformed=sum(call.outcome is Outcome.MALFORMED for call in calls),
        failed=sum(call.outcome is Outcome.FAILED for call in calls),
        lost=len(lost),
        forms=dict(Counter(call.form for call in replies if call.form is not None)),
        prompt_tokens=sum(call.prompt_tokens or 0 for call in replies),
        output_tokens=sum(call.output_tokens or 0 for call in replies),
        uncounted=sum(call.prompt_tokens is None or call.output_tokens is None for call in replies),
        cost=math.fsum(call.cost or 0.0 for call in calls) if known else None,
        cost_at_most=math.fsum([call.cost_at_most or 0.0 for call in calls] + [cost or 0.0 for cost in lost])
        if known
        else None,
        currency=spec.prices.currency if spec.prices is not None else None,
    )
