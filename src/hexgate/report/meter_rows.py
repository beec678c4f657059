"""The figures of a metered command as lines for a reader: one label and one value each, units in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hexgate.report.meter_sentences import told
from hexgate.report.meter_words import WORDS, word
from hexgate.report.numbers import THIN, number
from hexgate.report.text import Both, same

__all__ = ["Row", "joules", "rows", "scope_word", "shown"]

Json = Mapping[str, Any]

_SIZES = (10**9, 10**6, 10**3)
_MOST_REASON = 1000


@dataclass(frozen=True)
class Row:
    """One line."""

    label: Both
    """What it is of."""
    value: Both
    """The figure with its unit and its uncertainty, or why there is none."""
    is_part: bool = False
    """Whether it belongs to the line above it."""


def rows(document: Json) -> list[Row]:
    """The lines of a document ``hexgate/meter/1.x``, in the order in which they are read."""
    missing = document["missing"]
    makers = (_ending, _energy, _power, _process, _host, _gpus)
    lines = [row for maker in makers for row in maker(document, missing)]
    if "imported" in missing:
        lines.append(Row(word("imported"), _reason(missing["imported"])))
    failure = document["recorded"]["sampler"]["failure"]
    if failure is not None:
        lines.append(Row(word("recording"), told(failure, _MOST_REASON)))
    return lines


def scope_word(scope: str) -> Both:
    """What a domain of that scope covers."""
    key = f"scope_{scope}"
    return word(key) if key in WORDS else same(scope, 40)


def shown(value: float, spread: float | None = None) -> str:
    """A number; with the digits that its uncertainty leaves it, and that uncertainty, where there is one."""
    if spread is None:
        return number(value).replace(THIN, "")
    figure, doubt = number(value, spread=spread), number(spread, spread=spread)
    return f"{figure} ± {doubt}".replace(THIN, "")


def joules(block: Json) -> Both:
    """Energy of a block that has it, with its uncertainty; where a meter states no error, with what else is known."""
    if block["uncertainty_j"] is not None:
        return word("joules", value=shown(block["energy_j"], block["uncertainty_j"]))
    known_j = math.hypot(block["edge_j"], block["sampling_j"])
    return word(
        "joules_unstated",
        value=number(block["energy_j"], spread=known_j).replace(THIN, ""),
        known=shown(float(f"{known_j:.2g}")),
    )


def _ending(document: Json, _missing: Json) -> Iterator[Row]:
    if document["signal"] is not None:
        yield Row(word("ended"), word("by_signal", signal=document["signal"], code=document["exit_code"]))
    elif document["exit_code"] != 0:
        yield Row(word("ended"), word("with_code", code=document["exit_code"]))
    yield Row(word("time"), word("seconds", value=f"{document['duration_s']:.3f}"))


def _energy(document: Json, missing: Json) -> Iterator[Row]:
    total, domains = document["total"], document["domains"]
    if total is None:
        yield Row(word("energy"), _reason(missing["total"]))
    else:
        yield Row(word("energy"), _gross(total, "total", missing))
    for place, domain in enumerate(domains):
        value = _gross(domain, f"domains.{place}", missing)
        key = "of" if domain["in_total"] else "part"
        yield Row(
            same(domain["id"], 60), word(key, value=value, what=scope_word(domain["scope"])), is_part=True
        )
    if total is not None and document["recorded"]["windows"]["idle_before"] is not None:
        yield Row(word("net"), _net(total, missing))
    if document["estimate"] is not None:
        own = document["estimate"]
        yield Row(
            word("estimate"),
            word("estimated", value=shown(own["energy_j"]), watts=shown(own["watts_per_busy_core"])),
        )


def _gross(block: Json, path: str, missing: Json) -> Both:
    if block["energy_j"] is None:
        return _reason(missing[f"{path}.energy_j"])
    value = joules(block)
    # What is said of a part stands with the part.
    parts = tuple(f"{name}: " for name in block.get("ids", ()))
    return _remarked(value, [reason for reason in block["degraded"] if not reason.startswith(parts)])


def _net(total: Json, missing: Json) -> Both:
    if total["net_energy_j"] is None:
        return _reason(missing["total.net_energy_j"])
    value = word(
        "net_value",
        value=shown(total["net_energy_j"], total["net_uncertainty_j"]),
        idle=shown(total["idle_power_w"]),
        drift=f"{100 * total['idle_drift_ratio']:.2f}",
    )
    return _remarked(
        value, [missing["total.net_uncertainty_j"]] if total["net_uncertainty_j"] is None else []
    )


def _power(document: Json, missing: Json) -> Iterator[Row]:
    total = document["total"]
    if total is None or total["energy_j"] is None:
        return
    spread_j = total["uncertainty_j"]
    spread_w = None if spread_j is None else spread_j / document["duration_s"]
    mean = word("mean_power", value=shown(total["mean_power_w"], spread_w))
    if total["max_power_w"] is None:
        most = _reason(missing["total.max_power_w"])
        yield Row(word("power"), word("semicolon").join([mean, most]))
        return
    over_s = total["max_power_over_s"]
    key = "max_power_1" if over_s == 1 else "max_power"
    most = word(key, value=shown(total["max_power_w"]), over=shown(float(f"{over_s:.3g}")))
    yield Row(word("power"), word("comma").join([mean, most]))


def _process(document: Json, missing: Json) -> Iterator[Row]:
    process, cores = document["process"], document["environment"]["cores"]
    parts = {
        "cpu": f"{process['cpu_s']:.3f}",
        "user": f"{process['user_s']:.3f}",
        "system": f"{process['system_s']:.3f}",
        "cores": f"{process['cpu_cores']:.2f}",
    }
    known = word("cpu_value", **parts, all=cores) if cores else word("cpu_value_unknown", **parts)
    yield Row(word("cpu"), known)
    yield Row(word("memory"), _levels(process, "rss_bytes", "process", missing))
    if process["largest_rss_bytes"] is not None:
        yield Row(word("largest"), _bytes(process["largest_rss_bytes"]), is_part=True)


def _host(document: Json, missing: Json) -> Iterator[Row]:
    host = document["host"]
    cpu = host["cpu_ratio"]
    if cpu is None:
        yield Row(word("host_cpu"), _reason(missing["host.cpu_ratio"]))
    else:
        yield Row(word("host_cpu"), word("levels", mean=_percent(cpu["mean"]), most=_percent(cpu["max"])))
    used, whole = host["memory_used_bytes"], host["memory_total_bytes"]
    if used is None or whole is None:
        yield Row(word("host_memory"), _levels(host, "memory_used_bytes", "host", missing))
    else:
        most, all_ = _bytes(used["max"]), _bytes(whole["max"])
        yield Row(word("host_memory"), word("levels_of", mean=_bytes(used["mean"]), most=most, all=all_))
    read, written = host["disk_read_bytes"], host["disk_written_bytes"]
    if read is None or written is None:
        name = "disk_read_bytes" if read is None else "disk_written_bytes"
        yield Row(word("disk"), _reason(missing[f"host.{name}"]))
    else:
        parts = {"read": _bytes(read["bytes"]), "written": _bytes(written["bytes"])}
        yield Row(word("disk"), word("disk_value", **parts))


def _gpus(document: Json, missing: Json) -> Iterator[Row]:
    for place, gpu in enumerate(document["gpus"]):
        use, memory = gpu["gpu_util_ratio"], gpu["gpu_memory_used_bytes"]
        said = [
            _reason(missing[f"gpus.{place}.gpu_util_ratio"])
            if use is None
            else word("gpu_use", mean=_percent(use["mean"]), most=_percent(use["max"])),
            _reason(missing[f"gpus.{place}.gpu_memory_used_bytes"])
            if memory is None
            else word("gpu_memory", most=_bytes(memory["max"])),
        ]
        yield Row(word("gpu", place=place), word("semicolon").join(said))


def _levels(block: Json, name: str, path: str, missing: Json) -> Both:
    figure = block[name]
    if figure is None:
        return _reason(missing[f"{path}.{name}"])
    return word("levels", mean=_bytes(figure["mean"]), most=_bytes(figure["max"]))


def _remarked(value: Both, reasons: list[str]) -> Both:
    for reason in reasons:
        value = word("remark", value=value, reason=told(reason))
    return value


def _reason(reason: str) -> Both:
    return word("not_measured", reason=told(reason, _MOST_REASON))


def _percent(ratio: float) -> Both:
    return word("percent", value=shown(float(f"{100 * ratio:.3g}")))


def _bytes(value: float) -> Both:
    size = next((size for size in _SIZES if value >= size), 1)
    return word(f"bytes_{size}", value=shown(float(f"{value / size:.4g}")))
