"""The five levels of a question, put together from the words of a template: the same bytes each time.

L0 is the question. L1 adds role, audience and form, L2 numbered steps, L3 finished examples; each holds the one before
it whole. P has sentences without information in front of L3 or L0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hexgate.contract.canonical import sha256_bytes
from hexgate.errors import InputError
from hexgate.resources import shipped
from hexgate.study.keys import Keys
from hexgate.study.plain_yaml import read_plain_yaml
from hexgate.study.prompts.padding import Padding
from hexgate.study.prompts.questions import Question

__all__ = ["BUILT_IN", "Template", "Words", "read_template"]

BUILT_IN = "examples/studies/prompt_template.yaml"
"""The template that ships with hexgate."""
ANY = "any"
"""The words for categories that a template does not name."""

_VERSION = 1
_LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Words:
    """What is put around the questions of one category."""

    role: str
    """Who answers."""
    audience: str
    """For whom."""
    form: str
    """In which form."""
    steps: tuple[str, ...]
    """How to go about it."""
    examples: tuple[tuple[str, str], ...]
    """Questions of the kind with finished answers."""


@dataclass(frozen=True)
class _Language:
    """The words of one language."""

    steps: str
    """What stands before the steps."""
    examples: str
    """What stands before the examples."""
    question: str
    """What an example's question is called."""
    answer: str
    """What an example's answer is called."""
    last: str
    """What stands behind the examples."""
    joint: str
    """What stands between two sentences."""
    padding: tuple[str, ...]
    """Sentences without information."""
    categories: Mapping[str, Words]
    """The words of each category."""


@dataclass(frozen=True)
class Template:
    """All words of a template."""

    path: Path
    """Its file."""
    sha256: str
    """Digest of the file, in hex."""
    languages: Mapping[str, _Language]
    """By ``en`` and ``zh``."""

    def levels(self, question: Question, padding: Padding) -> dict[str, str]:
        """The prompts of a question by level.

        Raises:
            InputError: if the template has no words for its language or category.
        """
        language = self._language(question)
        words = language.categories.get(question.category) or language.categories.get(ANY)
        if words is None:
            raise InputError(
                f"the template has no words for the category {question.category!r}",
                where=f"{self.path}: {question.lang}.categories",
                expected=f"one of that name, or {ANY}",
            )
        clarified = f"{words.role}\n\n{question.text}\n\n{words.audience}\n{words.form}"
        steps = "\n".join(f"{number}. {step}" for number, step in enumerate(words.steps, start=1))
        guided = f"{clarified}\n\n{language.steps}\n{steps}"
        pairs = [
            f"{language.question}\n{asked}\n{language.answer}\n{answer}" for asked, answer in words.examples
        ]
        shown = "\n\n".join([guided, language.examples, *pairs, language.last])
        made = {"L0": question.text, "L1": clarified, "L2": guided, "L3": shown}
        return {**made, "P": self.padded(question, made[padding.on], padding)}

    def padded(self, question: Question, text: str, padding: Padding) -> str:
        """A prompt with sentences that carry no information in front of it.

        Raises:
            InputError: if the template has no words for the question's language.
        """
        language = self._language(question)
        return f"{padding.text(language.padding, language.joint)}\n\n{text}"

    def _language(self, question: Question) -> _Language:
        found = self.languages.get(question.lang)
        if found is None:
            raise InputError(
                f"the template has no words for the language {question.lang}",
                where=str(self.path),
                got=f"question {question.id}",
                expected="a block of that name",
            )
        return found


def read_template(path: Path | None) -> Template:
    """Read a template.

    Args:
        path: its YAML file; None for the one that ships with hexgate.

    Raises:
        InputError: at its first mistake, with the path of the key.
    """
    file = shipped(BUILT_IN) if path is None else path
    if not file.is_file():
        raise InputError("there is no such template", where=str(file))
    keys = Keys(read_plain_yaml(file), str(file))
    version = keys.raw("version")
    if version != _VERSION:
        keys.refuse(
            "version", "this version of a template is not understood", got=repr(version), expected="1"
        )
    languages: dict[str, _Language] = {}
    for name in _LANGUAGES:
        block = keys.raw(name)
        if block is not None:
            languages[name] = _language(keys.inner(name, block))
    keys.end()
    if not languages:
        raise InputError("the template has no language", where=str(file), expected="a block en or zh")
    return Template(file, sha256_bytes(file.read_bytes()), languages)


def _language(keys: Keys) -> _Language:
    padding = keys.texts("padding")
    if not padding:
        keys.refuse("padding", "padding is missing", got="nothing", expected="a list of sentences")
    joint = keys.raw("joint")
    if not isinstance(joint, str):
        keys.refuse(
            "joint", "joint is not a text", got=repr(joint), expected="what stands between two sentences"
        )
    blocks = keys.plain("categories")
    inner = keys.inner("categories", blocks)
    language = _Language(
        steps=keys.text("steps"),
        examples=keys.text("examples"),
        question=keys.text("question"),
        answer=keys.text("answer"),
        last=keys.text("last"),
        joint=joint,
        padding=padding,
        categories={name: _words(inner.inner(name, block)) for name, block in blocks.items()},
    )
    keys.end()
    return language


def _words(keys: Keys) -> Words:
    steps = keys.texts("steps")
    if not steps:
        keys.refuse("steps", "steps is missing", got="nothing", expected="a list of texts")
    examples: list[tuple[str, str]] = []
    for one in keys.each("examples"):
        examples.append((one.text("question"), one.text("answer")))
        one.end()
    words = Words(keys.text("role"), keys.text("audience"), keys.text("form"), steps, tuple(examples))
    keys.end()
    return words
