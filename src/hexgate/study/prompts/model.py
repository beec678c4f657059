"""The five levels of questions, written by a language model and checked: what it does not give is missing.

L0 is the question. L1, L2 and L3 are asked for one after the other, each as the one before with something added. A
reply counts if it holds the question word for word and is longer than the level before. P is made by the template: a
text without information needs no model.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from hexgate.contract.canonical import canonical_bytes, sha256_bytes
from hexgate.errors import EvidenceError, Interrupted, TargetFailed, TargetUnusable
from hexgate.scorers.judge_pace import back_off_s
from hexgate.study.lines import Lines
from hexgate.study.prompts.levels import RISING, Leveled
from hexgate.study.prompts.orders import ORDERS, SYSTEM, order
from hexgate.study.prompts.padding import Padding
from hexgate.study.prompts.questions import Question
from hexgate.study.prompts.template import Template
from hexgate.targets.base import GenerateOptions, Generator, Target

__all__ = ["DEFINITION", "LEDGER_FILE", "Made", "Making", "Missing", "Watching", "fault_of", "make_levels"]

LEDGER_FILE = "prompts.jsonl"
"""Every level that a model gave, and every one that it did not give, one a line."""
DEFINITION = "hexgate-prompts/1"
"""What is asked of the model, and which replies count."""

_REPLY = re.compile(r"<prompt>(.*)</prompt>", re.DOTALL)
_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_WHOLE = frozenset({None, "stop"})
_NEVER_BETTER = frozenset(
    {"http_401", "http_402", "http_403", "http_404", "http_405", "http_407", "redirect"}
)
_PASSING = frozenset({"timeout", "connection", "http_408", "http_409", "http_425", "http_429"})
_AGAIN_TEMPERATURE = 0.7
"""Of every attempt but the first: at 0 a model would say the same again."""
_KEPT_CHARACTERS = 2000


@dataclass(frozen=True)
class Making:
    """How a model is asked."""

    attempts: int = 3
    """Replies that are asked for before a level is missing."""
    max_tokens: int = 2048
    """Most tokens of a reply."""
    tries: int = 6
    """Calls in a row that nobody answers before the making ends."""
    wait: Callable[[float], None] = time.sleep
    """Waits so many seconds between such calls."""


@dataclass(frozen=True)
class Missing:
    """A level that the model did not give."""

    question: Question
    """Of which question."""
    level: str
    """The first level that is missing; those above it need it."""
    reason: str
    """What was wrong with its last reply."""


@dataclass(frozen=True)
class Made:
    """What came of it."""

    rows: tuple[Leveled, ...]
    """The questions that have every level."""
    missing: tuple[Missing, ...]
    """One for each of the others."""
    asked: int
    """Replies of this call; what the ledger held was not asked for again."""


class Watching(Protocol):
    """Who is told of progress."""

    def made(self, question: Question, level: str) -> None:
        """A level is there."""

    def lacking(self, missing: Missing) -> None:
        """A question will not have all of its levels."""


def make_levels(
    questions: Sequence[Question],
    target: Target,
    template: Template,
    padding: Padding,
    folder: Path,
    making: Making,
    watching: Watching,
) -> Made:
    """Have a model write the levels of questions; what its ledger in the folder holds is taken from there.

    Raises:
        TargetUnusable: if the target gives no text.
        TargetFailed: if it does not answer, or refuses the calls; what was made is kept.
        Interrupted: on Ctrl-C; what was made is kept.
        EvidenceError: if the ledger is none of ours.
        OSError: if it cannot be written.
    """
    if target.generator is None:
        raise TargetUnusable("this target gives no text", where=target.uri)
    identity = {
        "definition": DEFINITION,
        "orders": sha256_bytes(canonical_bytes([SYSTEM, ORDERS])),
        "target": target.uri,
        "model": target.subject.served_model or target.subject.name,
        "max_tokens": making.max_tokens,
    }
    maker = _Maker(target.generator, target.uri, identity, folder / LEDGER_FILE, making)
    rows: list[Leveled] = []
    missing: list[Missing] = []
    try:
        for question in questions:
            levels = {"L0": question.text}
            for before, level in pairwise(RISING):
                text, reason = maker.level(question, level, levels[before])
                if text is None:
                    missing.append(Missing(question, level, reason))
                    watching.lacking(missing[-1])
                    break
                levels[level] = text
                watching.made(question, level)
            else:
                levels["P"] = template.padded(question, levels[padding.on], padding)
                rows.append(Leveled(question.id, question.category, levels, question.fields))
    except KeyboardInterrupt:
        raise Interrupted(
            "the making of prompts was stopped",
            got=f"{len(rows)} of {len(questions)} questions",
            hint="what was made is kept; run the same command again to go on",
        ) from None
    finally:
        maker.close()
    return Made(tuple(rows), tuple(missing), maker.asked)


def fault_of(text: str, question: str, before: str) -> str | None:
    """Why a text cannot be the next level of a question; None where it can.

    Args:
        text: the text.
        question: the question, which it must hold word for word; spaces and line breaks may differ.
        before: the level before, which must be shorter.
    """
    if not text.strip():
        return "it is empty"
    if "\0" in text:
        return "it holds a null character"
    if " ".join(question.split()) not in " ".join(text.split()):
        return "it does not hold the question word for word"
    if len(text) <= len(before):
        return f"it has {len(text)} characters, the level before has {len(before)}"
    return None


class _Maker:
    """Asks for levels one at a time, and writes each down."""

    def __init__(
        self, generator: Generator, where: str, identity: Mapping[str, Any], ledger: Path, making: Making
    ) -> None:
        self._generator = generator
        self._where = where
        self._identity = dict(identity)
        self._making = making
        self.asked = 0
        self._lines = Lines(ledger)
        self._texts: dict[str, str] = {}
        try:
            for row in self._lines.rows():
                if row["text"] is not None:
                    self._texts[str(row["key"])] = str(row["text"])
        except (KeyError, TypeError) as error:
            self._lines.close()
            raise EvidenceError(
                f"a line of the prompts is none of ours ({error})", where=str(ledger)
            ) from None
        except BaseException:
            self._lines.close()
            raise

    def level(self, question: Question, level: str, before: str) -> tuple[str | None, str]:
        """The text of a level; or None, and why there is none.

        Raises:
            TargetFailed: if the target does not answer, or refuses the calls.
            OSError: if the disk does not take it.
        """
        key = sha256_bytes(canonical_bytes([self._identity, level, question.text, before]))
        kept = self._texts.get(key)
        if kept is not None:
            return kept, ""
        asked = order(level, question.lang, before)
        text: str | None = None
        reason, said, attempt = "", "", 0
        while text is None and attempt < self._making.attempts:
            attempt += 1
            found, said = self._reply(asked, attempt)
            reason = found if found is not None else ""
            if found is None:
                inner = _inner(said)
                if inner is None:
                    reason = "the reply does not hold one text between <prompt> and </prompt>"
                else:
                    reason = fault_of(inner, question.text, before) or ""
                    text = None if reason else inner
        row = {
            "key": key,
            "question_id": question.id,
            "category": question.category,
            "level": level,
            "text": text,
            "reason": reason or None,
            "attempts": attempt,
            "reply": None if text is not None else said[:_KEPT_CHARACTERS],
            "made_by": self._identity,
        }
        self._lines.append(row)
        return text, reason

    def close(self) -> None:
        """Close the ledger."""
        self._lines.close()

    def _reply(self, asked: str, attempt: int) -> tuple[str | None, str]:
        """Why a reply cannot be used, or None; and its text.

        Raises:
            TargetFailed: if there is none, and there will be none.
        """
        options = GenerateOptions(
            max_tokens=self._making.max_tokens,
            temperature=0.0 if attempt == 1 else _AGAIN_TEMPERATURE,
            seed=attempt,
            system=SYSTEM,
        )
        failures = 0
        while True:
            reply = self._generator.generate(asked, options)
            if reply.error is None:
                self.asked += 1
                cut = reply.finish_reason not in _WHOLE
                reason = f"the reply did not end by itself (finish: {reply.finish_reason})" if cut else None
                return reason, reply.text or ""
            kind = reply.error.partition(":")[0]
            if kind in _NEVER_BETTER:
                raise self._failed("the endpoint refuses the calls", reply.error)
            if kind not in _PASSING and not kind.startswith("http_5"):
                self.asked += 1
                return reply.error, ""
            failures += 1
            if failures >= self._making.tries:
                raise self._failed(f"the endpoint has not answered {failures} calls in a row", reply.error)
            self._making.wait(back_off_s(failures))

    def _failed(self, what: str, error: str) -> TargetFailed:
        return TargetFailed(
            what,
            where=self._where,
            got=error,
            hint="what was made is kept; run the same command again to go on",
        )


def _inner(reply: str) -> str | None:
    """The one text between the tags of a reply; None where there is none, or more than one."""
    found = _REPLY.search(_THOUGHTS.sub("", reply))
    if found is None or "<prompt>" in found[1] or "</prompt>" in found[1]:
        return None
    return found[1].strip()
