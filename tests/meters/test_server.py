from __future__ import annotations

import json
import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pynvml
import pytest

from hexgate.meters.base import MeterOptions, Unavailable
from hexgate.meters.host import open_meter
from hexgate.meters.nvml import open_gpus
from hexgate.meters.recorder import Recorder
from hexgate.meters.rows import SERVER_GPU_SERIES, SERVER_SERIES, resources_row
from hexgate.meters.server import ServerUse
from hexgate.meters.summary import summarise_resources
from support.process_trees import BURNT_S, process_tree

LACK = Unavailable("nvml", "NVIDIA GPUs", "no driver")
SECOND = 1_000_000_000


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _wait_for_more_rows(recorder: Recorder) -> None:
    """Until all that was done so far is in a sample."""
    path = recorder.resources_path.with_name(recorder.resources_path.name + ".partial")
    deadline, before = time.monotonic() + 30, path.read_bytes().count(b"\n")
    while path.read_bytes().count(b"\n") < before + 2:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def _gpu_row(server: ServerUse, t_ns: int) -> dict[str, Any]:
    return resources_row(list(server.read(t_ns)), server.lacks())


def test_server_and_client_are_recorded_apart(tmp_path: Path) -> None:
    """A real server of three processes, found by its port, beside a client with a worker, in one file."""
    held = 32 * 2**20
    with (
        process_tree(children=2, host="127.0.0.1", holds_bytes=held) as server,
        process_tree(children=1) as worker,
    ):
        url = f"http://127.0.0.1:{server.port}/v1"
        with Recorder(tmp_path, "run", pid=os.getpid(), resources_hz=50, server_url=url) as recorder:
            server.burn()
            worker.burn()
            _wait_for_more_rows(recorder)
            sampler_pid = recorder._process.pid if recorder._process else 0
            assert psutil.Process(sampler_pid).ppid() == os.getpid()
    assert recorder.failure is None
    rows = _rows(recorder.resources_path)
    summary = summarise_resources(rows)
    assert summary["server_cpu_s"]["seconds"] >= 2 * BURNT_S - 0.03
    assert summary["server_processes"]["max"] == 3
    assert summary["server_threads"]["max"] == 3
    assert summary["server_rss_bytes"]["mean"] >= 3 * held
    assert summary["server_uss_bytes"]["max"] >= 3 * held
    assert summary["server_cpu_cores"]["max"] > 0
    assert set(summary["server_cpu_ratio"]) == {"mean", "max", "std", "samples"}
    # The client has its worker, and neither the server nor the sampler, although it started all of them.
    client_s = summary["process_cpu_s"]["seconds"]
    assert client_s >= BURNT_S - 0.03
    assert summary["process_rss_bytes"]["max"] < psutil.Process().memory_info().rss + 3 * held
    domains = {block["id"]: block for block in recorder.to_json()["resources"]}
    assert domains["server_cpu_cores"]["unit"] == "core"
    assert domains["server_rss_bytes"]["scope"] == "server"


def test_workers_of_a_load_count_as_the_client(tmp_path: Path) -> None:
    """A load sends from processes of its own: what they use is the client's."""
    with (
        Recorder(tmp_path, "run", pid=os.getpid(), resources_hz=50) as recorder,
        process_tree(children=2) as workers,
    ):
        before = psutil.Process().cpu_times()
        workers.burn()
        after = psutil.Process().cpu_times()
        _wait_for_more_rows(recorder)
    own_s = after.user + after.system - before.user - before.system
    summary = summarise_resources(_rows(recorder.resources_path))
    assert summary["process_cpu_s"]["seconds"] >= own_s + 2 * BURNT_S - 0.05


def test_sampler_tells_its_own_cost_and_is_in_nobody_s_figures(tmp_path: Path) -> None:
    with Recorder(tmp_path, "run", pid=os.getpid()) as recorder:
        pass
    assert recorder.to_json()["sampler_cpu_s"] > 0


def test_server_that_dies_leaves_reasons_and_no_zeros(tmp_path: Path, no_driver: None) -> None:
    with process_tree(children=0, host="127.0.0.1") as server:
        meter = open_meter(MeterOptions(pid=os.getpid(), server_url=f"http://127.0.0.1:{server.port}"))
        assert not isinstance(meter, Unavailable)
        assert resources_row(meter.read(), meter.lacks())["server_rss_bytes"] > 0
    row = resources_row(meter.read(), meter.lacks())
    for name in (
        "server_cpu_ratio",
        "server_cpu_cores",
        "server_cpu_s",
        "server_rss_bytes",
        "server_threads",
    ):
        assert row[name] is None
        assert row["missing"][name] == "the server's process has ended"


