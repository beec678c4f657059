"""Load on an endpoint: worker processes, our own transport, a dialect."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hexgate.errors import InputError
from hexgate.load.crew import Crew
from hexgate.load.errand import Errand, Ran, Stopped
from hexgate.load.gather import gather, merged_stream
from hexgate.load.live import DueInstants
from hexgate.load.plans.plan import LoadKind, Plan
from hexgate.load.sending.origin import Origin
from hexgate.load.sending.talk import write_talks
from hexgate.load.sending.work import BODY, UNIT, Work
from hexgate.load.work_folder import WorkFolder
from hexgate.wire.base import Ask, Dialect, Endpoint
from hexgate.wire.registry import TEMPLATE, dialect

__all__ = ["EndpointDriver", "workers_for"]

_SLOTS_OF_A_WORKER = 16
_RPS_OF_A_WORKER = 500.0
_MOST_WARM = 1000
_WARM_S = 0.05


@dataclass(frozen=True)
class EndpointDriver:
    """Sends the asks of a plan to an endpoint."""

    endpoint: Endpoint
    """Where, and in which dialect."""
    asks: Sequence[Ask]
    """One for each data item; an ask without a model gets the endpoint's."""
    followups: Sequence[tuple[str, ...]] = ()
    """What the user says in the later turns of each conversation; empty where a plan has one turn."""
    ca_file: str | None = None
    """Certificates of the authorities to trust; None for the system's."""
    classes: int | None = None
    """How many scores each answer of a predictor has; None where that is not known: then the first answer
    says it for the others."""
    proxy: str | None = None
    """URL of a proxy; None for none, and none is taken from the environment. With one, httpx sends: slower."""
    http2: bool = False
    """Whether to speak HTTP/2; then httpx sends, which is slower."""
    tokenizer: str | None = None
    """A tokenizer that counts the tokens of replies; None for none."""
    token_times: bool = False
    """Whether each reply is kept with the instants at which its text came."""

    @property
    def by_httpx(self) -> bool:
        """Whether httpx sends, and not our own transport."""
        return self.proxy is not None or self.http2

    def carry_out(self, errand: Errand, ran: Ran) -> None:
        """Send what is due when it is due, and leave records and replies, however it ends.

        Raises:
            InputError: if the endpoint, the proxy or an ask cannot be put into a request.
            MissingExtra: if HTTP/2 is asked for and its library is not installed.
            TargetFailed: if no worker could begin.
        """
        plan = errand.shard.plan
        if plan.items > len(self.asks):
            raise InputError(
                "the plan names more data items than there are asks", got=f"{len(self.asks)} asks"
            )
        if self.by_httpx:
            from hexgate.load.sending.httpx_sender import refuse_unusable

            refuse_unusable(self.proxy, http2=self.http2)
        if plan.turns > 1 and len(self.followups) != len(self.asks):
            raise InputError("the plan has conversations, and the data has none")
        speaker = dialect(self.endpoint.dialect)
        origin = Origin.parse(self.endpoint.base_url, self.endpoint.headers)
        work = WorkFolder(errand.folder, errand.stem)
        folder = work.path
        crew: Crew | None = None
        try:
            # They start while the rest is prepared.
            workers = ran.workers = workers_for(errand)
            crew = Crew(errand, folder, workers)
            bodies = _write_bodies(folder, origin, speaker, map(self._whole, self.asks))
            if plan.turns > 1:
                write_talks(folder, list(map(self._whole, self.asks)), list(self.followups))
            tasks = [self._work(errand, folder, bodies, worker, workers) for worker in range(workers)]
            instants = _write_units(errand, folder, workers)
            lines = [task.to_line(origin, bodies.heads, self.endpoint.secret) for task in tasks]
            crew.task(lines)
            crew.run(ran, instants)
            told = crew.read()
            ran.stream = merged_stream(
                [
                    self._read_for(task, folder, speaker, ran.start_ns) if one is None else one.pop("stream")
                    for task, one in zip(tasks, told, strict=True)
                ]
            )
            _take_up(ran, told, crew)
            ran.files = gather(errand, folder, workers)
            self._tell_disk(errand, told)
        except OSError:
            # What the workers wrote is all that there is of the run: it stays where it is.
            if crew is not None:
                crew.end()
            raise
        except BaseException:
            _remove(crew, work)
            raise
        _remove(crew, work)

    def _whole(self, ask: Ask) -> Ask:
        options = {**self.endpoint.options, **ask.options}
        return replace(ask, model=ask.model or self.endpoint.model, options=options)

    def _work(self, errand: Errand, folder: Path, bodies: _Bodies, worker: int, workers: int) -> Work:
        plan, place = errand.shard.plan, errand.shard.place
        each, left = divmod(errand.shard.concurrency, workers)
        slots = each + (worker < left)
        is_open = plan.kind is LoadKind.OPEN_LOOP
        return Work(
            folder=str(folder),
            worker=worker,
            count=place.count * workers,
            first=worker * place.count + place.index,
            rows=len(plan),
            open_loop=is_open,
            repeats=plan.repeats,
            turns=plan.turns,
            think_ns=plan.think_ns,
            warmup=plan.warmup,
            duration_ns=round(plan.duration_s * 1e9) if plan.duration_s is not None and not is_open else 0,
            slots=slots,
            warm=_warm(plan, slots, workers),
            drain_limited=errand.drain_limited,
            drain_ns=round(errand.stop.drain_s * 1e9),
            max_unreachable=errand.max_unreachable,
            timeout_s=self.endpoint.timeout_s,
            dialect=_from_anywhere(self.endpoint.dialect),
            streams=bodies.streams,
            inputs=bodies.inputs,
            classes=self.classes,
            replies=errand.keep_replies,
            token_times=self.token_times,
            tokenizer=self.tokenizer,
            ca_file=self.ca_file,
            proxy=self.proxy,
            http2=self.http2,
        )

    def _read_for(self, task: Work, folder: Path, speaker: Dialect, start_ns: int) -> dict[str, Any]:
        """Read what a worker that died has left behind; its part of the document `stream`."""
        if not (folder / f"{task.stem}.spool").exists():
            return {}
        from hexgate.load.sending.readback import Reader, read_back

        reader = Reader(
            speaker,
            streams=task.streams,
            inputs=task.inputs,
            classes=task.classes,
            secret=self.endpoint.secret,
        )
        return read_back(
            folder,
            task.stem,
            reader,
            worker=task.worker,
            start_ns=start_ns,
            warmup=task.warmup * task.turns,
            closed=not task.open_loop,
            count=None,
            replies=task.replies,
            token_times=task.token_times,
            told=lambda _: None,
        )

    @staticmethod
    def _tell_disk(errand: Errand, told: Sequence[dict[str, Any] | None]) -> None:
        fault = next((one["disk"] for one in told if one is not None and "disk" in one), None)
        if fault is not None:
            errand.stop.now(Stopped.DISK)


