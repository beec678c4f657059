"""Having a language model judge the replies of a study, with a ledger of its calls in the study's folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hexgate.contract.provenance import utc_now
from hexgate.errors import EvidenceError, HexgateError, InputError, Interrupted, TargetFailed
from hexgate.scorers.quality import Item
from hexgate.study.lines import write_whole
from hexgate.study.quality.marking import Tally, failed_run, mark_study, tallies, tasks_named
from hexgate.study.quality.marks import JUDGE, MarkLedger, Measure
from hexgate.study.quality.spec import JudgedBy
from hexgate.study.reading import Reading

if TYPE_CHECKING:
    from hexgate.scorers.judge_report import Judged, JudgeReport
    from hexgate.scorers.judge_spec import JudgeSpec

__all__ = ["JUDGE_CALLS", "JUDGE_FILE", "JudgedStudy", "Judging", "judge_study"]

JUDGE_CALLS = "judge.jsonl"
"""The ledger of the judge's calls: what is on it is not asked again."""
JUDGE_FILE = "judge.json"
"""Who judged, by which rubric, how noisily and at what cost, all calls together."""
_SCHEMA = "hexgate/study-judge/1"
_DEFINITION = "judge/1"


@dataclass(frozen=True)
class Judging:
    """What is to be judged in one call, and by whom."""

    tasks: tuple[str, ...] = ()
    """The tasks; none for those of the study's block."""
    target: str | None = None
    """URL of a judge that takes the place of the block's, of which nothing but the tasks counts then: another
    server is not sent its key. Needs `model`."""
    model: str | None = None
    """That judge's model."""
    api_key_env: str | None = None
    """Environment variable with the key; None for the block's, or for none where there is a `target`."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that win over those of the block."""


@dataclass(frozen=True)
class JudgedStudy:
    """How a call ended."""

    report: JudgeReport
    """What the judge said of the replies, its bill and its noise, those of earlier calls included."""
    tallies: tuple[Tally, ...]
    """Its totals by model; none where it has given no score and the marks of an earlier judge stay."""
    without: int
    """Replies that have no score although there is something in them to judge."""
    stopped: HexgateError | None
    """Why the call ended before its last reply; None where it came to it."""
    left: int
    """Runs of the plan that are not over, and so not marked."""
    results: Path
    """The table of all runs."""


def judge_study(
    folder: Path,
    progress: Callable[[int, int], None] | None,
    judging: Judging,
    spec_file: Path | None = None,
) -> JudgedStudy:
    """Have the replies of a study judged. What is judged is kept however it ends, and is not asked again.

    The marks follow the ledger of calls: a reply has one as soon as it is settled, be it without a value. A run that
    failed has a mark without a value and is not sent. Where another judge has given marks before, they count until
    this one has given a score: one that cannot be reached takes nothing away.

    Args:
        folder: the study's folder.
        progress: told of every settled judgement, as `hexgate.scorers.judge.judge` does it.
        judging: what is to be judged, and by whom.
        spec_file: the study's file, where its block `judge` counts and not that with which the study began.

    Raises:
        InputError: if the folder holds no study or is in use, no judge is named, or the key or the ledger cannot be
            used; nothing was marked.
        EvidenceError: if a file of the folder is not what it should be.
        TargetFailed: if the disk takes no more.
    """

    def give(reading: Reading, ledger: MarkLedger) -> _Call:
        call = _Call(reading, ledger, _judge_of(reading, judging))
        call.go(progress)
        return call

    call, reading = mark_study(folder, spec_file, give)
    return JudgedStudy(
        report=call.report,
        tallies=tallies(reading, JUDGE, call.by.tasks) if call.counts else (),
        without=call.without,
        stopped=call.stopped,
        left=len(reading.left),
        results=reading.layout.results,
    )