def test_server_that_is_not_here_is_missing_with_its_reason(tmp_path: Path) -> None:
    url = "http://192.0.2.1:8000/v1"
    with Recorder(tmp_path, "run", pid=os.getpid(), server_url=url) as recorder:
        pass
    summary = summarise_resources(_rows(recorder.resources_path))
    for name in (*SERVER_SERIES, *SERVER_GPU_SERIES):
        assert summary[name] is None
        assert summary["missing"][name] == "the target is not on this machine"
    lacks = {lack.what: lack for lack in recorder.unavailable}
    assert lacks["server_rss_bytes"].reason == "the target is not on this machine"


def test_without_a_server_nothing_is_said_of_one(tmp_path: Path) -> None:
    with Recorder(tmp_path, "run", pid=os.getpid()) as recorder:
        pass
    assert not any(name.startswith("server_") for name in summarise_resources(_rows(recorder.resources_path)))


def test_unshared_memory_that_the_system_hides_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(self: psutil.Process) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "memory_full_info", hidden)
    server = ServerUse((os.getpid(),), LACK, apart=())
    first = resources_row(list(server.read(SECOND)), server.lacks())
    later = resources_row(list(server.read(100 * SECOND)), server.lacks())
    assert first["server_uss_bytes"] is later["server_uss_bytes"] is None
    assert "own user" in later["missing"]["server_uss_bytes"]
    assert "server_uss_bytes" not in {domain.id for domain in server.domains()}


def test_gpu_of_the_server_alone(nvml: Any) -> None:
    own = os.getpid()
    first = nvml.add(
        "GPU-a", processes={own: 7 * 2**30, 999_999: 2**30}, samples=[(own, 5, 60), (own, 9, 80), (1, 9, 5)]
    )
    nvml.add("GPU-b", processes={999_999: 2**30})
    gpus = open_gpus()
    server = ServerUse((own,), gpus, apart=())
    row = _gpu_row(server, SECOND)
    assert row["server_gpu_memory_bytes"] == [7 * 2**30, 0]
    assert row["server_gpu_util_ratio"] == [pytest.approx(0.7), None]
    # Asked once a second, and each sample of the driver's counts once.
    assert "server_gpu_memory_bytes" not in _gpu_row(server, SECOND + 200_000_000)
    first.samples.append((own, 12, 10))
    assert _gpu_row(server, 2 * SECOND)["server_gpu_util_ratio"][0] == pytest.approx(0.1)
    assert not isinstance(gpus, Unavailable)
    gpus.close()


def test_gpu_of_the_server_that_nvml_does_not_tell_apart(nvml: Any) -> None:
    """In a container NVML lists processes by numbers of the host, or none: that is not a server without a GPU."""
    nvml.add("GPU-a", processes={999_999: 2**30})
    nvml.add("GPU-b", process_error=pynvml.NVML_ERROR_NOT_SUPPORTED)
    gpus = open_gpus()
    row = _gpu_row(ServerUse((os.getpid(),), gpus, apart=()), SECOND)
    assert row["server_gpu_memory_bytes"] == [None, None]
    assert row["server_gpu_util_ratio"] == [None, None]
    assert "whole device" in row["missing"]["server_gpu_memory_bytes.0"]
    assert row["missing"]["server_gpu_util_ratio.1"] == "Not Supported"
    assert not isinstance(gpus, Unavailable)
    gpus.close()


def test_time_between_slow_readings_of_memory_follows_what_one_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**12, 50_000_000))
    server = ServerUse((os.getpid(),), LACK, apart=())
    monkeypatch.setattr(time, "monotonic_ns", lambda: next(clock))
    at_ns = [t for t in range(SECOND, 20 * SECOND, SECOND // 5) if "server_uss_bytes" in _gpu_row(server, t)]
    # A reading of 50 ms, at most one part in a hundred: every five seconds.
    assert {later - sooner for sooner, later in pairwise(at_ns)} == {5 * SECOND}
