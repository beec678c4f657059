"""What a visit asks its model: the requests of its runs, and those that warm it up."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from hexgate.contract.canonical import sha256_bytes
from hexgate.study.asking import ask_once
from hexgate.study.design import Run
from hexgate.study.opening import Opened
from hexgate.study.spec import Spec
from hexgate.wire.base import Ask

__all__ = ["ask_of", "cold_start", "nonce_of", "warm_up_once"]

_WARM_UP_PROMPT = "Name the days of the week, and say one sentence about each."
_WARM_UP_TOKENS = 64


def ask_of(run: Run, model: str, options: Mapping[str, Any], spec: Spec, nonce: str | None) -> Ask:
    """The request of a run.

    Args:
        run: the run.
        model: what the server calls its model.
        options: further fields of the body.
        spec: the study.
        nonce: a short text of its own; None for the prompt as it is.
    """
    request, cell = spec.request, run.cell
    # In front of all that the model reads: a cache of prompts compares from the beginning.
    front = "" if nonce is None else f"[{nonce}]\n"
    system = None if cell.system is None else front + cell.system
    return Ask(
        prompt=cell.prompt if system is not None else front + cell.prompt,
        system=system,
        model=model,
        max_tokens=cell.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        seed=request.seed,
        stop=request.stop,
        options=options,
    )


def warm_up_once(opened: Opened, options: Mapping[str, Any], spec: Spec, name: str) -> dict[str, Any]:
    """Make one request that is told apart from the runs.

    Args:
        opened: the server.
        options: further fields of the body.
        spec: the study.
        name: what its nonce is made of.

    Returns:
        ``latency_seconds``, ``output_tokens`` and ``failure``, as the begin of a visit has them.
    """
    ask = Ask(
        prompt=f"[{nonce_of(name)}]\n{_WARM_UP_PROMPT}",
        model=opened.served_model,
        max_tokens=min(_WARM_UP_TOKENS, spec.request.max_tokens),
        temperature=spec.request.temperature,
        top_p=spec.request.top_p,
        seed=spec.request.seed,
        options=options,
    )
    asked = ask_once(opened.line, ask)
    stamps, failure = asked.stamps, asked.failure
    return {
        "latency_seconds": (stamps.end_ns - stamps.sent_ns) / 1e9 if failure is None else None,
        "output_tokens": asked.usage.output_tokens,
        "failure": None if failure is None else f"{failure.kind}: {failure.detail}",
    }


def cold_start(warm_up: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """What to say where a model was not warmed up as planned."""
    failures = [str(one["failure"]) for one in warm_up if one["failure"] is not None]
    if not failures:
        return ()
    return (f"{len(failures)} of {len(warm_up)} warm-up requests failed ({failures[0]})",)


def nonce_of(name: str) -> str:
    """Twelve hex digits that no earlier request has had."""
    return sha256_bytes(f"{name}/{time.time_ns()}".encode())[:12]
