"""throughput_rps: how much the target serves, in a closed loop or at an asked rate, successes only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
from hexgate.contract.schema import measures
from hexgate.errors import InputError
from hexgate.indicators.base import Figures, Job, Method, option
from hexgate.indicators.load_evidence import load_evidence
from hexgate.indicators.load_method import load_method
from hexgate.indicators.workload import Workload, carry_out, mode_option, tokens_option, workload
from hexgate.load.measures.figures import LEAST_WINDOWS, ThroughputFigures, throughput
from hexgate.load.measures.goodput import Goodput
from hexgate.load.measures.slo import Slo
from hexgate.load.plans.plan import Arrival, LoadKind, Plan, closed_loop, open_loop
from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.windows import batch_means

__all__ = ["ThroughputRps", "throughput_method"]

_FEWEST_SUCCESSES = 2
_MOST_WINDOWS = 100_000


@dataclass(frozen=True)
class Options:
    """What may be chosen."""

    duration_s: float = option(10.0, "Length of the timed window, seconds.", "计时窗口秒数。", above=0)
    concurrency: int = option(4, "Requests kept in flight.", "保持并发的请求数。", least=1)
    rate_rps: float | None = option(
        None,
        "Send at this rate instead of keeping a number in flight.",
        "按此速率发送，而非保持并发。",
        above=0,
    )
    arrival: str = option(
        Arrival.POISSON.value,
        "How requests at a rate are spaced.",
        "按速率发送时的到达过程。",
        choices=(Arrival.POISSON.value, Arrival.CONSTANT.value),
    )
    load_warmup: int = option(50, "Requests before the timed ones, in no latency.", "预热请求数。", least=0)
    windows: int = option(
        20, "Equal parts of the window for the interval.", "用于区间估计的等分窗口数。", least=LEAST_WINDOWS
    )
    mode: str | None = mode_option()
    max_tokens: int = tokens_option()


class ThroughputRps:
    """Requests that ended well per second of the timed window, with an interval over equal parts of it."""

    name: ClassVar[str] = "throughput_rps"
    options: ClassVar[type[Any]] = Options

    def collect(self, job: Job, evidence: EvidenceWriter) -> None:
        """Put the load on the target, and write a record for each request."""
        chosen: Options = job.options
        load = workload(job, mode=chosen.mode, max_tokens=chosen.max_tokens)
        if chosen.rate_rps is None:
            plan = closed_loop(
                concurrency=chosen.concurrency,
                items=load.items,
                duration_s=chosen.duration_s,
                warmup=chosen.load_warmup,
                seed=job.seed,
            )
            what = f"{chosen.concurrency} in flight for {chosen.duration_s:g} s"
        else:
            plan = open_loop(
                rate_rps=chosen.rate_rps,
                items=load.items,
                arrival=Arrival(chosen.arrival),
                duration_s=chosen.duration_s,
                warmup=chosen.load_warmup,
                seed=job.seed,
                max_in_flight=load.most_in_flight,
            )
            what = f"{chosen.rate_rps:g} requests/s for {chosen.duration_s:g} s"
        evidence.describe(
            dataset=load.dataset,
            method=throughput_method(plan, load, windows=chosen.windows, max_tokens=chosen.max_tokens),
        )
        carry_out(job, plan, load, evidence, what)

    def figures(self, method: Method, evidence: EvidenceReader) -> Figures:
        """The rates of the timed window, and what they rest on."""
        load = load_evidence(evidence)
        rates = throughput(
            load.records,
            load.plan,
            stopped_ns=load.stopped_ns,
            windows=method["windows"],
            limits=Slo.from_json(method["slo"]).request_limits if method.get("slo") else None,
            stream=load.stream,
        )
        counts = load.counts(load.plan.timed)
        tried = counts.succeeded + counts.errored
        closed = load.plan.kind is LoadKind.CLOSED_LOOP
        span_s = rates.window_s
        width_s = None if span_s is None or not rates.windows_rps else span_s / len(rates.windows_rps)
        values: dict[str, Any] = {
            "rps": rates.throughput_rps,
            "concurrency": load.plan.concurrency if closed else rates.in_flight_max,
            "completed": rates.successes,
            "duration_s": span_s,
            "requested_rps": rates.requested_rps,
            "achieved_rps": rates.achieved_rps,
            "output_tokens_per_s": rates.output_tokens_per_s,
            "error_ratio": counts.errored / tried if tried else None,
            "timeout_ratio": rates.outcomes.timeout / tried if tried else None,
            "timeouts": rates.outcomes.timeout,
            "unfinished": rates.outcomes.unfinished,
            "dispatch_lag_p99_ms": rates.dispatch_lag_p99_ms,
            "queue_p99_ms": rates.queue_p99_ms,
            "in_flight_max": rates.in_flight_max,
            **_token_values(rates),
            **_good_values(rates),
            "warmup_requests": rates.outcomes.warmup,
            "outcomes": {name: count for name, count in vars(rates.outcomes).items() if name != "warmup"},
            "tokens": rates.tokens.to_json(),
            "windows": [
                {"start_s": place * width_s, "end_s": (place + 1) * width_s, "rps": rps}
                for place, rps in enumerate(rates.windows_rps)
                if width_s is not None
            ],
            "arrivals": None if load.arrivals is None else load.arrivals.to_json(),
            "remarks": list(load.remarks(in_process=method["in_process"], timeout_s=method.get("timeout_s"))),
        }
        level = method["confidence"]
        intervals = {}
        if values["rps"] is not None and rates.windows_rps:
            intervals["rps"] = batch_means(
                rates.windows_rps, level=level, what="successes per second", floor=0.0
            )
        if tried:
            intervals["error_ratio"] = clopper_pearson(counts.errored, tried, level=level)
            intervals["timeout_ratio"] = clopper_pearson(values["timeouts"], tried, level=level)
        if rates.goodput is not None and rates.goodput.ratio is not None:
            intervals["goodput_ratio"] = clopper_pearson(rates.goodput.good, rates.goodput.due, level=level)
        return Figures(
            values=values,
            counts=counts,
            intervals=intervals,
            missing=_missing(values, rates.goodput, closed=closed)
            | ({} if load.no_arrivals is None else {"arrivals": load.no_arrivals}),
            cannot_certify=load.uncertified(self.name, values),
            invalid_reasons=(
                *load.faults(in_process=method["in_process"]),
                *_too_little(rates, load.why_none),
            ),
        )


def throughput_method(
    plan: Plan, load: Workload, *, windows: int, max_tokens: int, **sent: Any
) -> dict[str, Any]:
    """The artifact's block `method` of rates under a plan; `sent` is what else `load_method` takes.

    Raises:
        InputError: if the window is to be cut into too many parts.
    """
    if windows > _MOST_WINDOWS:
        raise InputError("too many windows", got=str(windows), expected=f"at most {_MOST_WINDOWS}")
    return {**load_method(plan, load, max_tokens=max_tokens, **sent), "windows": windows}


def _too_little(rates: ThroughputFigures, why_none: str) -> tuple[str, ...]:
    timed = rates.outcomes.ok
    if not timed and not rates.successes:
        return (why_none,)
    if rates.window_s is None:
        return ("there is no timed window: the run was too short for a rate",)
    if min(timed, rates.successes) >= _FEWEST_SUCCESSES:
        return ()
    reason = (
        f"too few for a rate: {timed} timed requests succeeded, and {rates.successes} ended well inside the "
        f"timed window of {rates.window_s:g} s; at least {_FEWEST_SUCCESSES} of both are needed"
    )
    return (reason,)


def _token_values(rates: ThroughputFigures) -> dict[str, Any]:
    tokens, speed = rates.tokens, rates.token_speed
    return {
        "output_tokens_per_s_max": None if speed is None else speed.maximum,
        "output_tokens_per_s_min": None if speed is None else speed.minimum,
        "output_tokens_per_s_std": None if speed is None else speed.std,
        "prompt_tokens_total": tokens.prompt if tokens.prompt_replies else None,
        "output_tokens_total": None if tokens.source is None else tokens.output,
        "cached_token_ratio": tokens.cached / tokens.cached_of if tokens.cached_of else None,
    }


def _good_values(rates: ThroughputFigures) -> dict[str, float | None]:
    goodput, span_s = rates.goodput, rates.window_s
    if goodput is None:
        return dict.fromkeys(("goodput_rps", "goodput_ratio", "goodput_of_ok_ratio"))
    known = span_s is not None and not goodput.unmeasured
    return {
        "goodput_rps": goodput.good_inside / span_s if known and span_s is not None else None,
        "goodput_ratio": goodput.ratio,
        "goodput_of_ok_ratio": goodput.ratio_of_ok,
    }


def _missing(values: dict[str, Any], goodput: Goodput | None, *, closed: bool) -> dict[str, str]:
    no_tokens = "no reply has tokens that can be counted"
    reasons = {
        "requested_rps": "a closed loop asks for no rate",
        "dispatch_lag_p99_ms": "a closed loop has no due times" if closed else "nothing was sent",
        "queue_p99_ms": "nothing was sent",
        "output_tokens_per_s": no_tokens,
        "output_tokens_total": no_tokens,
        "prompt_tokens_total": "no reply states the tokens of its prompt",
        "cached_token_ratio": "no reply states how many tokens of its prompt were cached",
        "achieved_rps": "fewer than two requests were sent",
    }
    seconds = "the timed window has fewer than two whole seconds"
    for name in ("max", "min", "std"):
        key = f"output_tokens_per_s_{name}"
        reasons[key] = seconds if values["output_tokens_per_s"] is not None else no_tokens
    if goodput is None:
        good = "no request is held to a limit"
    elif goodput.unmeasured:
        good = f"no reply has what is limited: {', '.join(goodput.unmeasured)}"
    else:
        good = "no request succeeded" if goodput.due else "nothing was due"
    reasons |= dict.fromkeys(("goodput_rps", "goodput_ratio", "goodput_of_ok_ratio"), good)
    return {
        name: reasons.get(name, "nothing was sent in the timed window")
        for name in measures(ThroughputRps.name)
        if values[name] is None
    }
