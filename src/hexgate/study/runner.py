"""Carrying a study out: what is left of its plan, visit by visit, kept as it goes; started again, it goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from hexgate.contract.provenance import environment
from hexgate.errors import EvidenceError, HexgateError, Interrupted, TargetFailed
from hexgate.meters.rows import PARTIAL
from hexgate.study.design import Plan, Run, Visit
from hexgate.study.layout import Layout, file_name
from hexgate.study.ledger import Ledger
from hexgate.study.lines import take_up
from hexgate.study.opening import endpoint_of, open_model
from hexgate.study.quality.marks import read_marks
from hexgate.study.record import full_record
from hexgate.study.results import Results
from hexgate.study.spec import Spec
from hexgate.study.visit import Around, carry_out_visit

__all__ = ["Carrying", "Outcome", "Progress", "carry_out"]

_LOOK_EVERY_S = 0.2
_SIZE_EVERY_S = 60.0


class Progress(Protocol):
    """Who watches. Called from one thread at a time."""

    def begin(self, left: Sequence[Run], done: int) -> None:
        """These runs are to be made in this call; so many of the plan are over already."""

    def visit(self, visit: Visit) -> None:
        """A visit begins."""

    def ran(self, record: Mapping[str, Any], left_s: float) -> None:
        """A run is over; the rest will take about so long."""

    def note(self, text: str) -> None:
        """One line."""


@dataclass(frozen=True)
class Carrying:
    """How one call carries a study out."""

    tasks: tuple[str, ...] = ()
    """Names of the tasks whose runs are made; empty for all."""
    limit: int | None = None
    """Most runs of this call; None for all that are left."""
    parallel: int | None = None
    """Most models at once; None for what the study says."""
    retry_failed: bool = False
    """Whether every run that failed is made again, and not only those to which nobody answered."""
    rapl_root: Path | None = None
    """Root of the powercap tree, where it is not the kernel's own."""


@dataclass(frozen=True)
class Outcome:
    """How a call ended."""

    planned: int
    """Runs of the whole plan."""
    done: int
    """Runs that are over, of this call and of earlier ones."""
    failed: int
    """Those of them that failed."""
    made: int
    """Runs of this call."""
    stopped: HexgateError | None
    """Why the call ended before its last run; None where it came to it."""
    results: Path
    """The table of all runs."""


class Stopped(Exception):
    """The study is to stop; whoever said so tells why."""


def carry_out(spec: Spec, plan: Plan, folder: Path, carrying: Carrying, progress: Progress) -> Outcome:
    """Carry out what is left of a plan. What is measured is kept however it ends, and is never measured again.

    Args:
        spec: the study.
        plan: its plan.
        folder: where it is kept.
        carrying: how.
        progress: who watches.

    Returns:
        How it ended; a target that fails and an interrupt are in it, because what was measured until then is kept.

    Raises:
        InputError: if the folder holds another study, or a server does not serve its model; nothing was measured.
        TargetFailed: if a server does not answer before the first run; nothing was measured.
        EvidenceError: if the folder's files are not those of this study.
    """
    with Ledger(folder, spec, plan) as ledger:
        study = _Study(spec, plan, ledger, carrying, progress)
        due = ledger.left(retry_failed=carrying.retry_failed)
        left = [run for run in due if _is_asked(run, carrying)][: carrying.limit]
        progress.begin(left, len(ledger.entries))
        stopped: HexgateError | None = None
        try:
            study.bring_up()
            study.look_at_servers(left)
            study.go(plan.visits(left))
        except KeyboardInterrupt:
            stopped = Interrupted("the study was stopped", hint="run the same command again to go on")
        except HexgateError as error:
            if study.made == 0 and not isinstance(error, EvidenceError):
                raise
            stopped = error
        except OSError as error:
            stopped = TargetFailed(
                f"the study cannot be written ({error.strerror or error}); what was written before is kept",
                where=str(folder),
                hint="make room and run the same command again",
            )
        study.conclude(cut=stopped is not None)
        entries = ledger.entries.values()
        return Outcome(
            planned=len(plan.runs),
            done=len(ledger.entries),
            failed=sum(entry.failure is not None for entry in entries),
            made=study.made,
            stopped=stopped,
            results=study.layout.results,
        )


