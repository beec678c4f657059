"""The table of all runs: one row a run, no cell with a line break, empty where there is no figure."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hexgate.study.design import Plan
from hexgate.study.exports.spreadsheet import guarded
from hexgate.study.layout import Layout
from hexgate.study.lines import write_whole

__all__ = ["COLUMNS", "Results", "result_row"]

_SYSTEM = (
    "cpu_percent_avg",
    "cpu_percent_peak",
    "mem_used_avg_mb",
    "mem_used_peak_mb",
    "disk_read_bytes",
    "disk_written_bytes",
    "server_cpu_cores_avg",
    "server_mem_peak_mb",
    "gpu_util_avg",
    "gpu_util_peak",
    "gpu_mem_avg_mb",
    "gpu_mem_peak_mb",
    "gpu_temperature_avg_c",
    "gpu_temperature_peak_c",
    "gpu_power_avg_w",
    "gpu_power_peak_w",
    "gpu_energy_j",
)
_ENERGY = (
    "basis",
    "gross_j",
    "uncertainty_j",
    "net_j",
    "net_uncertainty_j",
    "mean_power_w",
    "idle_power_w",
    "idle_drift_ratio",
    "edges",
)
_API = (
    "eval_count",
    "eval_duration_ns",
    "prompt_eval_count",
    "prompt_eval_duration_ns",
    "prompt_eval_cached_count",
    "load_duration_ns",
    "total_duration_ns",
    "thinking_count",
)
_METADATA = (
    "server",
    "server_version",
    "digest",
    "family",
    "parameters",
    "quantization",
    "context_length",
    "num_ctx",
    "loaded_num_ctx",
    "offload_ratio",
    "temperature",
    "top_p",
    "seed",
    "max_tokens",
    "think",
    "cold",
    "host",
    "gpu",
    "driver",
)
_OWN = (
    "run_id",
    "order",
    "block",
    "model",
    "task",
    "load",
    "item",
    "run",
    "status",
    "attempt",
    "timestamp",
    "latency_seconds",
    "first_token_seconds",
    "first_answer_seconds",
    "api_first_token_seconds",
    "output_seconds",
    "throughput_tokens_per_sec",
    "prompt_tokens_per_sec",
    "prompt_state",
    "finish_reason",
    "truncated",
    "token_events",
    "degraded",
)
_PATHS: tuple[tuple[str, tuple[str, ...]], ...] = (
    *((name, (name,)) for name in _OWN),
    ("error_kind", ("error", "kind")),
    ("error_detail", ("error", "detail")),
    *((name, ("api_metrics", name)) for name in _API),
    *((name, ("system_metrics", name)) for name in _SYSTEM),
    *((f"energy_{name}", ("energy", name)) for name in _ENERGY),
    *((name, ("metadata", name)) for name in _METADATA),
)
COLUMNS = (*(name for name, _ in _PATHS), "text_characters", "raw_file")
"""The columns that every table has, in order; those of quality, ``quality_<measure>``, follow."""


def result_row(record: Mapping[str, Any], raw_file: str) -> dict[str, str]:
    """The row of one run.

    Args:
        record: as its raw file holds it.
        raw_file: where that is, from the study's folder.
    """
    row = {name: _cell(_at(record, path)) for name, path in _PATHS}
    text = record["generated_text"]
    quality = {
        f"quality_{name}": _cell(value)
        for measure, mark in record["quality"].items()
        for name, value in (
            (measure, mark["value"]),
            *(
                (f"{measure}_{part}", one)
                for part, one in mark["parts"].items()
                if isinstance(one, (bool, int, float))
            ),
        )
    }
    return {**row, "text_characters": "" if text is None else str(len(text)), "raw_file": raw_file, **quality}


class Results:
    """The table, kept in memory and written whole. Threads may share it.

    Args:
        folder: the study's folder.
        layout: where its files are.
        plan: the order of the rows.
    """

    def __init__(self, folder: Path, layout: Layout, plan: Plan) -> None:
        self._folder = folder
        self._layout = layout
        self._order = [run.run_id for run in plan.runs]
        # As lines: a hundred thousand runs with a hundred cells each would take a gigabyte.
        self._rows: dict[str, tuple[str, dict[str, str]]] = {}
        self._guard = threading.Lock()

    def put(self, record: Mapping[str, Any]) -> None:
        """Take up a run, in the place of an earlier attempt at it."""
        run_id = str(record["run_id"])
        raw_file = self._layout.raw(run_id).relative_to(self._folder).as_posix()
        row = result_row(record, raw_file)
        line = _line([row.pop(name) for name in COLUMNS])
        with self._guard:
            self._rows[run_id] = (line, row)

    def write(self) -> None:
        """Write the table.

        Raises:
            OSError: if the disk does not take it.
        """
        with self._guard:
            further = sorted({name for _, own in self._rows.values() for name in own})
            lines = [_line([*COLUMNS, *further])]
            for run_id in self._order:
                if run_id in self._rows:
                    line, own = self._rows[run_id]
                    # Behind an empty cell, so that its comma stands before the first of them.
                    lines.append(
                        line + _line(["", *(own.get(name, "") for name in further)]) if further else line
                    )
            write_whole(self._layout.results, ("\n".join(lines) + "\n").encode(), wait=False)


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _at(record: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = record
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    text = " ".join(("; ".join(value) if isinstance(value, list) else str(value)).split())
    return guarded(text) if isinstance(value, (str, list)) else text
