"""The embedded default: a digit classifier together with a reference language model. Demonstration only."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from hexgate.targets.onnx import open_onnx
from hexgate.targets.options import OpenOptions

if TYPE_CHECKING:
    from hexgate.targets.base import Target

__all__ = ["open_demo"]

_MODEL = "hexgate.reference:digits_model"


def open_demo(uri: str, options: OpenOptions) -> Target:
    """Open the embedded classifier, and through its card the language model that belongs to it.

    Raises:
        FileNotFoundError: if this installation does not hold them.
    """
    module, _, name = _MODEL.partition(":")
    path = getattr(import_module(module), name)()
    target = open_onnx(str(path), options)
    subject = replace(target.subject, name="hexgate-demo", kind="demo", uri="demo:", demonstration=True)
    return replace(target, uri=uri, subject=subject)
