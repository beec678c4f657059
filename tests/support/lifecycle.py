"""One job's whole life through a driver: submitted, waited for, collected, judged.

Expected use, in a platform's own tests (the driver talks to a fake server that really runs the job's command)::

    def test_a_job_from_submit_to_verdict(tmp_path: Path) -> None:
        with FakeThing() as server:
            server.fail_next(Fault.THROTTLED, Fault.SERVER_ERROR, Fault.CUT)
            spec = demo_spec(f"{(tmp_path / 'store').as_uri()}", output_path="/output", platform={...})
            carried = carry("thing", Thing().driver(spec), spec, tmp_path)
        assert carried.status.state is JobState.SUCCEEDED
        assert carried.collected.whole
        assert carried.verdict.verdict is Verdict.PASS

`spec.output.uri` is where the run is collected from: give `store_uri` where the platform's form of it is no store of
hexgate, or lies elsewhere in a test. For a job whose end is not success use `follow`, which only submits and waits;
for a load in shards `carry_load`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexgate.cli.gate import Outputs, conclude
from hexgate.contract.collected import Collected
from hexgate.gate.verdict import GateVerdict
from hexgate.platforms.base import Driver, Status
from hexgate.platforms.collect import collect_run, expectation
from hexgate.platforms.handles import Handle
from hexgate.platforms.spec import JobSpec, parse_spec
from hexgate.platforms.submit import submit_job
from hexgate.platforms.wait import wait_for
from hexgate.stores.registry import open_store
from support.command import Ended
from support.starved import TRIES, starved_shards

FASTER = 100
"""So much faster the clock of waiting goes: what is not known any more is given up after a minute of it."""
POLL_S = 0.02
"""So quick looks, as a fake server takes a job one step on for each."""


@dataclass(frozen=True)
class Carried:
    """A job that was carried to its verdict."""

    handle: Handle
    status: Status
    collected: Collected
    verdict: GateVerdict
    folder: Path
    """Where `collected.json` and the parts lie."""


def demo_spec(
    output_uri: str, *, output_path: str | None = None, platform: Mapping[str, Any] | None = None, **keys: Any
) -> JobSpec:
    """A quick job that really measures: f1 of the embedded model on its embedded data.

    Args:
        output_uri: where its parts go.
        output_path: where the platform mounts that, if it does.
        platform: the spec's block `platform`.
        keys: any other keys of a job spec, as `schemas/job.schema.json` has them.
    """
    argv = ["hexgate", "run", "--indicator", "accuracy_f1", "--model", "demo:", "--data", "demo:"]
    value = {
        "schema": "hexgate.job/v1",
        "name": "quick",
        "indicator": "accuracy_f1",
        "image": {"ref": "registry.example.com/hexgate:0.1.0"},
        "argv": [*argv, "--out", "{out}/accuracy_f1.json"],
        "output": {"uri": output_uri} | ({"path": output_path} if output_path else {}),
        "timeout_s": 600,
        "platform": dict(platform or {}),
    }
    return parse_spec(value | keys, "test")


def follow(platform: str, driver: Driver, spec: JobSpec, folder: Path) -> tuple[Handle, Status]:
    """Submit a job twice, which gives one job, and wait for its end.

    Raises:
        PlatformFailed: if it is lost, or stays in a state that nobody knows.
    """
    path = folder / "handle.json"
    handle = submit_job(spec, platform, driver, path)
    assert submit_job(spec.with_run_id(handle.run_id), platform, driver, path).native_id == handle.native_id
    assert handle.address is not None
    return handle, wait_for(
        driver, handle.address, timeout_s=300 * FASTER, poll_s=POLL_S, clock=lambda: time.monotonic() * FASTER
    )


def carry(
    platform: str,
    driver: Driver,
    spec: JobSpec,
    folder: Path,
    *,
    store_uri: str | None = None,
    rules: tuple[Mapping[str, Any], ...] = ({"indicator": "accuracy_f1", "measure": "f1", "at_least": 0.75},),
) -> Carried:
    """Submit (twice), wait, collect, judge."""
    handle, status = follow(platform, driver, spec, folder)
    dest = folder / "collected"
    collected = collect_run(open_store(store_uri or spec.output.uri), expectation(handle), dest)
    policy = folder / "policy.yaml"
    policy.write_text(
        json.dumps({"version": 1, "name": "test", "rules": [*map(dict, rules)]}), encoding="utf-8"
    )
    return Carried(handle, status, collected, conclude([dest], policy, Outputs()), dest)


def carry_load(
    platform: str, driver: Driver, spec: JobSpec, folder: Path, *, store_uri: str, call: Callable[..., Ended]
) -> Carried:
    """Submit a load of two shards (twice), wait, collect: another job where a busy machine has starved a shard.

    The verdict is on the merged load: at least 10 requests a second.
    """
    for attempt in range(TRIES):
        here = folder / f"try-{attempt}"
        here.mkdir()
        handle, status = follow(platform, driver, spec, here)
        collected = collect_run(open_store(store_uri), expectation(handle), here / "collected")
        if not starved_shards(here / "collected"):
            break
    merged = here / "merged"
    assert call("load", "merge", here / "collected", "--out", merged, "--quiet").code == 0
    rule = {"indicator": "throughput_rps", "measure": "rps", "at_least": 10}
    policy = here / "policy.yaml"
    policy.write_text(json.dumps({"version": 1, "name": "load", "rules": [rule]}), encoding="utf-8")
    return Carried(handle, status, collected, conclude([merged], policy, Outputs()), here / "collected")
