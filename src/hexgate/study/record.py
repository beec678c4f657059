"""The record of one run: what was asked, what came back, how fast, what it drew. Its fields: docs/studies.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hexgate.meters.countable import UNSTATED
from hexgate.study.asking import Asked
from hexgate.study.design import Run
from hexgate.study.spec import Cold
from hexgate.wire.base import Usage

__all__ = ["SCHEMA", "full_record", "prompt_state", "run_record"]

SCHEMA = "hexgate/study-run/1"
_WARM_RATIO = 0.1
"""A prompt of which the server took more than this from its cache was not read anew."""
_LEFT_OUT = "the server leaves out what is zero or unknown, so that what is absent says nothing"
_NO_FIELD = "the API has no such figure"
_FAILED = "the run failed"
_MORE_CACHED = "the server states more tokens from its cache than the prompt has"
_ONE_PIECE = "all text came in one piece, which has one stamp"
_NO_END = "the server does not say why the reply ended"
_RENAMED = {"num_ctx": "loaded_num_ctx"}
"""Facts of a configuration that have another name in a record."""

_COUNTERS = (
    ("eval_count", "output_tokens"),
    ("eval_duration_ns", "output_ns"),
    ("prompt_eval_count", "prompt_tokens"),
    ("prompt_eval_duration_ns", "prompt_ns"),
    ("prompt_eval_cached_count", "cached_tokens"),
    ("load_duration_ns", "load_ns"),
    ("total_duration_ns", "total_ns"),
    ("thinking_count", "reasoning_tokens"),
)
"""Names of `api_metrics`, and where the wire has them."""


def run_record(
    run: Run,
    asked: Asked,
    *,
    study: str,
    attempt: int,
    visit: str,
    started_at: str,
    server: str,
    cold: Cold,
    nonce: str | None,
    occupied_seconds: float,
    system: tuple[Mapping[str, Any], Mapping[str, str]],
    energy: Mapping[str, Any],
    energy_reason: str | None,
    degraded: Sequence[str] = (),
) -> dict[str, Any]:
    """The record of a run as the ledger keeps it: everything but what only its visit's end tells.

    Args:
        run: what was planned.
        asked: what came of it.
        study: name of the study.
        attempt: which attempt it is, from 1.
        visit: id of the visit.
        started_at: wall clock at its begin, RFC 3339 in UTC.
        server: kind of the server, such as ``ollama``.
        cold: how it was kept from what the server remembers.
        nonce: the text in front of the prompt, if there was one.
        occupied_seconds: how long it took with its quiet edges.
        system: the figures of `watching.system_metrics`, and why what is missing in them is.
        energy: the block of `energy.RunEnergy`.
        energy_reason: why there is no energy; None where there is.
        degraded: why its figures are worth less than they should be, beyond its energy.
    """
    stamps, usage, failure = asked.stamps, asked.usage, asked.failure
    impossible = _more_cached(usage)
    if impossible:
        usage = usage._replace(cached_tokens=None)
    ok = failure is None
    cell = run.cell
    missing: dict[str, str] = {f"system_metrics.{name}": why for name, why in system[1].items()}
    if energy_reason is not None:
        missing["energy.gross_j"] = energy_reason
    elif energy["uncertainty_j"] is None:
        missing["energy.uncertainty_j"] = UNSTATED
    own = {
        "latency_seconds": _seconds(stamps.sent_ns, stamps.end_ns) if ok else None,
        "first_token_seconds": _seconds(stamps.sent_ns, stamps.first_token_ns) if ok else None,
        "first_answer_seconds": _seconds(stamps.sent_ns, stamps.first_answer_ns) if ok else None,
        "output_seconds": _output_seconds(asked) if ok else None,
        **_by_server(usage if ok else Usage(), unloaded=cold is Cold.UNLOAD and not impossible),
    }
    for name, value in own.items():
        if value is None:
            missing[name] = _FAILED if not ok else _why_not(name, usage, server)
    if ok and asked.token_events and own["output_seconds"] is None:
        missing["output_seconds"] = _ONE_PIECE
    if ok and impossible:
        missing["api_metrics.prompt_eval_cached_count"] = missing["prompt_tokens_per_sec"] = _MORE_CACHED
    api = {name: getattr(usage, field) if ok else None for name, field in _COUNTERS}
    for name, value in api.items():
        if value is None:
            missing.setdefault(f"api_metrics.{name}", _FAILED if not ok else _why_absent(name, server))
    state = prompt_state(asked.usage, cold) if ok else None
    if state is None:
        unsaid = _MORE_CACHED if impossible else "the server does not say what its cache spared it"
        missing["prompt_state"] = unsaid if ok else _FAILED
    if asked.finish_reason is None:
        missing["finish_reason"] = _NO_END if ok else _FAILED
    if not ok or asked.truncated is None:
        missing["truncated"] = _NO_END if ok else _FAILED
    return {
        "schema": SCHEMA,
        "study": study,
        "run_id": run.run_id,
        "attempt": attempt,
        "visit": visit,
        "order": run.order,
        "block": run.block,
        "model": run.model,
        "task": cell.task,
        "load": cell.load,
        "item": cell.item,
        "run": run.block,
        "status": "ok" if ok else "failed",
        "error": None if failure is None else _error(asked),
        "timestamp": started_at,
        "prompt": cell.prompt,
        "system": cell.system,
        "references": list(cell.references),
        "max_tokens": cell.max_tokens,
        "nonce": nonce,
        "prompt_state": state,
        "generated_text": asked.text if ok else None,
        "thinking_text": (asked.thinking or None) if ok else None,
        "finish_reason": asked.finish_reason,
        "truncated": asked.truncated if ok else None,
        **own,
        "token_events": asked.token_events,
        "api_metrics": api,
        "stamps": stamps.to_json(),
        "occupied_seconds": occupied_seconds,
        "degraded": list(degraded),
        "system_metrics": dict(system[0]),
        "energy": dict(energy),
        "missing": dict(sorted(missing.items())),
    }


def full_record(
    record: Mapping[str, Any],
    head: Mapping[str, Any],
    visit: Mapping[str, Any] | None,
    marks: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The record of a run as its raw file holds it: with what its visit tells of model, machine and idle.

    Args:
        record: as the ledger keeps it.
        head: what ``study.json`` holds.
        visit: the run's visit, as `Ledger.visits` gives it.
        marks: its quality by measure, as `Marks.of` gives it.
    """
    visit = visit or {}
    end = visit.get("end") or {}
    net: Mapping[str, Any] = (end.get("net") or {}).get(
        f"{record['run_id']}/{record['attempt']}",
        {"reason": "the visit has not come to its end, at which idle is measured again"},
    )
    missing = dict(record["missing"])
    names = ("net_j", "net_uncertainty_j", "idle_power_w", "idle_drift_ratio")
    energy = {**record["energy"], **{name: net.get(name) for name in names}}
    if energy["net_j"] is None:
        missing["energy.net_j"] = missing.get("energy.gross_j") or str(net.get("reason"))
    elif energy["net_uncertainty_j"] is None:
        missing["energy.net_uncertainty_j"] = UNSTATED
    configuration: Mapping[str, Any] = visit.get("configuration") or {}
    environment: Mapping[str, Any] = visit.get("environment") or {}
    request = head["spec"]["request"]
    version = configuration.get("server_version")
    is_ollama = configuration.get("server") == "ollama"
    loaded = configuration.get("num_ctx")
    known = {
        name: configuration.get(name)
        for name in (
            "server",
            "served_model",
            "server_version",
            "digest",
            "family",
            "parameters",
            "quantization",
            "context_length",
            "size_bytes",
            "size_vram_bytes",
            "offload_ratio",
            "declared",
        )
    }
    for name, why in (configuration.get("missing") or {}).items():
        missing[f"metadata.{_RENAMED.get(name, name)}"] = str(why)
    accelerators = environment.get("accelerators") or []
    metadata = {
        **known,
        "ollama_version": version if is_ollama else None,
        "num_ctx": request["num_ctx"] if is_ollama and request["num_ctx"] is not None else loaded,
        "loaded_num_ctx": loaded,
        "temperature": request["temperature"],
        "top_p": request["top_p"],
        "seed": request["seed"],
        "max_tokens": record["max_tokens"],
        "think": request["think"] if is_ollama else None,
        "cold": head["spec"]["cold"],
        "timestamp": record["timestamp"],
        "host": environment.get("host_class"),
        "cpu": environment.get("cpu"),
        "gpu": ", ".join(accelerators) or None,
        "driver": environment.get("driver"),
        "tool": head["tool"],
        "preload_seconds": visit.get("preload_seconds"),
    }
    if not is_ollama:
        missing["metadata.ollama_version"] = "the server is not Ollama"
        missing["metadata.think"] = "the API has no field for it, and nothing was said"
    elif request["think"] is None:
        missing["metadata.think"] = "nothing was said: the model does as it is made"
    if is_ollama and version is None:
        missing["metadata.ollama_version"] = missing.get("metadata.server_version", "the server does not say")
    if metadata["num_ctx"] is None:
        missing["metadata.num_ctx"] = missing.get("metadata.loaded_num_ctx", "the server does not say")
    if metadata["gpu"] is None:
        missing["metadata.gpu"] = missing["metadata.driver"] = "no NVIDIA GPU is found on this machine"
    if not marks:
        missing["quality"] = "quality is measured when all runs are over, not beside them"
    for name, mark in (marks or {}).items():
        if mark["value"] is None:
            missing[f"quality.{name}.value"] = str(mark["reason"])
    return {
        **record,
        "energy": energy,
        "metadata": metadata,
        "quality": {name: dict(mark) for name, mark in sorted((marks or {}).items())},
        "missing": dict(sorted(missing.items())),
    }


