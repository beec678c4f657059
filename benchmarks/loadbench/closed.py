"""Goals 1 and 2: how fast a closed loop goes, on one core and on two."""

from __future__ import annotations

from collections.abc import Callable

from loadbench import limits, peers, subject
from loadbench.peers import Load
from loadbench.results import Check, Contender, Figures, Outcome, interleaved
from loadbench.setup import Command, Setup

__all__ = ["small_replies", "streams"]

_COLUMNS = ("requests/s", "CPU ms/request", "CPU ms/request, loading", "cores used", "peak MB")


def small_replies(setup: Setup) -> Outcome:
    """Goal 1."""
    server = ["--tokens", "1", "--bundle"]
    requests = setup.size(400_000, 40_000)
    seconds = setup.size(8, 3)
    size = setup.size

    def hexgate(_: int) -> Figures:
        made = subject.predict(setup, "--concurrency", "64", "--requests", str(requests), "--warmup", "1000")
        measured = setup.measure("hexgate", server, made, accepted=subject.ACCEPTED)
        figures = measured.figures()
        recorded = len(subject.Evidence(measured.folder).rows)
        return figures | {"recorded share": recorded / len(measured.log.rows)}

    def against(name: str, command: Callable[[], Command]) -> Contender:
        return lambda _: setup.measure(name, server, command()).figures()

    contenders: dict[str, Contender] = {
        "hexgate": hexgate,
        "wrk": against("wrk", lambda: limits.wrk(limits.PREDICT, seconds)),
        "ab": against("ab", lambda: limits.ab(limits.PREDICT, size(1_000_000, 200_000))),
        "h2load": against("h2load", lambda: limits.h2load(limits.PREDICT, size(1_000_000, 200_000))),
        "bare Python": against("bare", lambda: limits.bare("--requests", str(size(600_000, 60_000)))),
    }
    loads = {
        "sglang-rust": Load(size(100_000, 10_000), streamed=False, tokens=1),
        "vllm": Load(size(20_000, 2_000), tokens=1),
        "aiperf": Load(size(4_000, 500), streamed=False, tokens=1),
        "guidellm": Load(size(2_000, 300), tokens=1),
        "evalscope": Load(size(10_000, 1_000), streamed=False, tokens=1),
    }
    rounds = interleaved(
        contenders | {name: peers.contender(setup, name, server, load) for name, load in loads.items()},
        setup.runs,
        setup.say,
    )

    def ratio(peer: str) -> float | None:
        return rounds.ratio("hexgate", peer, "requests/s")

    checks = [
        Check("requests/s, hexgate over wrk", ratio("wrk"), low=0.30),
        Check("requests/s, hexgate over SGLang's Rust client", ratio("sglang-rust"), low=1.5),
        Check("requests/s, hexgate over vLLM", ratio("vllm"), low=10),
        Check("requests/s, hexgate over AIPerf", ratio("aiperf"), low=50),
        Check(
            "requests recorded over requests at the server",
            rounds.median("hexgate", "recorded share"),
            1.0,
            1.0,
        ),
    ]
    title = "closed loop, small JSON replies, 64 connections, one client core"
    return Outcome(
        1,
        title,
        rounds,
        _COLUMNS,
        checks,
        ["The clients of vLLM and GuideLLM always stream: one event here."],
    )


def streams(setup: Setup) -> Outcome:
    """Goal 2."""
    size = setup.size
    one_each, one_write = ["--tokens", "64"], ["--tokens", "64", "--bundle"]
    each = "one write per token: "
    whole = "one write per reply: "

    def hexgate(server: list[str], requests: int, workers: int = 1) -> Contender:
        def once(_: int) -> Figures:
            options = ["--concurrency", "64", "--requests", str(requests), "--warmup", "200"]
            made = subject.chat(setup, *options, workers=workers)
            measured = setup.measure("hexgate", server, made, both=workers > 1, accepted=subject.ACCEPTED)
            rows = subject.Evidence(measured.folder).rows
            return measured.figures() | {
                "events recorded": float(rows["events"].sum() / measured.log.rows["tokens"].sum()),
                "server CPU ms/request": measured.log.facts["cpu_s"] / len(measured.log.rows) * 1e3,
            }

        return once

    def limit(name: str, server: list[str], command: Callable[[], Command]) -> Contender:
        return lambda _: setup.measure(name, server, command()).figures()

    seconds = size(8, 3)
    loads = {
        "sglang-rust": Load(size(20_000, 2_000)),
        "vllm": Load(size(8_000, 1_000)),
        "aiperf": Load(size(1_500, 300)),
    }
    contenders: dict[str, Contender] = {
        f"{each}hexgate": hexgate(one_each, size(20_000, 2_000)),
        f"{each}wrk": limit("wrk", one_each, lambda: limits.wrk(limits.CHAT, seconds)),
        f"{each}bare Python": limit(
            "bare", one_each, lambda: limits.bare("--stream", "--requests", str(size(20_000, 2_000)))
        ),
        **{f"{each}{name}": peers.contender(setup, name, one_each, load) for name, load in loads.items()},
        f"{whole}hexgate": hexgate(one_write, size(60_000, 6_000)),
        f"{whole}wrk": limit("wrk", one_write, lambda: limits.wrk(limits.CHAT, seconds)),
        f"{whole}bare Python": limit(
            "bare", one_write, lambda: limits.bare("--stream", "--requests", str(size(80_000, 8_000)))
        ),
        f"{whole}hexgate, two workers": hexgate(one_write, size(100_000, 10_000), workers=2),
    }
    rounds = interleaved(contenders, setup.runs, setup.say)

    def ratio(above: str, below: str) -> float | None:
        return rounds.ratio(above, below, "events/s")

    checks = [
        Check(f"{each}events/s, hexgate over wrk", ratio(f"{each}hexgate", f"{each}wrk"), low=0.9),
        Check(f"{each}events/s, hexgate over AIPerf", ratio(f"{each}hexgate", f"{each}aiperf"), low=10),
        Check(f"{whole}events/s on one core", rounds.median(f"{whole}hexgate", "events/s"), low=400_000),
        Check(
            f"{whole}two workers over one", ratio(f"{whole}hexgate, two workers", f"{whole}hexgate"), low=1.6
        ),
        Check(
            "events recorded over events sent", rounds.median(f"{each}hexgate", "events recorded"), 1.0, 1.0
        ),
    ]
    title = "closed loop, streams of 64 tokens without delay, 64 connections"
    notes = ["Two workers share the two cores with the server."]
    ours, servers = (
        rounds.median(f"{whole}hexgate", figure)
        for figure in ("CPU ms/request, loading", "server CPU ms/request")
    )
    if ours is not None and servers is not None:
        # One worker has a core of its own, and its speed is 1/ours; two have what the server leaves of two cores.
        most = 2 * ours / (ours + servers)
        notes.append(
            f"Of a request the server takes {servers:.3f} ms of a core and the client {ours:.3f}: on two cores two "
            f"workers can be at most {most:.2f} times one."
        )
    return Outcome(2, title, rounds, ("events/s", *_COLUMNS), checks, notes)
