"""Goal 9: from the command to the first byte of the first request at the server."""

from __future__ import annotations

import sys

from loadbench import limits, peers, subject
from loadbench.machine import run
from loadbench.peers import Load
from loadbench.results import Check, Contender, Figures, Outcome, interleaved
from loadbench.setup import Command, Setup

__all__ = ["start"]


def start(setup: Setup) -> Outcome:
    """Goal 9."""
    server = ["--tokens", "1"]
    figure = "first byte s"

    def first(what: str, command: Command, env: dict[str, str] | None = None) -> Figures:
        measured = setup.measure(what, server, command, accepted=subject.ACCEPTED, env=env, every_s=0.5)
        return {
            figure: (measured.log.span_ns[0] - measured.ran.started_ns) / 1e9,
            "wall s": measured.ran.wall_s,
        }

    def hexgate(_: int) -> Figures:
        options = ["--concurrency", "1", "--requests", "200", "--warmup", "0"]
        return first("hexgate", subject.chat(setup, *options, tokens=1))

    def floor(_: int) -> Figures:
        command = [sys.executable, "-c", "pass"]
        return {"wall s": run(command, cores=[setup.client_core], folder=setup.folder("floor")).wall_s}

    def peer(name: str) -> Contender:
        def once(_: int) -> Figures:
            load = Load(10, concurrency=1, tokens=1)
            return first(name, peers.command(setup, name, load), dict(peers.PEERS[name].env or {}))

        return once

    contenders: dict[str, Contender] = {
        "hexgate": hexgate,
        "python -c pass": floor,
        "wrk": lambda _: first("wrk", limits.wrk(limits.CHAT, 1)),
        "bare Python": lambda _: first(
            "bare", limits.bare("--requests", "10", "--concurrency", "1", "--stream")
        ),
        **{name: peer(name) for name in peers.PEERS},
    }
    rounds = interleaved(contenders, setup.runs, setup.say)
    checks = [Check("command to first request, s", rounds.median("hexgate", figure), high=0.5)]
    notes = ["SGLang's Rust client is loaded without the package around it, which takes seconds to import."]
    return Outcome(9, "command to first byte at the server", rounds, (figure, "wall s"), checks, notes)