class _Study:
    """One call."""

    def __init__(
        self, spec: Spec, plan: Plan, ledger: Ledger, carrying: Carrying, progress: Progress
    ) -> None:
        self._spec = spec
        self._ledger = ledger
        self._carrying = carrying
        self._progress = progress
        self._parallel = carrying.parallel or spec.parallel
        self.layout = Layout(ledger.folder, plan, ledger.started)
        self._results = Results(ledger.folder, self.layout, plan)
        self._environment = environment()
        self._traces = ledger.folder / "traces"
        self._visits = _highest(self._traces, len(ledger.visits()))
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._called = self._began = time.monotonic()
        self._sized_at = -_SIZE_EVERY_S
        calls = ledger.calls()
        self._call = max(calls, default=0) + 1
        self._spent_s = sum(calls.values())
        self._spent_j = sum(entry.energy_j or 0.0 for entry in ledger.entries.values())
        self._told: set[str] = set()
        self._total = 0
        self.made = 0
        """Runs of this call."""

    def bring_up(self) -> None:
        """Take up what is over, and write what a call that was killed had no more time to write."""
        for partial in sorted(self._traces.glob(f"*{PARTIAL}")):
            take_up(partial)
        visits, marks = self._ledger.visits(), read_marks(self._ledger.folder)
        for record in self._ledger.records():
            full = full_record(record, self._ledger.head, visits.get(record["visit"]), marks.of(record))
            self._results.put(full)
            self.layout.write(full)
        self._results.write()

    def look_at_servers(self, left: Sequence[Run]) -> None:
        """See that each server is there and serves its model, before anything is measured."""
        for name in sorted({run.model for run in left}):
            with open_model(self._spec.model(name), self._spec) as opened:
                for warning in opened.warnings:
                    self._tell(f"{name}: {warning}")

    def go(self, visits: Sequence[Visit]) -> None:
        """Make the runs, block after block."""
        self._total = sum(len(visit.runs) for visit in visits)
        self._began = time.monotonic()
        self._refuse_over_budget()
        for _, block in groupby(visits, key=lambda visit: visit.block):
            lanes: dict[str, list[Visit]] = {}
            together = list(block)
            for visit in together:
                lanes.setdefault(endpoint_of(self._spec.model(visit.model)), []).append(visit)
            if self._parallel == 1 or len(lanes) == 1:
                for visit in together:
                    self._visit(visit, [])
            else:
                self._side_by_side(list(lanes.values()))

    def conclude(self, *, cut: bool) -> None:
        """Leave the table whole; where the disk does not take it, say so and go on: it can be made again.

        A call that was cut short may have kept a run, and not yet written what is made of it.
        """
        try:
            self._note_time()
            if cut:
                self._ledger.read_again()
                self.bring_up()
            else:
                self._results.write()
        except OSError as error:
            self._tell(f"the table of results cannot be written ({error.strerror or error})")

    def _side_by_side(self, lanes: Sequence[Sequence[Visit]]) -> None:
        """Each endpoint's visits in a thread of its own, at most so many at once."""

        def run(lane: Sequence[Visit]) -> None:
            others = [visit.model for other in lanes if other is not lane for visit in other]
            for visit in lane:
                self._visit(visit, others)

        with ThreadPoolExecutor(self._parallel, thread_name_prefix="study") as pool:
            running: set[Future[None]] = {pool.submit(run, lane) for lane in lanes}
            try:
                errors = self._ends(running)
            except KeyboardInterrupt:
                self._stop.set()
                self._tell("stopping when the requests in flight have ended")
                wait(running)
                raise
        if errors:
            # Only the first failure says why; the others were stopped by it.
            raise next((error for error in errors if not isinstance(error, Stopped)), errors[0])

    def _ends(self, running: set[Future[None]]) -> list[BaseException]:
        errors: list[BaseException] = []
        while running:
            # A wait without end would not hear Ctrl-C on every system.
            done, running = wait(running, _LOOK_EVERY_S)
            found = [error for future in done if (error := future.exception()) is not None]
            if found:
                errors += found
                self._stop.set()
        return errors

    def _visit(self, visit: Visit, others: Sequence[str]) -> None:
        """One visit, and its records once more with what only its end tells."""
        if self._stop.is_set():
            raise Stopped
        with self._guard:
            self._visits += 1
            visit_id = f"{self._visits:04d}_{file_name(visit.model)}_{visit.block}"
            self._progress.visit(visit)
        kept: list[Mapping[str, Any]] = []

        def keep(record: Mapping[str, Any], begin: Mapping[str, Any]) -> None:
            self._keep(record, begin)
            kept.append(record)

        around = Around(
            spec=self._spec,
            traces=self._traces,
            environment=self._environment,
            wait=self._wait,
            earlier=self._ledger.first_configuration,
            attempt=self._ledger.attempt,
            shared=_sharing(self._spec, others),
            note_visit=self._note_visit,
            keep=keep,
            tell=self._tell,
            tell_once=self._tell_once,
            rapl_root=self._carrying.rapl_root,
        )
        try:
            carry_out_visit(visit, visit_id, around)
        finally:
            ended = self._ledger.visits().get(visit_id)
            for record in kept:
                full = full_record(record, self._ledger.head, ended)
                self._results.put(full)
                self.layout.write(full)
            self._results.write()

    def _keep(self, record: Mapping[str, Any], begin: Mapping[str, Any]) -> None:
        self._ledger.append(record)
        self._note_time()
        full = full_record(record, self._ledger.head, begin)
        self.layout.write(full)
        self._results.put(full)
        with self._guard:
            self.made += 1
            self._spent_j += record["energy"].get("gross_j") or 0.0
            elapsed_s = time.monotonic() - self._began
            self._progress.ran(record, elapsed_s / self.made * (self._total - self.made))
        if self.made < self._total:
            self._refuse_over_budget()

    def _note_visit(self, row: Mapping[str, Any]) -> None:
        self._ledger.note_visit(row)
        self._note_time()

    def _note_time(self) -> None:
        self._ledger.note_call(self._call, time.monotonic() - self._called)

    def _refuse_over_budget(self) -> None:
        budget = self._spec.budget
        now = time.monotonic()
        hours = (self._spent_s + now - self._called) / 3600
        limits: list[tuple[str, float, float | None]] = [
            ("max_hours", hours, budget.max_hours),
            ("max_energy_kj", self._spent_j / 1000, budget.max_energy_kj),
        ]
        if budget.max_disk_gb is not None and now - self._sized_at >= _SIZE_EVERY_S:
            self._sized_at = now
            limits.append(("max_disk_gb", _size(self._ledger.folder) / 1e9, budget.max_disk_gb))
        for name, spent, most in limits:
            if most is not None and spent >= most:
                raise EvidenceError(
                    "the budget of the study is spent, and runs are left",
                    where=f"budget.{name}",
                    got=f"{spent:.4g}",
                    expected=f"less than {most:g}",
                    hint="give it more and run the same command again: it goes on where it stopped",
                )

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped

    def _tell(self, line: str) -> None:
        with self._guard:
            self._progress.note(line)

    def _tell_once(self, line: str) -> None:
        with self._guard:
            if line not in self._told:
                self._told.add(line)
                self._progress.note(line)


def _is_asked(run: Run, carrying: Carrying) -> bool:
    return not carrying.tasks or run.cell.task in carrying.tasks


def _sharing(spec: Spec, others: Sequence[str]) -> Callable[[str], str | None]:
    """Whether a domain of energy is also that of a model that may run at the same time."""

    def shared(domain: str) -> str | None:
        for name in others:
            patterns = spec.model(name).domains
            if not patterns or any(fnmatchcase(domain, pattern) for pattern in patterns):
                return (
                    f"{domain} is also read for the model {name}, which may run at the same time; name the domains "
                    "of each model (models[].domains), or run without --parallel"
                )
        return None

    return shared


def _highest(traces: Path, least: int) -> int:
    """The highest number of a visit so far; a visit that was killed early has left a recording and nothing else."""
    numbers = (path.name.partition("_")[0] for path in traces.glob("*_*"))
    return max([least, *(int(number) for number in numbers if number.isdigit())])


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
