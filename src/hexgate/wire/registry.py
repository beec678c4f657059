"""The dialects by name. Listing the names imports none of them."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from hexgate.errors import InputError

if TYPE_CHECKING:
    from hexgate.wire.base import Dialect

__all__ = ["DIALECTS", "TEMPLATE", "dialect"]

DIALECTS: dict[str, str] = {
    "openai-chat": "hexgate.wire.openai_chat:OpenAIChat",
    "openai-completions": "hexgate.wire.openai_completions:OpenAICompletions",
    "openai-responses": "hexgate.wire.openai_responses:OpenAIResponses",
    "openai-embeddings": "hexgate.wire.openai_embeddings:OpenAIEmbeddings",
    "ollama-generate": "hexgate.wire.ollama_generate:OllamaGenerate",
    "ollama-chat": "hexgate.wire.ollama_chat:OllamaChat",
    "ollama-embed": "hexgate.wire.ollama_embed:OllamaEmbed",
    "triton-generate": "hexgate.wire.triton_generate:TritonGenerate",
    "tgi": "hexgate.wire.tgi:TGI",
    "kserve-v2": "hexgate.wire.kserve_v2:KServeV2",
    "predict": "hexgate.wire.predict_json:PredictJson",
}


TEMPLATE = "template"
"""How the name of a dialect begins that a file describes: ``template:FILE``."""


def dialect(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        InputError: if there is none (it names the nearest), or the file of a template describes none.
    """
    kind, _, file = name.partition(":")
    if kind == TEMPLATE:
        from hexgate.wire.template import TemplateDialect

        return TemplateDialect.read(file)
    place = DIALECTS.get(name)
    if place is None:
        close = get_close_matches(name, DIALECTS, n=1)
        raise InputError(
            "no such dialect",
            got=repr(name),
            expected=f"one of {', '.join(DIALECTS)}, {TEMPLATE}:FILE",
            hint=f"did you mean {close[0]}?" if close else None,
        )
    module, _, attribute = place.partition(":")
    made: Dialect = getattr(import_module(module), attribute)()
    return made
