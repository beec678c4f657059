"""The dialects by name. Listing the names imports none of them."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from hexgate.errors import InputError

if TYPE_CHECKING:
    from hexgate.wire.base import Dialect

__all__ = ["DIALECTS", "dialect"]

DIALECTS: dict[str, str] = {
    "openai-chat": "hexgate.wire.openai_chat:OpenAIChat",
    "openai-completions": "hexgate.wire.openai_completions:OpenAICompletions",
    "ollama-generate": "hexgate.wire.ollama_generate:OllamaGenerate",
    "kserve-v2": "hexgate.wire.kserve_v2:KServeV2",
    "predict": "hexgate.wire.predict_json:PredictJson",
}


def dialect(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        InputError: if there is none; it names the nearest.
    """
    place = DIALECTS.get(name)
    if place is None:
        close = get_close_matches(name, DIALECTS, n=1)
        raise InputError(
            "no such dialect",
            got=repr(name),
            expected="one of " + ", ".join(DIALECTS),
            hint=f"did you mean {close[0]}?" if close else None,
        )
    module, _, attribute = place.partition(":")
    made: Dialect = getattr(import_module(module), attribute)()
    return made
