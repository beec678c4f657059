"""One judgement that is to be made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hexgate.contract.canonical import sha256_bytes
from hexgate.scorers.judge_prompt import Language, nonce_of, question_text, response_schema, rubric_text
from hexgate.scorers.judge_spec import JudgeSpec
from hexgate.wire.base import Ask, WireRequest
from hexgate.wire.openai_chat import OpenAIChat

__all__ = ["PLAIN", "SCHEMA", "Task"]

SCHEMA = "json_schema"
"""The form of the reply is asked for by a schema, which the server enforces."""
PLAIN = "plain"
"""It is asked for in words alone."""


@dataclass(frozen=True)
class Task:
    """One question with one answer, to be judged once."""

    key: str
    """Digest of all that the judgement depends on."""
    repeat: int
    """0 for the first judgement of an answer, then 1, 2, ..."""
    language: Language
    """Language of the rubric."""
    question: str
    """What was asked."""
    references: tuple[str, ...]
    """Right answers, if there are some."""
    answer: str
    """What is judged."""

    def again(self, repeat: int) -> Task:
        """The same as a further judgement, with a key of its own; 0 is this one."""
        return (
            replace(self, repeat=repeat, key=sha256_bytes(f"{self.key}:{repeat}".encode()))
            if repeat
            else self
        )

    def request(self, spec: JudgeSpec, *, malformed: int, form: str) -> WireRequest:
        """What is sent.

        Args:
            spec: who judges.
            malformed: replies so far that could not be read; each changes nonce and seed, lest the same comes back.
            form: `SCHEMA` or `PLAIN`.
        """
        texts = (self.question, *self.references, self.answer)
        schema: dict[str, Any] = {"name": "grades", "strict": True, "schema": response_schema()}
        fields = {"response_format": {"type": "json_schema", "json_schema": schema}} if form == SCHEMA else {}
        ask = Ask(
            prompt=question_text(
                self.question,
                self.references,
                self.answer,
                nonce=nonce_of(self.key, malformed, texts),
                language=self.language,
                again=malformed > 0,
            ),
            system=rubric_text(self.language),
            model=spec.model,
            max_tokens=spec.max_tokens,
            temperature=spec.temperature,
            seed=spec.seed + self.repeat + spec.repeats * malformed,
            stream=False,
            options={**fields, **spec.options},
        )
        return OpenAIChat().request(ask)
