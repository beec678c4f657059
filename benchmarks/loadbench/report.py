"""Goal 10: what a report costs, how large it is, and whether it opens without a network."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

from loadbench import subject
from loadbench.machine import run
from loadbench.results import Check, Contender, Figures, Outcome, Skip, interleaved
from loadbench.server import serving
from loadbench.setup import Setup

__all__ = ["report"]

_BROWSER = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
]
_BROWSER += ["--disable-background-networking", "--disable-component-update"]


class _Listener:
    """A proxy that lets nothing through, and notes every host that it is asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                line = connection.recv(4096).split(b"\r\n")[0].split()
                target = line[1].decode("ascii", "replace") if len(line) > 1 else "?"
                self.asked.add(urlsplit(target if "//" in target else f"//{target}").hostname or "?")

    def close(self) -> None:
        self._socket.close()


def _asked_for(setup: Setup, page: Path) -> tuple[set[str], str]:
    """What Chromium wants from outside for a page, and the page after its scripts."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise Skip("no Chromium on the path")
    listener = _Listener()
    profile = setup.folder("browser")
    command = [found, *_BROWSER, f"--user-data-dir={profile}", f"--proxy-server=127.0.0.1:{listener.port}"]
    command += ["--proxy-bypass-list=<-loopback>", "--dump-dom", page.as_uri()]
    try:
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    finally:
        listener.close()
    return listener.asked, done.stdout.decode("utf-8", "replace")


def _own(setup: Setup) -> set[str]:
    """What the browser wants for itself, on a page of nothing.

    Raises:
        RuntimeError: if a page that does load something from outside is not caught.
    """
    folder = setup.folder("blank")
    blank, loading = folder / "blank.html", folder / "loading.html"
    blank.write_text("<!doctype html><title>blank</title>", encoding="utf-8")
    loading.write_text(
        '<!doctype html><title>loading</title><img src="http://outside.invalid/x">', encoding="utf-8"
    )
    if "outside.invalid" not in _asked_for(setup, loading)[0]:
        raise RuntimeError("the browser loaded an image from outside, and the proxy did not see it")
    return set().union(*(_asked_for(setup, blank)[0] for _ in range(3)))


def _load(setup: Setup, requests: int, folder: Path) -> Path:
    """The folder of a load of so many requests: streamed, so that the report has everything to draw."""
    with serving(setup.server, cores=[setup.server_core], options=["--tokens", "4", "--bundle"]) as server:
        options = ["--concurrency", "64", "--requests", str(requests), "--warmup", "0"]
        command = subject.chat(setup, *options, tokens=4)(server, folder)
        ran = run(command, cores=[setup.client_core], folder=folder)
    if ran.returncode not in subject.ACCEPTED:
        raise RuntimeError(f"exit code {ran.returncode} of {' '.join(ran.command)}\n{ran.output}")
    return folder / "out"


def report(setup: Setup) -> Outcome:
    """Goal 10."""
    amounts = (10, 1_000, setup.size(100_000, 10_000), setup.size(1_000_000, 30_000))
    loads: dict[int, Path] = {}
    own: list[set[str]] = []

    def hexgate(requests: int) -> Contender:
        def once(_number: int) -> Figures:
            if requests not in loads:
                loads[requests] = _load(setup, requests, setup.folder("load"))
            folder = setup.folder("report")
            page = folder / "report.html"
            command = subject.report(loads[requests], page)
            ran = run(command, cores=[setup.client_core], folder=folder, every_s=0.05)
            if ran.returncode != 0:
                raise RuntimeError(f"exit code {ran.returncode} of {' '.join(ran.command)}\n{ran.output}")
            if not own:
                own.append(_own(setup))
            asked, dom = _asked_for(setup, page)
            return {
                "build s": ran.wall_s,
                "s/100,000": ran.wall_s / max(1, requests / 100_000),
                "size MB": page.stat().st_size / 1e6,
                "peak MB": max(ran.peak_mb, ran.peak_tree_mb),
                "outside": float(len(asked - own[0])),
                "charts": float(dom.count("<svg")),
            }

        return once

    names = {requests: f"{requests:,} requests" for requests in amounts}
    rounds = interleaved({name: hexgate(requests) for requests, name in names.items()}, setup.runs, setup.say)
    checks = []
    for name in names.values():
        checks += [
            Check(f"{name}: s to build, per 100,000 requests", rounds.median(name, "s/100,000"), high=2),
            Check(f"{name}: MB", rounds.worst(name, "size MB"), high=1),
            Check(f"{name}: hosts asked for from outside", rounds.worst(name, "outside"), high=0),
        ]
    notes = [
        "The whole command is timed, start of Python included. Fewer than 100,000 requests count as 100,000."
    ]
    columns = ("build s", "s/100,000", "size MB", "peak MB", "charts", "outside")
    return Outcome(10, "the HTML report", rounds, columns, checks, notes)
