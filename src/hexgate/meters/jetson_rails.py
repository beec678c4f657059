"""Supply rails of a Jetson as domains: each of them, and the total that some of them make up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hexgate.meters.base import Domain, Kind, Reading, Scope, Unavailable, Unit
from hexgate.meters.jetson_boards import TABLE, Board, parts_of

__all__ = [
    "NAME",
    "VARIABLE",
    "Rail",
    "Total",
    "choose_total",
    "domain_id",
    "domains_of",
    "named",
    "total_reading",
]

NAME = "jetson"
VARIABLE = "HEXGATE_JETSON_TOTAL"
_DEVICE = "jetson"
"""All rails are of one device and one scope: so nothing adds them up by mistake."""
_SYSTEMATIC_RATIO = 0.05
"""NVIDIA states no error of the sensors as they are mounted: the 5 % that it states for its other boards."""


@dataclass(frozen=True)
class Rail:
    """One supply rail, and what is known of its sensor."""

    name: str
    """As the board names it; a second rail of the same name ends in ``#2``."""
    resolution_w: float | None = None
    """The smallest step of its power, in watts."""
    update_s: float | None = None
    """How often its sensor has a new value, in seconds."""
    averaging_s: float = 0.0
    """Over how many seconds its sensor averages."""


@dataclass(frozen=True)
class Total:
    """The rails that together are the total."""

    rails: tuple[str, ...]
    """Their names; none contains another."""
    scope: Scope
    """What they cover."""
    said_by: str
    """The table, or the user's variable."""


def named(name: str, taken: Collection[str]) -> str:
    """A name that is not taken yet: the name itself, or with a number behind it."""
    place = 1
    unique = name
    while unique in taken:
        place += 1
        unique = f"{name}#{place}"
    return unique


def domain_id(*rails: str) -> str:
    """Id of the domain of one rail, or of the sum of several."""
    return f"{NAME}:{'+'.join(rails)}"


def choose_total(board: Board | None, rails: Sequence[str], asked: Sequence[str]) -> Total | Unavailable:
    """The total of a board, or why there is none.

    Args:
        board: the board; None where it is not in the table.
        rails: the rails that can be read.
        asked: the rails that the user named; empty where the table is to say.
    """
    if asked:
        return _as_asked(board, rails, asked)
    if board is None:
        return _none("this board is not in the table of boards", rails)
    for names in board.totals:
        if any(f"{name}#2" in rails for name in names):
            return _none(f"two rails have the name of its total, {' + '.join(names)}", rails)
        if set(names) <= set(rails):
            return Total(names, board.scope, TABLE)
    if not board.totals:
        return _none(f"{board.name}: {board.doubt}", rails, board.likely)
    return _none(f"{board.name}: the rails of its total are {_either(board)}, and not all can be read", rails)


def _as_asked(board: Board | None, rails: Sequence[str], asked: Sequence[str]) -> Total | Unavailable:
    missing = [name for name in asked if name not in rails]
    if missing:
        return _none(f"{VARIABLE} names {', '.join(missing)}, which is no rail of this board", rails)
    if len(set(asked)) < len(asked):
        return _none(f"{VARIABLE} names a rail twice: {' + '.join(asked)}", rails)
    for name in asked:
        inner = sorted(parts_of(board, name) & set(asked))
        if inner:
            return _none(f"{VARIABLE} names {name} and {', '.join(inner)}, which lies inside it", rails)
    scope = Scope.MODULE
    if board is not None and set(asked) in [set(names) for names in board.totals]:
        scope = board.scope
    return Total(tuple(asked), scope, VARIABLE)


def _either(board: Board) -> str:
    return " or ".join(" + ".join(names) for names in board.totals)


def _none(reason: str, rails: Sequence[str], likely: Sequence[str] = ()) -> Unavailable:
    example = "+".join(likely) if set(likely) <= set(rails) else ""
    remedy = "name the rails that make up the total and do not contain each other: "
    remedy += f"{VARIABLE}={example or 'RAIL or RAIL+RAIL'}"
    if example:
        remedy += " is likely; compare it once with a meter at the plug"
    return Unavailable(NAME, "total of the board", f"{reason}; rails: {', '.join(rails) or 'none'}", remedy)


def domains_of(rails: Sequence[Rail], total: Total | None, model: str) -> tuple[Domain, ...]:
    """The total first, where there is one, and then every other rail."""
    domains: list[Domain] = []
    if total is not None:
        parts = [rail for rail in rails if rail.name in total.rails]
        whole = Rail(
            "+".join(total.rails),
            resolution_w=_greatest(rail.resolution_w for rail in parts),
            update_s=_greatest(rail.update_s for rail in parts),
            averaging_s=max(rail.averaging_s for rail in parts),
        )
        domains.append(_domain(whole, total.scope, f"{model}, {whole.name} (total by {total.said_by})"))
    others = [rail for rail in rails if total is None or total.rails != (rail.name,)]
    domains += [_domain(rail, Scope.RAIL, f"{model}, {rail.name}") for rail in others]
    return tuple(domains)


def _greatest(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else max(value for value in known if value is not None)


def _domain(rail: Rail, scope: Scope, label: str) -> Domain:
    return Domain(
        id=domain_id(rail.name),
        source=NAME,
        device=_DEVICE,
        label=label,
        scope=scope,
        kind=Kind.GAUGE,
        unit=Unit.WATT,
        resolution=rail.resolution_w,
        update_s=rail.update_s,
        averaging_s=rail.averaging_s,
        systematic_ratio=_SYSTEMATIC_RATIO,
    )


def total_reading(total: Total, readings: Mapping[str, Reading]) -> Reading:
    """The sum of the readings of the total's rails, at the middle of their instants; none where one has no value."""
    parts = [readings[name] for name in total.rails]
    t_ns = (parts[0].t_ns + parts[-1].t_ns) // 2
    values = [part.value for part in parts if part.value is not None]
    lacking = [f"{name}: {readings[name].reason}" for name in total.rails if readings[name].value is None]
    if lacking:
        return Reading(domain_id(*total.rails), t_ns, None, "; ".join(lacking))
    return Reading(domain_id(*total.rails), t_ns, sum(values))
