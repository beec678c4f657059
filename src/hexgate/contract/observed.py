"""What was observed of the machine while it was measured: the block `environment.observed` of an artifact.

``run.sh`` of the platforms dgx and jetson writes down, once a second, what ``nvidia-smi`` or ``tegrastats`` print, and
what it was asked to pin. Here the lines are read. No value stands without a sample behind it, and a clock counts as
locked only if a sample of the GPU at work shows it and none contradicts it.
"""

from __future__ import annotations

import json
import operator
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["REASONS", "THROTTLING", "VARIABLE", "observed_state"]

VARIABLE = "HEXGATE_OBSERVED"
_MOST_BYTES = 64 * 1024 * 1024
_STEP_MHZ = 15
"""Clocks are set in steps; what lies within one is the clock that was asked for."""
_ASKED = ("gpu_clock_mhz", "memory_clock_mhz", "governor", "power_mode", "jetson_clocks")
_LOCKS = ("gpu_clock", "memory_clock", "governor", "power_mode", "jetson_clocks")
_VALUES = (
    "sm_clock_mhz",
    "memory_clock_mhz",
    "gpu_util_ratio",
    "throttle_reasons",
    "governor",
    "power_mode",
)

REASONS: Mapping[int, str] = {
    0x001: "gpu_idle",
    0x002: "application_clocks",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal",
    0x040: "hw_thermal",
    0x080: "hw_power_brake",
    0x100: "display_clocks",
}
"""Why a GPU does not clock higher: bits of NVML's nvmlClocksEventReasons, as nvml.h names them."""
THROTTLING = frozenset({"sw_power_cap", "hw_slowdown", "sw_thermal", "hw_thermal", "hw_power_brake"})
"""Those that slow a measurement down; the others are settings, or no work."""

_GR3D = re.compile(r"\bGR3D_FREQ (\d{1,3})%(?:@\[?(\d{1,5}))?")
_EMC = re.compile(r"\bEMC_FREQ \d{1,3}%@(\d{1,5})")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}")
_NUMBER = re.compile(r"\d{1,7}")


@dataclass
class _Seen:
    """What the lines of a record say, gathered."""

    asked: dict[str, Any] = field(default_factory=dict)
    locked: dict[str, dict[str, Any]] = field(default_factory=dict)
    source: str | None = None
    fields: tuple[str, ...] = ()
    unsampled: str | None = None
    samples: int = 0
    sm: list[int] = field(default_factory=list)
    busy_sm: list[int] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    busy_memory: list[int] = field(default_factory=list)
    util: list[float] = field(default_factory=list)
    reasons: list[frozenset[str]] = field(default_factory=list)
    governor: dict[str, int] | None = None
    power_mode: str | None = None
    broken: int = 0


def observed_state(since_s: float, environ: Mapping[str, str] = os.environ) -> dict[str, Any] | None:
    """What was observed since a moment, from the record that HEXGATE_OBSERVED names.

    Args:
        since_s: seconds since 1970; earlier samples are of something else. Settings hold from whenever they were seen.
        environ: the environment.

    Returns:
        The block `environment.observed`, or None where nobody observes. A record that cannot be read gives a block
        without values, and the reason.
    """
    name = environ.get(VARIABLE)
    if not name:
        return None
    try:
        path = Path(name)
        if path.stat().st_size > _MOST_BYTES:
            return _block(_Seen(), f"the record is larger than {_MOST_BYTES // 1024**2} MiB")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return _block(_Seen(), f"the record cannot be read ({why})")
    seen = _Seen()
    # The last line may be half written.
    for line in data.split(b"\n")[:-1]:
        _take(seen, line, int(since_s))
    if not (seen.asked or seen.samples or seen.governor):
        return _block(seen, "the record holds no line of run.sh")
    return _block(seen)


def _take(seen: _Seen, line: bytes, since_s: int) -> None:
    try:
        value = json.loads(line)
        kind, at = value["kind"], value["at"]
        _KINDS[kind](seen, value, operator.index(at) >= since_s)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        seen.broken += 1


def _asked(seen: _Seen, value: Mapping[str, Any], _: bool) -> None:
    for name in _ASKED:
        if name not in value:
            continue
        asked, number = value[name], name.endswith("_mhz")
        if asked == "default" and number:
            asked = None
        if number and asked is not None and not _is_count(asked):
            raise TypeError
        if name == "jetson_clocks" and not isinstance(asked, bool):
            raise TypeError
        if name == "power_mode" and asked is not None:
            asked = _text(str(asked))
        if name == "governor" and asked is not None:
            asked = _text(asked)
        seen.asked[name] = asked


def _locked(seen: _Seen, value: Mapping[str, Any], _: bool) -> None:
    what, locked = value["what"], value["locked"]
    if what not in _LOCKS or not (locked is None or isinstance(locked, bool)):
        raise TypeError
    seen.locked[what] = {"locked": locked, "why": _text(value["why"]) or "no reason is given"}


def _source(seen: _Seen, value: Mapping[str, Any], _: bool) -> None:
    name, fields = value["name"], value["fields"]
    if name not in {"nvidia-smi", "tegrastats"} or not isinstance(fields, str):
        raise TypeError
    seen.source, seen.fields = name, tuple(fields.split(",")) if fields else ()


def _unsampled(seen: _Seen, value: Mapping[str, Any], _: bool) -> None:
    seen.unsampled = _text(value["why"]) or None


