"""The background recording of one measurement: a sampler in its own process, and the files it leaves.

The sampler is started by its module's name, so that no main module of a user is imported again and no lock of
the measured interpreter delays it. A measurement does not die because its sampler does: `Recorder.failure`
says so. Stamps are `time.monotonic_ns`: one clock for all processes of a machine; before Python 3.13 it moves
in steps of about 16 ms on Windows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast
from urllib.parse import urlsplit

import hexgate
from hexgate.errors import InputError
from hexgate.meters.base import METERS, Domain, Unavailable
from hexgate.meters.rows import PARTIAL, POWER, RESOURCES, SERVER_METRICS

__all__ = ["Recorder", "metrics_address"]

_START_LIMIT_S = 20.0
"""A driver that nobody uses may need seconds for each GPU when it is first asked."""
_END_LIMIT_S = 10.0


class Recorder:
    """Records resources and power from before a measurement until after it.

    Used as a context manager: when it is entered the first samples are written, when it is left the files are
    complete. With `wait` false it is only started when it is entered, and `wait` waits for the first samples: so
    a measurement can get ready meanwhile. None of these raises because of the sampler.

    Args:
        folder: where the files go.
        stem: what their names begin with: ``<stem>.resources.jsonl`` and ``<stem>.power.jsonl``.
        pid: the measured process; None where it is not on this machine.
        resources_hz: samples of resources a second.
        power_hz: readings of power a second; None for `hexgate.meters.sampler.own_power_hz` of what is read.
        meters: names in `base.METERS` of the energy meters to read.
        rapl_root: root of the powercap tree, where it is not the kernel's own.
        jetson_root: what stands for `/` above the `sys` and `proc` of a Jetson, where it is not `/` itself.
        server_pid: the server under load, where it is on this machine and cannot be found by `server_url`.
        server_url: where the server under load listens; its processes are looked for, and sampled if they are here.
        metrics_urls: Prometheus endpoints of the server, without credentials.
        metrics_hz: how often each is asked a second.
        wait: whether entering waits for the first samples.

    Raises:
        InputError: if there is no such meter, a rate is not above 0, or an endpoint is no URL of one.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        *,
        pid: int | None,
        resources_hz: float = 5.0,
        power_hz: float | None = None,
        meters: Sequence[str] = ("nvml", "rapl", "jetson"),
        rapl_root: Path | None = None,
        jetson_root: Path | None = None,
        server_pid: int | None = None,
        server_url: str | None = None,
        metrics_urls: Sequence[str] = (),
        metrics_hz: float = 1.0,
        wait: bool = True,
    ) -> None:
        energy_meters = [name for name in METERS if name != "host"]
        for name in meters:
            if name not in energy_meters:
                expected = "one of " + ", ".join(energy_meters)
                raise InputError("there is no such energy meter", got=repr(name), expected=expected)
        rates = [rate for rate in (resources_hz, power_hz, metrics_hz) if rate is not None]
        if not all(rate > 0 for rate in rates):
            got = ", ".join(f"{rate:g}" for rate in rates)
            raise InputError("a sampling rate is not above 0", got=f"{got} Hz")
        urls = [metrics_address(url) for url in metrics_urls]
        self.resources_path = folder / f"{stem}.{RESOURCES}"
        """Where the resources are once it is left; there only if `rows` has ``resources``."""
        self.power_path = folder / f"{stem}.{POWER}"
        """Where the power is once it is left; there only if `rows` has ``power``."""
        self.metrics_path = folder / f"{stem}.{SERVER_METRICS}"
        """Where the server's own metrics are once it is left; there only if `rows` has ``server_metrics``."""
        self.rows: dict[str, int] = {}
        """Once it is left: the rows of each file that there is, by ``resources``, ``power`` and, where endpoints
        were named, ``server_metrics``. Where nothing of power can be read, that file has 0."""
        self.domains: list[Domain] = []
        """The energy domains that are read."""
        self.unavailable: list[Unavailable] = []
        """The meters, devices and series that this machine lacks."""
        self._resource_domains: list[Domain] = []
        self._rates: dict[str, float | None] = {"resources_hz": resources_hz, "power_hz": power_hz}
        self._urls = urls
        self._waits = wait
        self._has_heard = False
        self._failure: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._said: list[dict[str, Any]] = []
        self._errors: list[str] = []
        self._heard = threading.Event()
        self._listener: threading.Thread | None = None
        task = {
            "folder": str(folder.resolve()),
            "stem": stem,
            "parent": os.getpid(),
            "pid": pid,
            **self._rates,
            "meters": list(meters),
            "rapl_root": None if rapl_root is None else str(rapl_root.resolve()),
            "jetson_root": None if jetson_root is None else str(jetson_root.resolve()),
            "server_pid": server_pid,
            "server_url": None if server_url is None else _origin(server_url),
            "metrics_urls": urls,
            "metrics_hz": metrics_hz,
        }
        self._command = [sys.executable, "-m", "hexgate.meters.sampler", json.dumps(task)]

    @property
    def failure(self) -> str | None:
        """Why the recording is not what it should be; None where it is."""
        if self._failure is None and self._process is not None and self._process.poll() is not None:
            self._failure = self._early_end(self._process.returncode)
        return self._failure

    @staticmethod
    def mark_ns() -> int:
        """Now, on the clock of the stamps."""
        return time.monotonic_ns()

    def to_json(self) -> dict[str, Any]:
        """What was recorded and how, as a document of evidence: without it the rows have no unit."""
        return {
            "clock": "time.monotonic_ns",
            **self._rates,
            "domains": [domain.to_json() for domain in self.domains],
            "resources": [domain.to_json() for domain in self._resource_domains],
            "unavailable": [lack.to_json() for lack in self.unavailable],
            "failure": self.failure,
            **self._told(),
        }

    def _told(self) -> dict[str, Any]:
        """What the sampler said at its end: its own cost, and what came of the server's metrics."""
        last = next((line for line in self._said if "server_metrics" in line), None)
        told: dict[str, Any] = {"sampler_cpu_s": None if last is None else last["cpu_s"]}
        if self._urls:
            told["server_metrics"] = (
                [{"url": url, "failure": "the sampler did not come to its end"} for url in self._urls]
                if last is None
                else last["server_metrics"]
            )
        return told

    def __enter__(self) -> Recorder:
        try:
            self._start()
            if self._waits:
                self.wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _start(self) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # Python puts the working folder first on its path: in this one it finds this very package,
                # and none of the user's files can stand in for a module.
                cwd=Path(hexgate.__file__).resolve().parent.parent,
            )
        except OSError as error:
            self._failure = f"the sampler could not be started ({error.strerror})"
            return
        self._listener = threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
        self._listener.start()

    def wait(self) -> None:
        """Wait until the first samples are written, or it is known that they never will be."""
        process = self._process
        if process is None or self._has_heard:
            return
        if not self._heard.wait(_START_LIMIT_S):
            self._failure = f"the sampler wrote no sample within {_START_LIMIT_S:g} s"
            process.kill()
        if self._take_in():
            return
        process.wait()
        self._failure = self._failure or self._early_end(process.returncode)

    def _take_in(self) -> bool:
        """Take up what the sampler reads, as it said after its first samples; false where it did not say so."""
        hello = next((line for line in self._said if "domains" in line), None)
        if hello is None:
            return False
        self._has_heard = True
        self._rates["power_hz"] = hello["power_hz"]
        self.domains = [Domain.from_json(block) for block in hello["domains"]]
        self.unavailable = [Unavailable(**block) for block in hello["unavailable"]]
        self._resource_domains = [Domain.from_json(block) for block in hello["resources"]]
        return True

    def _listen(self, pipe: IO[bytes]) -> None:
        """Keep what the sampler says (lines of JSON) apart from what its interpreter says (any other)."""
        for line in pipe:
            if line.startswith(b"{"):
                self._said.append(json.loads(line))
                self._heard.set()
            else:
                self._errors.append(line.decode(errors="replace").strip())
        self._heard.set()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._end_process(process)
            # A measurement that never began may not have waited for it.
            self._take_in()
            self._finish("resources", self.resources_path)
            self._finish("power", self.power_path)
            if self._urls:
                self._finish("server_metrics", self.metrics_path)

    def _end_process(self, process: subprocess.Popen[bytes]) -> None:
        early = process.poll() is not None
        stdin, stdout = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
        # The sampler may end by itself at this very moment; its exit code, read below, says so.
        with suppress(BrokenPipeError), stdin:
            # A word, and not only the pipe's end: a fork of this process may hold the pipe open.
            stdin.write(b".")
        try:
            if self._listener is not None:
                # What it says ends with it, and is heard at once; waiting for a process looks only now and then.
                self._listener.join(_END_LIMIT_S)
            process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._failure = self._failure or f"the sampler did not end within {_END_LIMIT_S:g} s"
        finally:
            process.kill()
            process.wait()
            if self._listener is not None:
                self._listener.join()
            stdout.close()
        if early or process.returncode != 0:
            self._failure = self._failure or self._early_end(process.returncode)

    def _early_end(self, returncode: int) -> str:
        reason = next((str(line["failure"]) for line in self._said if "failure" in line), None)
        if reason is None:
            reason = f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
            reason += f": {self._errors[-1]}" if self._errors else ""
        return f"the sampler ended before the measurement did ({reason}); what came after is not recorded"

    def _finish(self, name: str, path: Path) -> None:
        """Give a file its final name, without a last line that was cut short."""
        partial = path.with_name(path.name + PARTIAL)
        rows = length = 0
        try:
            with partial.open("r+b") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        rows += 1
                        length += len(line)
                file.truncate(length)
            partial.replace(path)
        except FileNotFoundError:
            self._failure = self._failure or f"the sampler left no file {path.name}"
        except OSError as error:
            self._failure = self._failure or f"{path.name} could not be finished ({error.strerror})"
        else:
            self.rows[name] = rows


def _origin(url: str) -> str:
    """Scheme, host and port: arguments of a process are read by others, and a URL may hold credentials."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def metrics_address(url: str) -> str:
    """The address of a Prometheus endpoint; its path is ``/metrics`` where none is given.

    Raises:
        InputError: if it is no URL of one, or holds credentials.
    """
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        expected = "a URL such as http://127.0.0.1:8000/metrics"
        raise InputError("no address of server metrics", got=repr(url), expected=expected)
    if parts.username or parts.password:
        hint = "leave out what stands before the @; the endpoint must be open to this machine"
        raise InputError("an address of server metrics holds credentials", got=parts.hostname, hint=hint)
    return parts._replace(path="/metrics" if parts.path in {"", "/"} else parts.path, fragment="").geturl()
