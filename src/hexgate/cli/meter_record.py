"""The recording of one command: held until everything is ready, let go, awaited, and the machine at rest around it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hexgate.errors import DataError, InputError, Interrupted
from hexgate.meters.base import METERS, Domain, Unavailable, Unit
from hexgate.meters.held import Ended, Held, refusal, rest, signals_awaited
from hexgate.meters.imported import Anchor, ImportOptions, import_trace
from hexgate.meters.inventory import inventory
from hexgate.meters.measure import Recorded, Usage, Windows
from hexgate.meters.recorder import Recorder
from hexgate.meters.rows import POWER, RESOURCES, failed_reads, traces
from hexgate.meters.windows import Window

__all__ = ["IMPORTED", "STEM", "Asked", "Recording", "check", "read_rows", "record", "unread", "with_import"]

Json = dict[str, Any]

STEM = "meter"
"""What the names of all kept files begin with."""
IMPORTED = "imported.jsonl"
"""End of the name of the file that an imported trace is kept in."""
_SETTLE_S = 1.0
"""After its work a device cools down for a moment, and a sensor that averages shows the work for as long."""
_MOST_LATE_S = 5.0
"""How long the file of another meter is given to reach the end."""
_LOOK_S = 0.25
_MARGIN_NS = 60_000_000_000


@dataclass(frozen=True)
class Asked:
    """What a call asks for."""

    command: Sequence[str]
    """The command and its arguments."""
    domains: Sequence[str] = ()
    """Meters or domains by name; empty for all."""
    idle_s: float = 0.0
    """Seconds of rest to measure on either side; 0 for none."""
    hz: float | None = None
    """Readings of power a second; None for what the meters are worth."""
    rapl_root: Path | None = None
    """Root of the powercap tree; None for the kernel's own."""
    watts_per_core: float | None = None
    """Declared watts of a busy core; None for no estimate."""
    imported: Path | None = None
    """The file of another meter."""
    options: ImportOptions = field(default_factory=ImportOptions)
    """How it is read."""


@dataclass(frozen=True)
class Recording:
    """What was recorded, and how."""

    recorded: Recorded
    """What figures are computed from."""
    begin: Anchor
    """Both clocks before it."""
    end: Anchor
    """Both clocks after it."""
    sampler: Json
    """What the recorder says of itself."""
    imported: Json | None = None
    """The file of another meter: its name, its options, and why it could not be used; None where there is none."""


def check(asked: Asked) -> None:
    """Refuse, before anything runs, what cannot be done.

    Raises:
        Refused: if there is no such command, or it cannot be executed.
        InputError: if there is no such meter.
    """
    refused = refusal(asked.command[0])
    if refused is not None:
        raise refused
    energy = _energy_meters()
    for name in asked.domains:
        if name.partition(":")[0] not in energy and not (asked.imported and name.startswith("imported")):
            raise _no_such(name, asked, "")


def record(asked: Asked, folder: Path) -> tuple[Recording, Ended]:
    """Run the command, and leave the rows in a folder.

    Raises:
        Refused: if the command cannot be started.
        InputError: if a domain is not there.
        Interrupted: if it is stopped before the command begins.
    """
    wanted = {name.partition(":")[0] for name in asked.domains}
    meters = [name for name in _energy_meters() if not wanted or name in wanted]
    with signals_awaited() as blocked, closing(Held(asked.command, blocked)) as held:
        begin = Anchor.now()
        recorder = Recorder(
            folder, STEM, pid=held.pid, power_hz=asked.hz, meters=meters, rapl_root=asked.rapl_root
        )
        with recorder:
            domains = _chosen(asked, recorder)
            before = _at_rest(asked.idle_s)
            if asked.idle_s and before is None:
                raise Interrupted("stopped before the command began")
            start_ns, running_ns = held.go()
            ended = held.wait()
            after = _at_rest(asked.idle_s)
        windows = Windows(Window(start_ns, max(ended.end_ns, start_ns + 1)), before, after)
        sampler = recorder.to_json()
        power = read_rows(folder / f"{STEM}.{POWER}") if "power" in recorder.rows else []
        recorded = Recorded(
            windows=windows,
            running_ns=running_ns,
            usage=Usage(ended.user_s, ended.system_s, ended.largest_rss_bytes),
            domains=domains,
            traces=traces(power),
            failed=failed_reads(power),
            resources=read_rows(folder / f"{STEM}.{RESOURCES}") if "resources" in recorder.rows else [],
            gpus=[
                Domain.from_json(block)
                for block in sampler["resources"]
                if block["id"].startswith("gpu_util_ratio:")
            ],
            lack=_lack(recorder),
            watts_per_core=asked.watts_per_core,
            unavailable=unread(sampler, domains),
        )
        recording = Recording(recorded, begin, Anchor.now(), sampler)
        if asked.imported is not None:
            recording = _awaited(recording, asked.imported, asked.options)
    return recording, ended


