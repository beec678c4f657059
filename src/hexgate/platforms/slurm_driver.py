"""Carries jobs on a Slurm cluster, through its own commands."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hexgate.errors import InputError, PlatformFailed
from hexgate.platforms.base import JobState, Status
from hexgate.platforms.slurm import Slurm
from hexgate.platforms.slurm_client import ControllerSilent, run, said
from hexgate.platforms.slurm_script import FILE

if TYPE_CHECKING:
    from hexgate.platforms.spec import JobSpec

__all__ = ["SlurmDriver", "worst"]

_STATES = {
    JobState.PENDING: "PENDING CONFIGURING REQUEUED REQUEUE_HOLD REQUEUE_FED SPECIAL_EXIT RESV_DEL_HOLD",
    JobState.RUNNING: "RUNNING COMPLETING SUSPENDED STOPPED SIGNALING STAGE_OUT RESIZING",
    JobState.SUCCEEDED: "COMPLETED",
    JobState.FAILED: "FAILED TIMEOUT NODE_FAIL OUT_OF_MEMORY BOOT_FAIL DEADLINE LAUNCH_FAILED",
    JobState.CANCELLED: "CANCELLED PREEMPTED REVOKED",
}
_STATE = {word: state for state, words in _STATES.items() for word in words.split()}
_TRACKED = re.compile(r"-([0-9]{8}T[0-9]{6}Z-[0-9a-f]{8})(?:x([0-9]+))?$")
_NATIVE = re.compile(r"[0-9]+")
_NOT_KNOWN = "Invalid job id specified"


class _Task(NamedTuple):
    """One task of an array, several that wait, or a job without an array."""

    place: str
    """Its index; several as ``0-3``; empty without an array."""
    word: str
    """Its state in Slurm's word."""
    reason: str | None
    """Why it waits, or how it ended."""
    tasks: int
    """So many tasks."""
    of: int
    """So many tasks has the whole job, by its name."""
    log: str | None
    """Its log file."""


class SlurmDriver:
    """The driver of the cluster that the commands know. A native id is the id of the job, or of the whole array."""

    def find(self, run_id: str) -> str | None:
        """The job whose name holds the run: in the controller's memory, or else in the accounting."""
        user = getpass.getuser()
        asked = ["squeue", f"--user={user}", "--states=all", "--noheader", "--format=%F|%j"]
        found = _first_of(run_id, run(asked).stdout)
        if found is None:
            day = f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}"
            asked = [
                "sacct",
                "--allocations",
                "--noheader",
                "--parsable2",
                f"--user={user}",
                f"--starttime={day}",
            ]
            found = _first_of(run_id, run([*asked, "--format=JobID,JobName"], refusals=True).stdout)
        return found

    def submit(self, spec: JobSpec) -> str:
        """Submit the script. An answer that is lost is looked for by the run's name before it is sent again."""
        if spec.run_id is None:
            raise InputError("a job is submitted in a run", got="no run_id")
        script = Slurm().render(spec)[FILE]
        try:
            ended = run(["sbatch", "--parsable"], text=script, once=True)
        except ControllerSilent:
            there = self.find(spec.run_id)
            if there is not None:
                return there
            ended = run(["sbatch", "--parsable"], text=script, once=True)
        native_id = ended.stdout.strip().partition(";")[0]
        if not _NATIVE.fullmatch(native_id):
            raise PlatformFailed("sbatch did not say the job's id", got=repr(ended.stdout[:200]))
        return native_id

    def status(self, native_id: str) -> Status:
        """The job's state; of an array the worst of its tasks, once all have ended."""
        tasks = _remembered(native_id)
        if not tasks or sum(task.tasks for task in tasks) < tasks[0].of:
            # The controller forgets an ended task minutes later, and the others of its array go on.
            accounted = _accounted(native_id)
            tasks = accounted if len(accounted) >= len(tasks) else tasks
        if not tasks:
            return Status(
                JobState.UNKNOWN, "lost", f"neither the controller nor the accounting knows job {native_id}"
            )
        return worst(tasks)

    def logs(self, native_id: str) -> Iterator[str]:
        """The lines of the log files, which lie where the job was submitted."""
        tasks = [task for task in _remembered(native_id) if task.log is not None]
        if not tasks:
            raise PlatformFailed(
                "the controller does not know where the logs are",
                where=f"job {native_id}",
                hint=f"look for *-{native_id}*.out in the folder that the job was submitted from",
            )
        for task in sorted(tasks, key=lambda task: int(task.place) if task.place.isdigit() else -1):
            path = Path(str(task.log))
            before = f"{native_id}_{task.place}: " if len(tasks) > 1 else ""
            try:
                text = path.read_text("utf-8", "replace")
            except OSError as error:
                yield f"{before}no log at {path} ({error.strerror})"
                continue
            yield from (before + line for line in text.splitlines())

    def cancel(self, native_id: str) -> None:
        """Cancel the job: its command gets SIGTERM, and the cluster's KillWait to publish what it has."""
        run(["scancel", _checked(native_id)], refusals=True)


