"""Which domains a sum may have: nothing twice, and nothing that is only a part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hexgate.meters.base import Domain, Scope

__all__ = ["CONTAINS", "UNSTATED", "contains", "countable", "doubts", "unstated"]

CONTAINS: Mapping[Scope, frozenset[Scope]] = {
    Scope.HOST: frozenset({Scope.BOARD, Scope.MODULE, Scope.PACKAGE, Scope.DRAM, Scope.RAIL, Scope.PSYS}),
    Scope.PSYS: frozenset({Scope.PACKAGE, Scope.DRAM}),
    Scope.MODULE: frozenset({Scope.BOARD, Scope.PACKAGE, Scope.RAIL}),
}
"""What each scope contains."""
UNSTATED = "the meter's own error is not stated"
"""Why the uncertainty of a figure is not known, where all else of it is."""
_IMPORTED = "imported"
_PART = ("energy of ", "GPU ")
_NO_PART = "energy of single MIG instances"


def contains(outer: Domain, inner: Domain) -> bool:
    """Whether one domain contains another, or may.

    A meter that shows several boards shows each by itself: the module of one GPU does not hold another GPU.
    """
    if inner.scope not in CONTAINS.get(outer.scope, frozenset()):
        return False
    boards = outer.scope is Scope.MODULE and inner.scope is Scope.BOARD
    return not (boards and outer.source == inner.source and outer.device != inner.device)


def countable(domains: Sequence[Domain]) -> tuple[Domain, ...]:
    """The domains of which `windows.total` may take the sum, in their order.

    What another of them contains is left out, and so is every supply rail: one is a part of its board, and which of
    them make up the whole is for the meter to say, by a domain of the whole. Where nothing but rails is read, nothing
    is left, and there is no total. An imported domain is left out beside a built-in one of its scope, which it may
    cover.
    """
    return tuple(
        domain
        for domain in domains
        if domain.scope is not Scope.RAIL
        and not any(contains(other, domain) for other in domains)
        and _covered_by(domain, domains) is None
    )


def doubts(domains: Sequence[Domain], unavailable: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Why the sum over the countable ones may not be the whole; empty where nothing speaks against it.

    Args:
        domains: all that were read.
        unavailable: what could not be read, as `base.Unavailable.to_json` writes it.
    """
    if any(domain.scope is Scope.HOST for domain in domains):
        return ()
    reasons = [
        f"{lack['what']} is not in it ({lack['meter']}: {lack['reason']})"
        for lack in unavailable
        if lack["what"].startswith(_PART) and not lack["what"].startswith(_NO_PART)
    ]
    for inner in domains:
        if inner.scope is Scope.RAIL:
            continue
        reasons += [
            f"{inner.id} is not in it: whether it is a part of {outer.id} is not known"
            for outer in domains
            if outer.scope is Scope.MODULE and outer.source != inner.source and contains(outer, inner)
        ]
        twin = _covered_by(inner, domains)
        if twin is not None:
            reasons.append(
                f"{inner.id} is not in it: it has the scope of {twin.id} and may be the same device"
            )
    return tuple(reasons)


def unstated(domains: Sequence[Domain]) -> str | None:
    """That the error of a sum over these is not known, because a meter states none of its own; None where each does."""
    silent = [domain for domain in domains if domain.systematic_ratio is None]
    if not silent:
        return None
    remedy = (
        " (--import-uncertainty takes it)" if any(domain.source == _IMPORTED for domain in silent) else ""
    )
    return f"{UNSTATED}: {', '.join(domain.id for domain in silent)}{remedy}"


def _covered_by(domain: Domain, domains: Sequence[Domain]) -> Domain | None:
    """The built-in domain whose scope an imported one has; None where there is none."""
    if domain.source != _IMPORTED:
        return None
    return next(
        (other for other in domains if other.source != _IMPORTED and other.scope is domain.scope), None
    )
