"""What a judge is asked: an anchored rubric, one question with one answer, and a schema for the reply.

The prompt shows the question, references where there are any, and the answer; never the model, the level of the prompt,
an id or any other score. Texts from outside stand between two lines that hold a nonce, which is a digest of the texts
themselves, so that no answer can contain the line that ends it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

from hexgate.contract.canonical import canonical_bytes, sha256_bytes
from hexgate.scorers.judge_rubric import ANCHORS, REPLY_FORM, RULES, TITLES
from hexgate.scorers.normalise import HAN

__all__ = [
    "DIMENSIONS",
    "RUBRIC_VERSION",
    "STEPS",
    "Language",
    "nonce_of",
    "question_text",
    "response_schema",
    "rubric_digest",
    "rubric_language",
    "rubric_text",
]

RUBRIC_VERSION = "hexgate-judge/1"
"""The rubric by name. Its texts do not change under one name; a test compares their digest."""

DIMENSIONS = ("factuality", "helpfulness", "structure", "conciseness")
"""What is scored, in the order in which it is asked for."""

STEPS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
"""The scores that exist in each dimension."""

_HAN = re.compile(f"[{HAN}]")
_WORD = re.compile("[A-Za-z]+")


class Language(str, Enum):
    """The language of a rubric."""

    EN = "en"
    """English."""
    ZH = "zh"
    """Chinese."""


def rubric_language(question: str) -> Language:
    """Chinese where a question has more Chinese characters than Latin words, else English."""
    return Language.ZH if len(_HAN.findall(question)) > len(_WORD.findall(question)) else Language.EN


@lru_cache
def rubric_text(language: Language) -> str:
    """The system message: the task, every anchored step of every dimension, and the form of the reply."""
    lang = language.value
    parts = [RULES[lang]]
    for dimension in DIMENSIONS:
        steps = zip(STEPS, ANCHORS[lang][dimension], strict=True)
        parts.append(f"{TITLES[lang][dimension]}\n" + "\n".join(f"{step:g}: {text}" for step, text in steps))
    parts.append(REPLY_FORM[lang])
    return "\n\n".join(parts)


def question_text(
    question: str,
    references: Sequence[str],
    answer: str,
    *,
    nonce: str,
    language: Language,
    again: bool = False,
) -> str:
    """The user message: the texts, each between its two lines.

    Args:
        question: what was asked.
        references: answers that are known to be right; may be empty.
        answer: what is to be judged.
        nonce: from `nonce_of`.
        language: of the words around the texts.
        again: whether an earlier reply could not be used.
    """
    chinese = language is Language.ZH
    names = (
        ("问题", "参考答案", "待评分的回答")
        if chinese
        else ("QUESTION", "REFERENCE ANSWER", "ANSWER TO GRADE")
    )
    begin, end = ("开始", "结束") if chinese else ("BEGIN", "END")

    def fenced(name: str, text: str) -> str:
        return f"[{begin} {name} {nonce}]\n{text}\n[{end} {name} {nonce}]"

    parts = [fenced(names[0], question)]
    parts += [fenced(names[1], reference) for reference in references]
    parts.append(fenced(names[2], answer))
    if chinese:
        parts.append(f"只有带 {nonce} 的行才是分界。现在请给出 JSON 评分对象。")
    else:
        parts.append(f"Only lines with {nonce} are borders. Now give the JSON object with your grades.")
    if again:
        chinese_words = "上一次回复无法使用。只回复该 JSON 对象。"
        words = "Your last reply could not be used. Reply with that JSON object alone."
        parts.append(chinese_words if chinese else words)
    return "\n\n".join(parts)


def nonce_of(key: str, attempt: int, texts: Sequence[str]) -> str:
    """Sixteen hex digits that stand in none of the texts.

    Args:
        key: digest over all that decides the judgement, the texts included.
        attempt: number of the attempt; each has another nonce.
        texts: where it must not occur.
    """
    for salt in range(1000):
        nonce = hashlib.sha256(f"{key}:{attempt}:{salt}".encode()).hexdigest()[:16]
        if not any(nonce in text for text in texts):
            return nonce
    raise AssertionError("a thousand digests stand in one text")


def response_schema() -> dict[str, Any]:
    """The JSON schema of a reply: for every dimension a rationale, then a score on the grid; no total."""
    # Whole numbers are written as such, because a grammar made of this schema takes the literals as they stand.
    grid = [int(step) if step == int(step) else step for step in STEPS]
    one = {
        "type": "object",
        "properties": {
            "rationale": {"type": "string"},
            "score": {"type": "number", "enum": grid},
        },
        "required": ["rationale", "score"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": dict.fromkeys(DIMENSIONS, one),
        "required": list(DIMENSIONS),
        "additionalProperties": False,
    }


@lru_cache
def rubric_digest(language: Language) -> str:
    """SHA-256, in hex, of all that the judge is told beside the texts: rubric, schema, and the words around them."""
    around = question_text("", ("",), "", nonce="", language=language, again=True)
    told = "\0".join((RUBRIC_VERSION, rubric_text(language), around))
    return sha256_bytes(told.encode() + b"\0" + canonical_bytes(response_schema()))