def worst(tasks: list[_Task]) -> Status:
    """The state of a job with these tasks: what is not known is never a success, nor is a task that nobody knows."""
    states = [_STATE.get(task.word, JobState.UNKNOWN) for task in tasks]
    for state in (JobState.UNKNOWN, JobState.RUNNING):
        if state in states:
            return _status(state, tasks[states.index(state)], tasks)
    if JobState.PENDING in states:
        started = any(state.ended for state in states)
        return _status(
            JobState.RUNNING if started else JobState.PENDING, tasks[states.index(JobState.PENDING)], tasks
        )
    known, of = sum(task.tasks for task in tasks), max(task.of for task in tasks)
    for state in (JobState.FAILED, JobState.CANCELLED):
        if state in states:
            return _status(state, tasks[states.index(state)], tasks)
    if known < of:
        return Status(JobState.UNKNOWN, "lost", f"{of - known} of {of} tasks are not known any more")
    return _status(JobState.SUCCEEDED, tasks[0], tasks)


def _status(state: JobState, task: _Task, tasks: list[_Task]) -> Status:
    named = f"task {task.place}: {task.reason}" if task.place and task.reason else task.reason
    return Status(state, task.word, named if len(tasks) > 1 else task.reason)


def _remembered(native_id: str) -> list[_Task]:
    """What the controller has in memory."""
    ended = run(["scontrol", "show", "job", "-o", _checked(native_id)], refusals=True)
    if ended.returncode != 0:
        if _NOT_KNOWN in ended.stderr:
            return []
        raise PlatformFailed(f"scontrol: {said(ended)}", where=f"job {native_id}")
    tasks = []
    for line in ended.stdout.splitlines():
        fields = dict(re.findall(r"(\S+?)=(\S*)", line))
        if "JobState" not in fields:
            continue
        index = fields.get("ArrayTaskId", "")
        why = fields.get("Reason")
        code = fields.get("ExitCode", "0:0")
        reason = None if code == "0:0" else f"exit code {code.partition(':')[0]}"
        if why not in {None, "None"}:
            reason = f"{why}, {reason}" if reason else why
        log = re.search(r" StdOut=(.*?)(?: \S+=|\s*$)", line)
        tasks.append(
            _Task(
                index,
                fields["JobState"],
                reason,
                _counted(index),
                _tasks_by(fields.get("JobName", "")),
                log[1] if log and _STATE.get(fields["JobState"]) is not JobState.PENDING else None,
            )
        )
    return tasks


def _accounted(native_id: str) -> list[_Task]:
    """What the accounting knows; nothing where the cluster keeps none."""
    asked = ["sacct", "--allocations", "--noheader", "--parsable2", f"--jobs={_checked(native_id)}"]
    ended = run([*asked, "--format=JobID,State,ExitCode,JobName"], refusals=True)
    tasks = []
    for line in ended.stdout.splitlines() if ended.returncode == 0 else ():
        number, word, code, name = line.split("|", 3)
        index = number.partition("_")[2].strip("[]")
        reason = None if code == "0:0" else f"exit code {code.partition(':')[0]}"
        # "CANCELLED by 1000"
        tasks.append(_Task(index, word.partition(" ")[0], reason, _counted(index), _tasks_by(name), None))
    return tasks


def _counted(index: str) -> int:
    """How many tasks ``3``, ``0-3`` or ``0,2-3%1`` are."""
    count = 0
    for part in index.partition("%")[0].split(","):
        first, dash, last = part.partition("-")
        count += int(last.partition(":")[0]) - int(first) + 1 if dash else 1
    return count


def _tasks_by(name: str) -> int:
    tracked = _TRACKED.search(name)
    return int(tracked[2]) if tracked and tracked[2] else 1


def _first_of(run_id: str, listed: str) -> str | None:
    for line in listed.splitlines():
        number, _, name = line.strip().partition("|")
        tracked = _TRACKED.search(name)
        if tracked and tracked[1] == run_id:
            return number.partition("_")[0]
    return None


def _checked(native_id: str) -> str:
    if not _NATIVE.fullmatch(native_id):
        raise InputError("not the id of a Slurm job", got=native_id, expected="a number")
    return native_id
