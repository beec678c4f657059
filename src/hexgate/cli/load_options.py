"""What the flags of `hexgate load` ask for together, and what of them contradicts itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from typing import Any

from psutil import pid_exists

from hexgate.errors import InputError, MissingExtra
from hexgate.indicators.load_run import LoadOptions
from hexgate.indicators.throughput_rps import Options as RateOptions
from hexgate.load.measures.slo import Slo
from hexgate.load.plans.plan import Arrival, parse_ramp, parse_stages
from hexgate.meters.recorder import metrics_address

__all__ = ["Aims", "Leaving", "load_options"]

_PACES = {
    "rate_rps": "--rate",
    "concurrency": "--concurrency",
    "stages": "--stages",
    "ramp": "--ramp",
    "replay": "--replay",
}
_SEARCH_S = 120.0
"""The longest probe of a search."""
_SWEEP_S = 30.0
"""A load of a sweep."""
_LENGTHS = {"duration_s": "--duration", "requests": "--requests"}


@dataclass(frozen=True)
class Aims:
    """What the load is for, beside being measured."""

    search: bool = False
    """Find the highest rate that keeps the SLO."""
    sweep: int | None = None
    """Measure so many rates."""

    @property
    def flag(self) -> str | None:
        """The flag that asks for more than one load; None where one is asked for."""
        return "--search" if self.search else "--sweep" if self.sweep else None


@dataclass(frozen=True)
class Leaving:
    """What to leave beside the artifacts, and how much to say."""

    parquet: bool = False
    """Whether to write Parquet too."""
    exports: bool = True
    """Whether to write tables, statistics and the report."""
    dialect_of: str | None = None
    """The tool under whose definitions to print the load too."""
    quiet: bool = False
    """Whether to say nothing but errors."""
    max_error_ratio: float | None = None
    """The share of failures beyond which the load was to stop; None where nothing was said of it."""

    def refuse_what_is_missing(self) -> None:
        """Find out before the load what could not be written after it.

        Raises:
            MissingExtra: if Parquet is asked for and cannot be written.
        """
        if self.parquet and find_spec("pyarrow") is None:
            raise MissingExtra("parquet", "writing Parquet")


def load_options(chosen: Mapping[str, Any], aims: Aims) -> LoadOptions:
    """The options of the load: what was given, and else what the indicators have by default.

    Args:
        chosen: the values of the flags, None where one was not given.
        aims: what the load is for.

    Raises:
        InputError: if flags contradict each other, or one needs another.
    """
    given = {name: value for name, value in chosen.items() if value is not None}
    if "load_warmup" in given:
        given["warmup"] = given.pop("load_warmup")
    _one_of(given, _PACES)
    _one_of(given, _LENGTHS)
    if aims.search and aims.sweep:
        raise InputError("--search and --sweep exclude each other", hint="give one of them")
    _lengths(given)
    _arrivals(given, aims)
    _needs(given, "time_scale", "--time-scale", "replay", "--replay FILE")
    if given.get("think_s") and given.get("turns", 1) == 1:
        raise InputError("--think-s needs --turns", hint="a request alone has no next turn")
    if (
        "max_in_flight" in given
        and not aims.flag
        and not given.keys() & {"rate_rps", "stages", "ramp", "replay"}
    ):
        raise InputError(
            "--max-in-flight is for a load by the clock", hint="in a closed loop --concurrency is the cap"
        )
    for url in given.get("server_metrics", ()):
        metrics_address(url)
    if "server_pid" in given and not pid_exists(given["server_pid"]):
        raise InputError(
            "there is no such process on this machine",
            where="--server-pid",
            got=str(given["server_pid"]),
            hint="give the id of the server's process, or take the flag out",
        )
    if "slo" in given:
        Slo.parse(given["slo"])
    if aims.flag:
        _of_many(given, aims)
    rate = RateOptions()
    seconds = _SEARCH_S if aims.search else _SWEEP_S if aims.sweep else rate.duration_s
    ends_itself = given.keys() & {"requests", "stages", "ramp", "replay"}
    default = LoadOptions(
        arrival=rate.arrival,
        concurrency=rate.concurrency,
        duration_s=None if ends_itself else seconds,
        warmup=rate.load_warmup,
        windows=rate.windows,
    )
    if "tokenizer" in given:
        given["tokenizer"] = str(given["tokenizer"])
    known = {one.name for one in fields(LoadOptions)}
    return replace(default, **{name: value for name, value in given.items() if name in known})


def _one_of(given: Mapping[str, Any], flags: Mapping[str, str]) -> None:
    found = [flag for name, flag in flags.items() if name in given]
    if len(found) > 1:
        raise InputError(f"{found[0]} and {found[1]} exclude each other", hint="give one of them")


def _needs(given: Mapping[str, Any], name: str, flag: str, other: str, other_flag: str) -> None:
    if name in given and other not in given:
        raise InputError(f"{flag} needs {other_flag.split(maxsplit=1)[0]}", hint=f"add {other_flag}")


def _lengths(given: Mapping[str, Any]) -> None:
    shape = next((name for name in ("stages", "ramp") if name in given), None)
    if shape is None:
        return
    (parse_stages if shape == "stages" else parse_ramp)(given[shape])
    for name, flag in _LENGTHS.items():
        if name in given:
            raise InputError(f"--{shape} says itself how long it lasts", got=flag, hint=f"take {flag} out")


def _arrivals(given: Mapping[str, Any], aims: Aims) -> None:
    by_rate = bool(given.keys() & {"rate_rps", "stages", "ramp"}) or aims.flag is not None
    if "arrival" in given and not by_rate:
        hint = (
            "the trace says when"
            if "replay" in given
            else "without a rate, the end of one request sends the next"
        )
        raise InputError("--arrival needs --rate, --stages or --ramp", hint=hint)
    is_gamma = given.get("arrival") == Arrival.GAMMA.value
    if is_gamma != ("burstiness" in given):
        raise InputError(
            "gamma arrivals and --burstiness need each other", hint="such as --arrival gamma --burstiness 0.5"
        )


def _of_many(given: Mapping[str, Any], aims: Aims) -> None:
    """Refuse what makes no sense of loads at several rates."""
    for name, flag in {**_PACES, "requests": "--requests"}.items():
        if name in given and name != "rate_rps":
            raise InputError(f"{aims.flag} sends at rates of its own", got=flag, hint=f"take {flag} out")
    if aims.search and "slo" not in given:
        raise InputError(
            "--search needs --slo", hint="say what the rate has to keep: --slo 'ttft_ms.p99<=500'"
        )
    if aims.search and not Slo.parse(given["slo"]).run_terms:
        raise InputError(
            "--search needs a term that a load as a whole keeps",
            got=given["slo"],
            hint="add a percentile or a ratio, such as goodput_ratio>=0.99",
        )
