"""What a load is told of that got no answer at all: the target's words, and what to check."""

from __future__ import annotations

import json
from dataclasses import replace

from hexgate.errors import HexgateError, TargetFailed
from hexgate.indicators.sheet import Measured
from hexgate.load.records import Outcome, Records

__all__ = ["told_where_none_answered"]

_MOST_SAID = 300
_CHECKS = {
    400: "check the model's name, --max-tokens and --extra-body",
    401: "check the API key: --api-key-env names the environment variable that holds it",
    403: "check what the API key may do: --api-key-env names the environment variable that holds it",
    404: "check the model's name (--model) and the path of the address",
    422: "check --dialect and --extra-body",
    429: "the server refuses so many requests: ask for a lower rate or --concurrency",
}
"""What to do where all requests failed with one HTTP status."""


def told_where_none_answered(measured: Measured, stopped: HexgateError | None) -> Measured:
    """Where not one request got an answer, that is the target's failure, told in the target's words."""
    counts = measured.artifact.data["counts"]
    if stopped is not None or counts["succeeded"] or not counts["errored"]:
        return measured
    failed = TargetFailed(
        f"no request succeeded: all {counts['errored']} failed",
        where=str(measured.artifact.data["subject"]["uri"]),
        got=_first_error(measured),
        hint=f"{_what_to_check(measured)}; every reply is kept in load.replies.jsonl",
    )
    return replace(measured, error=failed)


def _what_to_check(measured: Measured) -> str:
    reader = measured.artifact.evidence()
    outcomes: set[int] = set()
    statuses: set[int] = set()
    for rows in Records.open(reader.path("requests")).chunks():
        failed = rows[rows["outcome"] != Outcome.NOT_SENT]
        outcomes |= set(failed["outcome"].tolist())
        statuses |= set(failed["http_status"].tolist())
    if outcomes == {Outcome.TIMEOUT}:
        return "give replies longer with --timeout-s, or ask for fewer tokens or a lower rate"
    return _CHECKS.get(statuses.pop() if len(statuses) == 1 else 0, "look at the server's log")


def _first_error(measured: Measured) -> str | None:
    """What became of the first request that failed."""
    reader = measured.artifact.evidence()
    if "replies" not in reader.names:
        return None
    with reader.path("replies").open("rb") as file:
        for line in file:
            if error := json.loads(line).get("error"):
                return str(error)[:_MOST_SAID]
    return None
