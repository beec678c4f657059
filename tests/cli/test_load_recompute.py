"""Every figure of a load is computed again from its evidence, bit for bit: two workers, streams, every kind of plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hexgate.indicators.recompute import recompute
from support.command import Ended
from support.measuring import check
from support.scripted import ScriptedServer

LOADS: dict[str, tuple[str, ...]] = {
    "replay": ("--replay", "trace.jsonl", "--time-scale", "0.5"),
    "gamma": ("--rate", "120", "--arrival", "gamma", "--burstiness", "0.5", "--requests", "150"),
    "conversations": ("--rate", "60", "--turns", "3", "--think-s", "0.01", "--requests", "40"),
    "stages": ("--stages", "40:1,120:1"),
    "closed": ("--concurrency", "6", "--requests", "80", "--turns", "2"),
}


@pytest.mark.parametrize("kind", LOADS)
def test_a_load_is_computed_again_bit_for_bit(
    call: Callable[..., Ended],
    scripted: Callable[..., ScriptedServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trace.jsonl").write_text("".join(f'{{"due_s": {at**1.5 / 500}}}\n' for at in range(130)), "utf-8")
    talks = [{"id": str(each), "turns": [f"{word} {each}" for word in "abc"]} for each in range(30)]
    Path("prompts.jsonl").write_text("".join(f"{json.dumps(talk)}\n" for talk in talks), "utf-8")
    server = scripted(chat=lambda _: "one two three four")
    ended = call(
        *("load", server.v1, "--model", "m", "--prompts", "prompts.jsonl", "--max-tokens", "8"),
        *("--workers", "2", "--warmup", "5", "--slo", "ttft_ms<=5000", "--temperature", "0.2"),
        *(*LOADS[kind], "--out", tmp_path / "out"),
    )
    # A machine that is busy with other things may make it invalid: its figures are computed all the same.
    assert ended.code in {0, 4}, ended.err
    for name in ("latency_p99", "throughput_rps"):
        artifact = check(tmp_path / "out" / f"{name}.json")
        again = recompute(artifact)
        assert again.differences == ()
        assert again.compared > 150
        method = artifact.data["method"]
        assert (method["workers"], method["temperature"]) == (2, 0.2)
        assert method["transport"] == "hexgate http/1.1"
        assert method["trace"] == ("trace.jsonl" if kind == "replay" else None)
        assert isinstance(artifact.data["remarks"], list)
    arrivals = artifact.data["arrivals"]
    assert (arrivals is None) is (kind == "closed")
    if arrivals is not None:
        assert arrivals["planned"]["n"] == arrivals["sent"]["n"] > 30
    assert call("recompute", tmp_path / "out").code == 0
    statistics = json.loads((tmp_path / "out" / "statistics.json").read_text("utf-8"))
    assert statistics["arrivals"] == arrivals
    assert set(artifact.data["remarks"]) <= set(statistics["remarks"])