def prompt_state(usage: Usage, cold: Cold) -> str | None:
    """``cold`` or ``warm``: whether the prompt was read anew, or more than a tenth of it came from the server's cache.

    The server says it, or the model was loaded anew. ``cold_by_nonce`` where a nonce in front is all there is to go
    by: what the server puts before it, such as a template's own words, may have come from its cache. None where
    nothing tells, or the server states what cannot be.
    """
    cached, prompt = usage.cached_tokens, usage.prompt_tokens
    if _more_cached(usage):
        return None
    if cached is not None and prompt:
        return "warm" if cached > _WARM_RATIO * prompt else "cold"
    return {Cold.UNLOAD: "cold", Cold.NONCE: "cold_by_nonce", Cold.NONE: None}[cold]


def _more_cached(usage: Usage) -> bool:
    """Whether the server states more cached tokens than the prompt has."""
    cached, prompt = usage.cached_tokens, usage.prompt_tokens
    return cached is not None and prompt is not None and cached > prompt


def _output_seconds(asked: Asked) -> float | None:
    """From the first piece with text to the last; None where there was one, between whose tokens no time is seen."""
    seconds = _seconds(asked.stamps.first_token_ns, asked.stamps.last_token_ns)
    return seconds if asked.token_events >= 2 and seconds else None