def workers_for(errand: Errand) -> int:
    """How many processes send: as was asked, else one for each core, and no more than the load can use.

    A worker for every 16 slots of a closed loop, or every 500 requests a second of an open one, is what the load can
    use: what one core sends is far above either. An open loop with a cap has one, unless more are asked for.
    """
    plan = errand.shard.plan
    slots = errand.shard.concurrency
    if errand.workers is not None:
        return min(errand.workers, slots) if slots else errand.workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if plan.kind is LoadKind.CLOSED_LOOP:
        useful = math.ceil(slots / _SLOTS_OF_A_WORKER)
    else:
        peak = max((max(one.from_rps, one.to_rps) for one in plan.shape), default=plan.rate_rps or 0.0)
        useful = math.ceil(peak / errand.shard.place.count / _RPS_OF_A_WORKER)
        if slots:
            # A cap that is split makes requests wait beside free slots of another worker, and charges them for it.
            useful = 1
    return max(min(cores, useful), 1)


def _remove(crew: Crew | None, work: WorkFolder) -> None:
    if crew is not None:
        crew.end()
    work.remove()


def _from_anywhere(name: str) -> str:
    """The name of a dialect that is good in every folder: workers run in another one."""
    kind, _, file = name.partition(":")
    return f"{TEMPLATE}:{Path(file).resolve()}" if kind == TEMPLATE else name


