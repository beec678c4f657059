"""What a model's runs were measured on: device, scope, cache and load, or why they are no one basis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hexgate.metrics.rating_parts import Basis, Reason
from hexgate.study.reading import Reading

__all__ = ["basis_of", "beside_others", "device_of", "unlike"]

_COLD = {"cold", "cold_by_nonce"}
_NAMES_ZH = {
    "suite": "题集",
    "device": "设备",
    "scope": "计量范围",
    "energy": "能耗口径",
    "cache": "提示词缓存",
    "load": "负载",
    "scheme": "评级方案",
}


def basis_of(
    records: Sequence[Mapping[str, Any]],
    visits: Mapping[str, Mapping[str, Any]],
    *,
    suite: str,
    energy: str,
    beside: bool,
) -> tuple[Basis | None, tuple[Reason, ...]]:
    """The basis of one model's runs, or every reason why there is none.

    Args:
        records: its runs that are over, with those that failed; at least one.
        visits: the study's visits by id.
        suite: what they are questions of.
        energy: ``gross`` or ``net``.
        beside: whether another model of the study ran at the same time.
    """
    device, no_device = _device(records, visits)
    scope, no_scope = _scope(records)
    cache, no_cache = _cache(records)
    reasons = tuple(reason for reason in (no_device, no_scope, no_cache) if reason is not None)
    if device is None or scope is None or cache is None:
        return None, reasons
    load = "parallel" if beside else "sequential"
    return Basis(suite, device, scope, energy=energy, cache=cache, load=load), ()


def unlike(own: Basis, other: Basis) -> Reason | None:
    """Why a model is not compared with a reference of another basis; None where it is the same."""
    here, there = own.to_json(), other.to_json()
    names = [name for name, value in here.items() if value != there[name]]
    if not names:
        return None
    en = [f"its {name} is {here[name]}, that of the reference {there[name]}" for name in names]
    zh = [f"其{_NAMES_ZH.get(name, name)}为 {here[name]}，而参照模型为 {there[name]}" for name in names]
    return Reason("basis", "; ".join(en), "；".join(zh))


def beside_others(reading: Reading) -> frozenset[str]:
    """The models of which a run was under way while another model's was."""
    spans: list[tuple[int, int, str]] = []
    for record in reading.records:
        visit = reading.visits.get(record["visit"])
        if visit is None:
            continue
        # Each visit tells the two clocks together: a machine that was restarted counts from another zero.
        shift_ns = int(visit["wall_ns"]) - int(visit["monotonic_ns"])
        stamps = record["stamps"]
        spans.append((stamps["sent_ns"] + shift_ns, stamps["end_ns"] + shift_ns, str(record["model"])))
    found: set[str] = set()
    latest: dict[str, int] = {}
    for start_ns, end_ns, model in sorted(spans):
        others = {name for name, last_ns in latest.items() if name != model and last_ns > start_ns}
        if others:
            found |= {model, *others}
        latest[model] = max(end_ns, latest.get(model, end_ns))
    return frozenset(found)


def device_of(visit: Mapping[str, Any] | None) -> str | None:
    """The class of device of a visit, with its power mode where that is known."""
    environment: Mapping[str, Any] = (visit or {}).get("environment") or {}
    host, mode = environment.get("host_class"), environment.get("power_mode")
    return None if not host else f"{host}, {mode}" if mode else str(host)


def _device(
    records: Sequence[Mapping[str, Any]], visits: Mapping[str, Mapping[str, Any]]
) -> tuple[str | None, Reason | None]:
    found = {device_of(visits.get(record["visit"])) for record in records}
    known = sorted(one for one in found if one is not None)
    if len(known) != len(found) or not known:
        return None, Reason(
            "device_unknown", "it is not known on which device it ran", "不知道运行在哪种设备上"
        )
    if len(known) > 1:
        return None, Reason(
            "device",
            f"its runs were made on several devices: {'; '.join(known)}",
            f"其运行在多种设备上完成：{'；'.join(known)}",
        )
    return known[0], None


def _scope(records: Sequence[Mapping[str, Any]]) -> tuple[str | None, Reason | None]:
    """What the meters saw. A run without any domain has no energy either, which is a reason of its own."""
    found = {frozenset(str(domain["scope"]) for domain in record["energy"]["domains"]) for record in records}
    shown = sorted(" + ".join(sorted(scopes)) for scopes in found if scopes)
    if not shown:
        return "none", None
    if len(shown) > 1:
        return None, Reason(
            "scope",
            f"the meters did not see the same in all of its runs: {'; '.join(shown)}",
            f"各次运行的计量范围不同：{'；'.join(shown)}",
        )
    return shown[0], None


def _cache(records: Sequence[Mapping[str, Any]]) -> tuple[str | None, Reason | None]:
    states = Counter(record["prompt_state"] for record in records if record["status"] == "ok")
    n, unknown = sum(states.values()), states[None]
    cold = sum(count for state, count in states.items() if state in _COLD)
    if unknown or not n:
        return None, Reason(
            "cache_unknown",
            f"of {unknown} of {n} prompts it is not known whether they came from the server's cache",
            f"{n} 个提示词中有 {unknown} 个不知道是否来自服务端缓存",
        )
    if 0 < cold < n:
        return None, Reason(
            "cache",
            f"{n - cold} of {n} prompts came from the server's cache, the others did not",
            f"{n} 个提示词中有 {n - cold} 个来自服务端缓存，其余不是",
        )
    return ("cold" if cold else "warm"), None
