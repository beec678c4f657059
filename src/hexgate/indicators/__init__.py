"""The six indicators, one module each, and the registry that names them without importing them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hexgate.indicators.base import Indicator

__all__ = ["INDICATORS", "indicator"]

INDICATORS: dict[str, str] = {
    "accuracy_f1": "hexgate.indicators.accuracy_f1:AccuracyF1",
    "latency_p99": "hexgate.indicators.latency_p99:LatencyP99",
    "throughput_rps": "hexgate.indicators.throughput_rps:ThroughputRps",
    "robustness_adv": "hexgate.indicators.robustness_adv:RobustnessAdv",
    "toxicity": "hexgate.indicators.toxicity:Toxicity",
    "power_efficiency": "hexgate.indicators.power_efficiency:PowerEfficiency",
}


def indicator(name: str) -> Indicator:
    """The indicator of a name of `INDICATORS`.

    Raises:
        KeyError: for any other name.
    """
    module, _, attribute = INDICATORS[name].partition(":")
    found: Indicator = getattr(import_module(module), attribute)()
    return found
