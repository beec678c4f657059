"""A load in a few lines for the terminal: what failed, and the figures that people ask for first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from hexgate.report.load_sentences import told
from hexgate.report.load_words import word
from hexgate.report.numbers import number
from hexgate.report.table import Figures, add_columns, plain
from hexgate.report.text import Both, Lang, clean, same

__all__ = ["commonest_failure", "failed_line", "summary_table"]

Json = Mapping[str, Any]

_FAILED = ("error", "timeout", "truncated", "unfinished")
_SHARES = ("p50", "p90", "p99")
_MOST_REASON = 160


def failed_line(statistics: Json) -> Both | None:
    """How many timed requests failed, and why most of them did; None where none did."""
    counts = statistics["outcomes"]
    failed = sum(counts[name] for name in _FAILED)
    if not failed:
        return None
    sent = failed + counts["ok"]
    kinds = word("list").join(
        [
            word("failed_kind", kind=_kind(name), count=_count(counts[name]))
            for name in _FAILED
            if counts[name]
        ]
    )
    left = word("failed_left", ok=_count(counts["ok"])) if counts["ok"] else word("failed_all")
    reason = commonest_failure(statistics)
    why = same("") if reason is None else word("failed_often", reason=told(reason))
    share = number(100 * failed / sent, against=(100,))
    return word(
        "failed_line", failed=_count(failed), sent=_count(sent), share=share, kinds=kinds, left=left, why=why
    )


def commonest_failure(statistics: Json) -> str | None:
    """Why most of those that were sent failed, in the words of the first of them; None where nobody said why."""
    for reason in statistics["failures"]["reasons"]:
        error = reason["examples"][0]["error"] if reason["examples"] else None
        if reason["outcome"] in _FAILED and error is not None:
            return " ".join(clean(error, _MOST_REASON).split())
    return None


def summary_table(statistics: Json, *, lang: Lang) -> Group:
    """The times, a row each, and under them the counts and rates, a line each; only what was measured."""
    table = Figures(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    add_columns(table, [word("summary_times")[lang]], [word("mean")[lang], "P50", "P90", "P99"], [])
    for name, own in _times(statistics["times"]):
        cells = [own["mean"], *(own["percentiles"][share] for share in _SHARES)]
        table.add_row(Text(plain(name[lang], lang)), *(_millis(value) for value in cells))
    lines = Table.grid(padding=(0, 2, 0, 0))
    for name, said in _rates(statistics):
        lines.add_row(Text(plain(name[lang]), style="dim"), Text(plain(said[lang])))
    return Group(*([table] if table.row_count else []), lines)


def _times(times: Json) -> Iterator[tuple[Both, Json]]:
    anchor = "due" if times["e2e_due_ms"] else "sent"
    first, answer = times[f"ttft_{anchor}_ms"], times[f"ttfa_{anchor}_ms"]
    rows = {f"ttft_{anchor}_ms": first}
    if answer is not None and (first is None or answer["percentiles"] != first["percentiles"]):
        rows[f"ttfa_{anchor}_ms"] = answer
    rows |= {name: times[name] for name in ("tpot_ms", "gap_ms", "e2e_due_ms", "e2e_sent_ms")}
    yield from ((word(name), own) for name, own in rows.items() if own is not None)


def _rates(statistics: Json) -> Iterator[tuple[Both, Both]]:
    counts, asked, achieved = (statistics[name] for name in ("outcomes", "asked", "achieved"))
    parts = [word("summary_outcome", kind=_kind("ok"), count=_count(counts["ok"]))]
    failed = sum(counts[name] for name in _FAILED)
    parts.append(word("summary_outcome", kind=_kind("failed"), count=_count(failed)))
    if counts["not_sent"]:
        kind = _kind("not_sent")
        parts.append(word("summary_outcome", kind=kind, count=_count(counts["not_sent"])))
    yield word("total_timed"), word("list").join(parts)
    if achieved["rps"] is not None:
        done = [word("summary_completed", rate=number(achieved["rps"]))]
        if asked["kind"] == "closed_loop":
            done.append(word("summary_slots", slots=_count(asked["concurrency"])))
        elif achieved["achieved_rps"] is not None:
            asked_rps = asked["rate_rps"]
            sent = number(achieved["achieved_rps"], against=(asked_rps,))
            done += [word("summary_sent", rate=sent), word("summary_asked", rate=number(asked_rps))]
        yield word("summary_rps"), word("list").join(done)
    output, total = (statistics["rates"][name] for name in ("output_tokens_per_s", "total_tokens_per_s"))
    if output is not None:
        said = word("summary_output", rate=number(output["mean"]))
        if total is not None:
            said = word("list").join([said, word("summary_total", rate=number(total["mean"]))])
        yield word("summary_tokens"), said
    if (good := statistics["goodput"]) is not None:
        held = {"good": _count(good["good"]), "due": _count(good["due"]), "slo": clean(good["slo"], 80)}
        yield word("summary_goodput"), word("summary_good", rate=number(good["per_s"]), **held)


def _kind(name: str) -> Both:
    return word(f"outcome_{name}").map(str.lower)


def _count(value: int | None) -> str:
    return number(value or 0)


def _millis(value: float) -> str:
    """Milliseconds, to the microsecond at most: the clocks are not better."""
    return plain(number(round(value, 3)))