def _by_server(usage: Usage, *, unloaded: bool) -> dict[str, float | None]:
    """Figures of the server's own clock."""
    load_s, prompt_s, output_s = (
        None if value is None else value / 1e9 for value in (usage.load_ns, usage.prompt_ns, usage.output_ns)
    )
    # A model that was just loaded has nothing in its cache, also where the server does not say so.
    cached = 0 if usage.cached_tokens is None and unloaded else usage.cached_tokens
    fresh = None if usage.prompt_tokens is None or cached is None else usage.prompt_tokens - cached
    return {
        "api_first_token_seconds": None if load_s is None or prompt_s is None else load_s + prompt_s,
        "throughput_tokens_per_sec": usage.output_tokens / output_s
        if usage.output_tokens and output_s
        else None,
        "prompt_tokens_per_sec": fresh / prompt_s if fresh and fresh > 0 and prompt_s else None,
    }


def _why_not(name: str, usage: Usage, server: str) -> str:
    if name == "throughput_tokens_per_sec":
        lacking = "eval_count" if not usage.output_tokens else "eval_duration_ns"
        return f"{lacking}: {_why_absent(lacking, server)}"
    if name == "prompt_tokens_per_sec":
        if usage.prompt_tokens is not None and usage.prompt_ns and usage.cached_tokens is None:
            return "the count may hold tokens from the cache, which took no time, and the server does not say how many"
        return "no prompt token was read anew, or the server does not say in what time"
    if name == "api_first_token_seconds":
        lacking = "load_duration_ns" if usage.load_ns is None else "prompt_eval_duration_ns"
        return f"{lacking}: {_why_absent(lacking, server)}"
    return (
        "the reply held no text" if name != "first_answer_seconds" else "the reply held no text of an answer"
    )


def _why_absent(name: str, server: str) -> str:
    if server == "ollama" and name != "thinking_count":
        return _LEFT_OUT
    if server == "ollama":
        return "the server counts thinking into eval_count, and not apart"
    return _NO_FIELD if name.endswith("_ns") else "the server did not state it"


def _error(asked: Asked) -> dict[str, Any]:
    failure = asked.failure
    assert failure is not None  # noqa: S101 - asked for failures alone
    return {
        "kind": failure.kind,
        "detail": failure.detail,
        "http_status": failure.status,
        "partial_text": asked.text or None,
    }


def _seconds(begin_ns: int | None, end_ns: int | None) -> float | None:
    return None if begin_ns is None or end_ns is None else (end_ns - begin_ns) / 1e9