def unread(sampler: Json, domains: Sequence[Domain]) -> list[Json]:
    """What a recorder could not read, without the meters of which only single domains were asked for."""
    chosen = {domain.id for domain in domains}
    partly = {one["source"] for one in sampler["domains"] if one["id"] not in chosen}
    return [lack for lack in sampler["unavailable"] if lack["meter"] not in partly]


def with_import(recording: Recording, path: Path, options: ImportOptions) -> Recording:
    """The same with the trace of another meter; one that cannot be used says why, and spoils nothing else."""
    recorded = recording.recorded
    head: Json = {"file": path.name, "options": options.to_json()}
    try:
        found = import_trace(
            path, options, begin=recording.begin, end=recording.end, window=recorded.windows.command
        )
    except DataError as error:
        return replace(recording, imported=head | {"failure": str(error)})
    whole = recorded.windows.whole
    # What lies around the measurement is enough, and a day of a smart plug is long.
    near = [
        (t_ns, value)
        for t_ns, value in found.trace
        if whole.start_ns - _MARGIN_NS <= t_ns <= whole.end_ns + _MARGIN_NS
    ]
    others = [domain for domain in recorded.domains if domain.source != found.domain.source]
    kept = {name: trace for name, trace in recorded.traces.items() if not name.startswith("imported:")}
    recorded = replace(recorded, domains=[*others, found.domain], traces=kept | {found.domain.id: near})
    return replace(recording, recorded=recorded, imported=head | {"failure": None})


def read_rows(path: Path) -> list[Json]:
    """The rows of a file of JSON lines.

    Raises:
        OSError: if it cannot be read.
        ValueError: if a line is not JSON.
    """
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _energy_meters() -> list[str]:
    return [name for name in METERS if name != "host"]


def _at_rest(seconds: float) -> Window | None:
    """A span of rest; None where none is asked for, or a signal cuts it short."""
    if not seconds or rest(_SETTLE_S):
        return None
    start_ns = time.monotonic_ns()
    return None if rest(seconds) else Window(start_ns, time.monotonic_ns())


def _awaited(recording: Recording, path: Path, options: ImportOptions) -> Recording:
    """With the trace of another meter, which is still writing: until it has come to the end, or long enough."""
    until_s = time.monotonic() + _MOST_LATE_S
    while True:
        found = with_import(recording, path, options)
        trace = next(
            (each for name, each in found.recorded.traces.items() if name.startswith("imported:")), ()
        )
        if trace and trace[-1][0] >= recording.recorded.windows.whole.end_ns:
            return found
        if time.monotonic() >= until_s or rest(_LOOK_S):
            return found


def _chosen(asked: Asked, recorder: Recorder) -> list[Domain]:
    """The domains that were asked for.

    Raises:
        InputError: if one is not there, though the recording is well.
    """
    if not asked.domains:
        return list(recorder.domains)
    chosen: list[Domain] = []
    for name in asked.domains:
        found = [domain for domain in recorder.domains if name in {domain.id, domain.source}]
        if not found and recorder.failure is None and not name.startswith("imported"):
            lacks = [lack for lack in recorder.unavailable if lack.meter == name.partition(":")[0]]
            raise _no_such(name, asked, _told(lacks))
        chosen += [domain for domain in found if domain not in chosen]
    return chosen


def _no_such(name: str, asked: Asked, why: str) -> InputError:
    here = [
        one.id
        for one in inventory(rapl_root=asked.rapl_root)
        if isinstance(one, Domain) and one.unit in {Unit.JOULE, Unit.WATT}
    ]
    expected = ", ".join(here) or "none: no energy can be measured here"
    hint = "hexgate doctor says what this machine can measure, and how to enable the rest"
    return InputError(
        "this machine has no such domain of energy",
        where="--domains",
        got=f"{name} ({why})" if why else name,
        expected=expected,
        hint=hint,
    )


def _lack(recorder: Recorder) -> str:
    """Why nothing of energy is read."""
    if recorder.failure is not None:
        return recorder.failure
    lacks = [lack for lack in recorder.unavailable if lack.meter != "host"]
    # That a machine is none of another kind is no reason where there are others.
    return _told([lack for lack in lacks if lack.remedy] or lacks)


def _told(lacks: Sequence[Unavailable]) -> str:
    return "; ".join(f"{lack.meter}: {lack.reason}" for lack in lacks)
