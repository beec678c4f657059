"""What of a load is shown by example, a bounded number of each: failures by reason, slow replies, and replies."""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.indicators.load_folder import LoadFolder, reply_lines, with_errors
from hexgate.load.measures.tokens import output_tokens
from hexgate.load.records import CHUNK, NEVER, Outcome

__all__ = ["failures", "sampled_replies", "slowest"]

_MOST_REASONS = 30
_MOST_TOLD_APART = 2000
_MOST_EXAMPLES = 3
_MOST_REASON = 160
_MOST_TEXT = 1000
_SLOWEST = 20
_REPLIES = 8
_CHANGING = re.compile(r"0x[0-9a-fA-F]+|[0-9]+")


def failures(load: LoadFolder) -> dict[str, Any]:
    """Requests that are not OK, warm-up included, by what became of them and why, whatever numbers the reason has.

    Returns:
        ``reasons``: the most frequent, each with ``outcome``, ``reason``, ``count`` and its first few ``examples``
        (``index``, ``error``); ``others``: how many failed for further reasons.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    others = 0
    for rows, errors in with_errors(load, CHUNK):
        failed = rows[rows["outcome"] != Outcome.OK]
        for index, number in zip(failed["index"].tolist(), failed["outcome"].tolist(), strict=True):
            outcome = Outcome(number).name.lower()
            error = errors.get(index)
            key = outcome, _alike(error or outcome)
            own = found.get(key)
            if own is None:
                if len(found) >= _MOST_TOLD_APART:
                    others += 1
                    continue
                own = found[key] = {"outcome": key[0], "reason": key[1], "count": 0, "examples": []}
            own["count"] += 1
            if len(own["examples"]) < _MOST_EXAMPLES:
                short = None if error is None else error[:_MOST_TEXT]
                own["examples"].append({"index": index, "error": short})
    ordered = sorted(found.values(), key=lambda reason: -int(reason["count"]))
    others += sum(int(reason["count"]) for reason in ordered[_MOST_REASONS:])
    return {"reasons": ordered[:_MOST_REASONS], "others": others}


def _alike(error: str) -> str:
    """An error with # for what changes from one to the next; its class, which may hold a status, stays."""
    kind, colon, detail = error[:_MOST_REASON].partition(":")
    return f"{kind}{colon}{_CHANGING.sub('#', detail)}"


def slowest(load: LoadFolder) -> list[dict[str, Any]]:
    """The timed requests that succeeded and took longest: from due, in a closed loop from the send."""
    kept: list[tuple[int, int, dict[str, Any]]] = []
    for rows in load.records.chunks():
        good = rows[(rows["outcome"] == Outcome.OK) & ~rows["warmup"] & (rows["end_ns"] != NEVER)]
        if not len(good):
            continue
        span = good["end_ns"] - np.where(good["due_ns"] != NEVER, good["due_ns"], good["sent_ns"])
        most = min(_SLOWEST, len(good))
        for place in np.argpartition(span, len(span) - most)[-most:].tolist():
            entry = (int(span[place]), -int(good["index"][place]), _told(good[place : place + 1]))
            (heapq.heappush if len(kept) < _SLOWEST else heapq.heappushpop)(kept, entry)
    return [told for _, _, told in sorted(kept, key=lambda entry: (-entry[0], -entry[1]))]


def _told(rows: NDArray[np.void]) -> dict[str, Any]:
    row = rows[0]

    def since(to: str, start: str) -> float | None:
        absent = NEVER in (row[to], row[start])
        return None if absent else float(row[to] - row[start]) / 1e6

    tokens = int(output_tokens(rows)[0][0])
    return {
        "index": int(row["index"]),
        "sent_s": float(row["sent_ns"]) / 1e9,
        "e2e_due_ms": since("end_ns", "due_ns"),
        "e2e_sent_ms": since("end_ns", "sent_ns"),
        "ttft_sent_ms": since("first_token_ns", "sent_ns"),
        "gap_max_ms": None if row["gap_max_ns"] == NEVER else float(row["gap_max_ns"]) / 1e6,
        "output_tokens": None if tokens == NEVER else tokens,
    }


def sampled_replies(load: LoadFolder) -> list[Mapping[str, Any]]:
    """A few replies with text, spread evenly over the load."""
    entry = load.artifact["evidence"].get("replies")
    if entry is None:
        return []
    every = max(int(entry["rows"]) // _REPLIES, 1)
    found: list[Mapping[str, Any]] = []
    wanted = 0
    for number, line in enumerate(reply_lines(load)):
        if number < wanted:
            continue
        reply = json.loads(line)
        if reply.get("error") is None and reply.get("text"):
            found.append(reply)
            wanted = number + every
            if len(found) == _REPLIES:
                break
    return found
