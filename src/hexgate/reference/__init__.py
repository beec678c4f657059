"""The embedded default: a small classifier, a small language model, their data and where they lie.

All of it is demonstration: it proves that the gate works on a machine, and says nothing of other models.
"""

from __future__ import annotations

from pathlib import Path

from hexgate.resources import shipped

__all__ = ["digits_card", "digits_data", "digits_model", "lm_model", "prompts"]


def digits_model() -> Path:
    """The digit classifier, an ONNX file.

    Raises:
        FileNotFoundError: if this installation does not hold it; so too for the functions below.
    """
    return shipped("examples/digits/model.onnx")


def digits_data() -> Path:
    """The held-out images of the digit classifier, JSON lines."""
    return shipped("examples/digits/val.jsonl")


def digits_card() -> Path:
    """The card of the released system: the digit classifier and the language model."""
    return shipped("examples/digits/card.json")


def lm_model() -> Path:
    """The n-gram counts of the reference language model."""
    return shipped("examples/lm/lm.json")


def prompts() -> Path:
    """The bilingual prompts for the toxicity indicator, JSON lines."""
    return shipped("examples/prompts/prompts.jsonl")