class _Call:
    """One call."""

    report: JudgeReport

    def __init__(self, reading: Reading, ledger: MarkLedger, by: JudgedBy) -> None:
        self._reading = reading
        self._ledger = ledger
        self._spec = by.judge_spec()
        self._records = [record for record in reading.records if by.covers(record["task"])]
        self.by = by
        self.stopped: HexgateError | None = None
        self.without = 0
        self.counts = True
        """Whether its marks are those that count from now on."""

    def go(self, progress: Callable[[int, int], None] | None) -> None:
        """Ask for what is left, and mark what is settled."""
        items = [_item(self._reading, record) for record in self._records if failed_run(record) is None]
        self.report = self._asked(items, progress)
        replies = {item.id: item.reply for item in items}
        self.without = sum(one.scores is None and bool(replies[one.id].strip()) for one in self.report.judged)
        earlier = self._reading.marks.measures.get(JUDGE)
        scored = any(one.scores is not None for one in self.report.judged)
        self.counts = scored or earlier is None or earlier.sha256 == _measure(self._spec).sha256
        if self.counts:
            self._mark({one.id: one for one in self.report.judged})
            self._write()

    def _asked(self, items: Sequence[Item], progress: Callable[[int, int], None] | None) -> JudgeReport:
        # Whoever only reads what a judge has left needs nothing of what asks one.
        from hexgate.scorers.judge import judge, judged_so_far

        path = self._reading.folder / JUDGE_CALLS
        try:
            report = judge(items, self._spec, path, progress)
        except (TargetFailed, Interrupted) as error:
            self.stopped = error
            return judged_so_far(items, self._spec, path)
        if report.stopped is not None:
            self.stopped = EvidenceError(
                "the budget of the judge is used up, and replies are left",
                got=report.stopped,
                hint="give it more and run the same command again: it goes on where it stopped",
            )
        return report

    def _mark(self, judged: Mapping[str, Judged]) -> None:
        measure = _measure(self._spec)
        newest = self._reading.marks.measures.get(JUDGE)
        same = newest is not None and newest.sha256 == measure.sha256
        self._ledger.begin(measure)
        for record in self._records:
            mark = _mark_of(record, judged.get(record["run_id"]))
            if mark is not None and not (same and record["quality"].get(JUDGE) == mark):
                self._ledger.mark(record, JUDGE, mark["value"], mark["reason"], mark["parts"])

    def _write(self) -> None:
        report = self.report.to_json()
        # Scores, rationales and what is missing stand with each run, in its mark.
        del report["judged"]
        stopped = report["stopped"] if self.stopped is None else self.stopped.what
        block = {
            "schema": _SCHEMA,
            "study": self._reading.spec.name,
            "at": utc_now(),
            "tasks": list(self.by.tasks),
            **report,
            "stopped": stopped,
        }
        text = json.dumps(block, ensure_ascii=False, indent=2, allow_nan=False)
        write_whole(self._reading.folder / JUDGE_FILE, text.encode() + b"\n")


def _judge_of(reading: Reading, judging: Judging) -> JudgedBy:
    """The judge of a call.

    Raises:
        InputError: if none is named, or a task is none.
    """
    block = reading.spec.judge
    tasks = tasks_named(reading.spec, judging.tasks) or (() if block is None else block.tasks)
    if judging.target is not None:
        if judging.model is None:
            raise InputError("--target needs --model", hint="name the judge's model as its server knows it")
        block = JudgedBy(judging.target, judging.model)
    elif judging.model is not None:
        raise InputError(
            "--model needs --target",
            hint="give the URL of the judge's server, such as http://127.0.0.1:8000/v1",
        )
    if block is None:
        raise InputError(
            "the study names no judge",
            where=str(reading.folder),
            hint="give the study's file with a block judge by --spec, or --target and --model",
        )
    return replace(
        block,
        tasks=tasks,
        api_key_env=judging.api_key_env or block.api_key_env,
        settings={**block.settings, **judging.settings},
    )


def _item(reading: Reading, record: Mapping[str, Any]) -> Item:
    cell = reading.cell(record)
    return Item(record["run_id"], cell.prompt, record["generated_text"] or "", cell.references)


def _measure(spec: JudgeSpec) -> Measure:
    """The judge as a measure: all that decides a score, for any language of a question."""
    from hexgate.scorers.judge_prompt import RUBRIC_VERSION, Language, rubric_digest

    rubric = {"version": RUBRIC_VERSION, **{one.value: rubric_digest(one) for one in Language}}
    identity = {
        "definition": _DEFINITION,
        "judge": spec.identity(),
        "rubric": rubric,
        "language": spec.language,
    }
    return Measure(JUDGE, identity, higher_is_better=True)


def _mark_of(record: Mapping[str, Any], judged: Judged | None) -> dict[str, Any] | None:
    """The mark of a run; None where its reply is still to be judged."""
    if judged is None:
        return {"value": None, "reason": failed_run(record), "parts": {}}
    if not judged.settled:
        return None
    if judged.scores is None:
        return {"value": None, "reason": judged.missing, "parts": {"language": judged.language}}
    parts = {
        **judged.scores.to_json(),
        "total_without_conciseness": judged.scores.total_without_conciseness,
        "rationales": dict(judged.rationales),
        "repeats": [one.to_json() for one in judged.repeats],
        "language": judged.language,
    }
    return {"value": judged.scores.total, "reason": None, "parts": parts}
