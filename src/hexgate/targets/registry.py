"""The kinds of target, and how one is found from a URI. Listing the kinds imports none of them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, cast

from hexgate.targets.kind import Kind, kind_of
from hexgate.targets.options import OpenOptions

if TYPE_CHECKING:
    from hexgate.targets.base import Target

__all__ = ["OPENERS", "OpenOptions", "open_target"]

OPENERS: dict[Kind, str] = {
    Kind.DEMO: "hexgate.targets.demo:open_demo",
    Kind.ONNX: "hexgate.targets.onnx:open_onnx",
    Kind.ENDPOINT: "hexgate.targets.endpoint:open_endpoint",
    Kind.TORCH: "hexgate.targets.planned:refuse_torch",
    Kind.HUGGING_FACE: "hexgate.targets.planned:refuse_hugging_face",
    Kind.GGUF: "hexgate.targets.planned:refuse_gguf",
}


def open_target(uri: str, *, options: OpenOptions | None = None) -> Target:
    """Open what is to be measured.

    Args:
        uri: ``demo:``; an ``.onnx`` file; an endpoint (``http://host:port/v1`` speaks OpenAI chat,
            ``…/v1/completions`` completions, ``…/v2/models/NAME`` KServe v2, any other path plain JSON
            predict); ``ollama://host:port/NAME``.
        options: how to open it.

    Returns:
        The open target; the caller closes it.

    Raises:
        InputError: if there is no such thing, or it is not what its name says.
        TargetUnusable: if this version cannot measure that kind of thing.
        TargetFailed: if an endpoint does not answer.
    """
    module, _, name = OPENERS[kind_of(uri)].partition(":")
    opener = cast("Callable[[str, OpenOptions], Target]", getattr(import_module(module), name))
    return opener(uri, options or OpenOptions())