def _host(seen: _Seen, value: Mapping[str, Any], _: bool) -> None:
    governor, mode = value["governor"], value["power_mode"]
    if not all(isinstance(name, str) and _is_count(cpus) for name, cpus in governor.items()):
        raise TypeError
    if governor:
        seen.governor = {_text(name): cpus for name, cpus in governor.items()}
    if mode is not None:
        seen.power_mode = _text(mode) or seen.power_mode


def _sample(seen: _Seen, value: Mapping[str, Any], of_this: bool) -> None:
    row = value["row"]
    if not isinstance(row, str):
        raise TypeError
    if not of_this:
        return
    if seen.source == "tegrastats":
        _tegrastats(seen, row)
    elif seen.source == "nvidia-smi":
        _nvidia_smi(seen, row)
    else:
        raise ValueError


def _nvidia_smi(seen: _Seen, row: str) -> None:
    cells = [cell.strip() for cell in row.split(",")]
    if len(cells) != len(seen.fields):
        raise ValueError
    by_name = dict(zip(seen.fields, cells, strict=True))
    clock, memory, util = (
        _number(by_name.get(name)) for name in ("clocks.sm", "clocks.mem", "utilization.gpu")
    )
    if clock is None and memory is None and util is None:
        raise ValueError
    seen.samples += 1
    _note(seen, clock, memory, None if util is None or util > 100 else util)
    for name in ("clocks_event_reasons.active", "clocks_throttle_reasons.active"):
        if _HEX.fullmatch(by_name.get(name, "")):
            seen.reasons.append(_reasons(int(by_name[name], 16)))


def _tegrastats(seen: _Seen, row: str) -> None:
    gpu, memory = _GR3D.search(row), _EMC.search(row)
    if gpu is None:
        raise ValueError
    seen.samples += 1
    _note(seen, _number(gpu[2]), _number(memory[1]) if memory else None, int(gpu[1]))


def _note(seen: _Seen, clock: int | None, memory: int | None, util: int | None) -> None:
    if clock is not None:
        seen.sm.append(clock)
        if util:
            seen.busy_sm.append(clock)
    if memory is not None:
        seen.memory.append(memory)
        if util:
            seen.busy_memory.append(memory)
    if util is not None:
        seen.util.append(util / 100)


def _reasons(bits: int) -> frozenset[str]:
    known = {name for bit, name in REASONS.items() if bits & bit}
    rest = bits & ~sum(REASONS)
    return frozenset(known | ({f"other_{rest:#x}"} if rest else set()))


_KINDS = {
    "asked": _asked,
    "locked": _locked,
    "source": _source,
    "unsampled": _unsampled,
    "host": _host,
    "sample": _sample,
}


def _block(seen: _Seen, fault: str | None = None) -> dict[str, Any]:
    values: dict[str, Any] = {
        "sm_clock_mhz": _range(seen.sm),
        "memory_clock_mhz": _range(seen.memory),
        "gpu_util_ratio": _range(seen.util),
        "throttle_reasons": _shares(seen.reasons),
        "governor": seen.governor,
        "power_mode": seen.power_mode,
    }
    return {
        "source": seen.source,
        "asked": {name: seen.asked[name] for name in _ASKED if name in seen.asked},
        "locked": {name: _believed(seen, name, said) for name, said in sorted(seen.locked.items())},
        "samples": seen.samples,
        **values,
        "unreadable_lines": seen.broken,
        "missing": {name: fault or _why(seen, name) for name in _VALUES if values[name] is None},
    }


def _why(seen: _Seen, name: str) -> str:
    if name == "governor":
        return "the machine shows no CPU governor"
    if name == "power_mode":
        return "the machine says of no power mode"
    if seen.samples:
        return f"{seen.source} does not say"
    return seen.unsampled or "no sample was taken while this was measured"


def _believed(seen: _Seen, name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What run.sh says of a lock, unless what was sampled says otherwise or nothing."""
    asked = seen.asked.get(f"{name}_mhz")
    if name not in {"gpu_clock", "memory_clock"} or said["locked"] is not True:
        return _believed_setting(seen, name, said)
    # An idle GPU may clock down under a lock; one that works may not.
    sampled = seen.busy_sm if name == "gpu_clock" else seen.busy_memory
    if asked is None or not sampled:
        return {"locked": None, "why": f"{said['why']}, but no sample of it at work shows that it held"}
    if any(abs(clock - asked) > _STEP_MHZ for clock in sampled):
        seen_range = f"{min(sampled)} to {max(sampled)} MHz"
        return {"locked": False, "why": f"{said['why']}, but {seen_range} were sampled at work"}
    return dict(said)


def _believed_setting(seen: _Seen, name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    asked = seen.asked.get("governor")
    if name != "governor" or said["locked"] is not True or seen.governor is None or asked is None:
        return dict(said)
    if set(seen.governor) != {asked}:
        found = ", ".join(f"{governor} on {cpus}" for governor, cpus in sorted(seen.governor.items()))
        return {"locked": False, "why": f"{said['why']}, but later there was {found}"}
    return dict(said)


def _range(values: Iterable[float]) -> dict[str, float] | None:
    found = list(values)
    return {"min": min(found), "max": max(found)} if found else None


def _shares(rows: list[frozenset[str]]) -> list[dict[str, Any]] | None:
    if not rows:
        return None
    names = sorted({name for row in rows for name in row})
    return [{"reason": name, "share": sum(name in row for row in rows) / len(rows)} for name in names]


def _text(value: object) -> str:
    """A text that fits into an artifact: not endless, and UTF-8 can write it."""
    if not isinstance(value, str):
        raise TypeError
    return value[:500].encode("utf-8", "replace").decode("utf-8")


def _number(text: str | None) -> int | None:
    """A whole number, or None for ``[N/A]`` and the like."""
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
