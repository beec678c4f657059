"""A text model in this process, as a generator."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from hexgate.errors import InputError
from hexgate.targets.base import GenerateOptions, Generator, Reply

__all__ = ["LocalGenerator", "TextModel", "open_text_model"]

_REFERENCE = "hexgate.reference.language_model:ReferenceLM"


class TextModel(Protocol):
    """What makes text, token by token."""

    def generate(
        self, prompt: str, *, max_tokens: int, temperature: float, top_p: float | None, seed: int | None
    ) -> Iterator[str]:
        """The pieces of a reply, one a token."""

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has."""


class LocalGenerator:
    """A text model that answers in this process."""

    def __init__(self, model: TextModel) -> None:
        self._model = model

    def generate(self, prompt: str, options: GenerateOptions) -> Reply:
        """One reply. It was cut at `max_tokens` if it has that many tokens and was not over."""
        asked = _prompt(prompt, options)
        # One token more than is wanted tells a reply that was cut from one that ended just there.
        pieces = list(self._pieces(asked, options, options.max_tokens + 1))
        kept = pieces[: options.max_tokens]
        return Reply(
            "".join(kept),
            finish_reason="stop" if len(pieces) == len(kept) else "length",
            prompt_tokens=self._model.count_tokens(asked),
            output_tokens=len(kept),
        )

    def stream(self, prompt: str, options: GenerateOptions) -> Iterator[str]:
        """The reply in pieces, one a token."""
        return self._pieces(_prompt(prompt, options), options, options.max_tokens)

    def _pieces(self, prompt: str, options: GenerateOptions, max_tokens: int) -> Iterator[str]:
        return self._model.generate(
            prompt,
            max_tokens=max_tokens,
            temperature=options.temperature,
            top_p=options.top_p,
            seed=options.seed,
        )


def open_text_model(path: Path) -> Generator:
    """Open a reference language model file.

    Raises:
        InputError: if it is missing or is none.
    """
    if not path.is_file():
        raise InputError(
            "the text model that the card names is not there",
            where=str(path),
            hint="mend 'generator' in the card, or take it out",
        )
    module, _, name = _REFERENCE.partition(":")
    return LocalGenerator(cast("TextModel", getattr(import_module(module), name).load(path)))


def _prompt(prompt: str, options: GenerateOptions) -> str:
    return prompt if options.system is None else f"{options.system}\n\n{prompt}"
