"""A tokenizer from its file ``tokenizer.json``: how many tokens a text has, and texts of exactly so many."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hexgate.errors import DataError, InputError, MissingExtra

__all__ = ["Tokenizer"]

_MOST_TRIED = 32
_FILLERS = (" a", " the", ".", "\n", "!")


class Tokenizer:
    """Counts tokens as the model of the file does, without the tokens that a chat template adds."""

    def __init__(self, path: Path, inner: Any, sha256: str) -> None:
        self.path = path
        """Its file."""
        self.sha256 = sha256
        """Digest of the file's bytes, in hex."""
        self._inner = inner
        self._per_word = 1.3

    @classmethod
    def read(cls, path: str | Path) -> Tokenizer:
        """Read a file of the library ``tokenizers``.

        Raises:
            MissingExtra: if the library is not installed.
            DataError: if the file is not one.
        """
        try:
            import tokenizers
        except ImportError:
            raise MissingExtra("llm", "counting tokens with --tokenizer") from None
        file = Path(path)
        file = file / "tokenizer.json" if file.is_dir() else file
        try:
            data = file.read_bytes()
        except OSError as error:
            raise DataError(
                f"the tokenizer cannot be read ({error.strerror})",
                where=str(file),
                hint="check the path given with --tokenizer",
            ) from None
        try:
            inner = tokenizers.Tokenizer.from_buffer(data)
        except Exception as error:  # noqa: BLE001 - the library raises no narrower class
            raise DataError(
                "this is not a tokenizer",
                where=str(file),
                got=" ".join(str(error).split())[:200],
                expected="the tokenizer.json that lies beside a model's weights",
            ) from None
        # A file may say that it cuts or fills up what it encodes: then it would count that.
        inner.no_truncation()
        inner.no_padding()
        return cls(file, inner, hashlib.sha256(data).hexdigest())

    def to_json(self) -> dict[str, Any]:
        """What an artifact says of it."""
        return {"name": self.path.name, "sha256": self.sha256}

    def count(self, text: str) -> int:
        """Tokens of a text."""
        return len(self._inner.encode(text, add_special_tokens=False).ids)

    def exactly(self, make: Callable[[int], str], tokens: int) -> str:
        """A text of exactly so many tokens.

        Args:
            make: gives a text of so many words; the longer one begins with the shorter.
            tokens: how many it is to have.

        Raises:
            InputError: if no beginning of the text, nor one with a few short words behind it, has that many.
        """
        words = int(tokens / self._per_word * 1.05) + 8
        while True:
            text = make(words)
            encoded = self._inner.encode(text, add_special_tokens=False)
            if len(encoded.ids) >= tokens:
                break
            words = 2 * words
        self._per_word = max(len(encoded.ids) / words, 0.1)
        for kept in range(tokens, max(tokens - _MOST_TRIED, 0), -1):
            # A text that is cut may have its last letters in other tokens than the whole had.
            begun = text[: encoded.offsets[kept - 1][1]]
            lacking = tokens - self.count(begun)
            if lacking == 0:
                return begun
            for filler in _FILLERS if lacking > 0 else ():
                filled = begun + filler * lacking
                if self.count(filled) == tokens:
                    return filled
        raise InputError(f"no text of exactly {tokens} tokens can be made", where=str(self.path))