def _warm(plan: Plan, slots: int, workers: int) -> int:
    """Connections that are opened before the start: those that the first moments use."""
    if plan.kind is LoadKind.CLOSED_LOOP:
        return min(slots, _MOST_WARM)
    soon = 1 + int((plan.rate_rps or 0.0) / workers * _WARM_S)
    return min(soon, slots or soon, _MOST_WARM)


@dataclass(frozen=True)
class _Bodies:
    """The bodies that were written, as a worker is told of them."""

    heads: list[bytes]
    """What goes before them; they hold the credentials."""
    streams: list[bool]
    """Of each data item, whether its reply comes in pieces."""
    inputs: list[int] | None
    """Of each, how many rows of scores it asks for; None for a generator."""


def _write_bodies(folder: Path, origin: Origin, speaker: Dialect, asks: Iterable[Ask]) -> _Bodies:
    """Write the bodies of the requests, one after the other: each ask is made once, and not kept."""
    heads: dict[bytes, int] = {}
    streams: list[bool] = []
    inputs: list[int] = []
    offset = 0
    with (folder / "bodies").open("wb") as bodies, (folder / "bodies.index").open("wb") as index:
        for ask in asks:
            request = speaker.request(ask)
            number = heads.setdefault(origin.head(request), len(heads))
            bodies.write(request.body)
            index.write(BODY.pack(offset, len(request.body), number))
            offset += len(request.body)
            streams.append(ask.stream and speaker.streams)
            if ask.inputs is not None:
                inputs.append(len(ask.inputs))
    return _Bodies(list(heads), streams, inputs or None)


def _write_units(errand: Errand, folder: Path, workers: int) -> DueInstants:
    """Write each worker's part of the plan. A plan that repeats is given whole: its rounds may shift."""
    instants = DueInstants()
    plan = errand.shard.plan
    files = [(folder / f"worker-{worker}.plan").open("wb") for worker in range(workers)]
    try:
        if plan.repeats:
            for block in plan.blocks():
                for file in files:
                    file.write(b"".join(UNIT.pack(0, due, item) for due, item in block.tolist()))
            return instants
        taken = 0
        for numbers, rows in errand.shard.blocks():
            instants.add(rows["due_ns"])
            packed = _packed(numbers, rows)
            for worker, file in enumerate(files):
                packed[(worker - taken) % workers :: workers].tofile(file)
            taken += len(numbers)
    finally:
        for file in files:
            file.close()
    return instants


def _packed(numbers: Any, rows: Any) -> Any:
    import numpy as np

    made = np.empty(len(numbers), dtype=[("row", "<i8"), ("due_ns", "<i8"), ("item", "<i4")])
    made["row"], made["due_ns"], made["item"] = numbers, rows["due_ns"], rows["item"]
    return made


def _take_up(ran: Ran, told: Sequence[dict[str, Any] | None], crew: Crew) -> None:
    entries: list[dict[str, Any]] = []
    ended_ns: list[int] = []
    for worker, one in enumerate(told):
        if one is None:
            entries.append({"worker": worker, "died": crew.died(worker) or "it left nothing"})
            continue
        entries.append(one)
        ran.cpu_s += one["cpu_s"]
        ended_ns.append(one["ended_ns"])
        ran.last_error = one["last_error"] or ran.last_error
    ran.ended_ns = max(ended_ns, default=ran.ended_ns)
    if ran.client is not None:
        ran.client["workers"] = entries
