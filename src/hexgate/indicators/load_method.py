"""What the blocks `method` of both load artifacts have in common: how requests are made, and how they are sent."""

from __future__ import annotations

from typing import Any

from hexgate.indicators.workload import Workload
from hexgate.load.endpoint_driver import EndpointDriver
from hexgate.load.plans.plan import Plan

__all__ = ["load_method"]


def load_method(
    plan: Plan,
    load: Workload,
    *,
    max_tokens: int,
    workers: int | None = None,
    trace: str | None = None,
    time_scale: float | None = None,
) -> dict[str, Any]:
    """All that changes what a load measures: runs that differ in any of it are not compared.

    Args:
        plan: when requests are sent; all of its head but the number of rows, which `requested` has.
        load: the requests; how text is asked for is in it.
        max_tokens: most tokens of a reply.
        workers: processes that were asked for; None for as many as the load can use.
        trace: name of the file whose instants are kept; None for none.
        time_scale: what every instant of it is multiplied by; None without one.
    """
    return {
        **load.asked,
        "mode": load.mode,
        "in_process": load.in_process,
        "max_tokens": max_tokens if load.mode == "text" else None,
        "transport": _transport(load),
        "timeout_s": load.driver.endpoint.timeout_s if isinstance(load.driver, EndpointDriver) else None,
        "workers": workers,
        "trace": trace,
        "time_scale": time_scale,
        **{key: value for key, value in plan.head().items() if key != "rows"},
    }


def _transport(load: Workload) -> str:
    driver = load.driver
    if not isinstance(driver, EndpointDriver):
        return "in this process"
    if not driver.by_httpx:
        return "hexgate http/1.1"
    return f"httpx http/{2 if driver.http2 else 1.1}{' through a proxy' if driver.proxy else ''} (slower)"
