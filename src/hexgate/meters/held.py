"""A command that is held before its first instruction, so that a recording can begin on it, and its end awaited.

The command is a fork of this process that waits for a word before it becomes the command: its process id is known
before it runs, and its standard input, output and error are ours, untouched. While it runs we take no signal for
ourselves: each is passed on, but for those that a terminal has sent to it as well.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hexgate.errors import InputError, Interrupted

__all__ = ["Ended", "Held", "Refused", "refusal", "rest", "signals_awaited"]

_PASSED = frozenset(
    {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
    if os.name != "nt"
    else ()
)
_FROM_KERNEL = 0x80
"""SI_KERNEL of sigaction(2): a key of the terminal, which goes to every process in its foreground."""
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
"""Exit codes of POSIX shells for a command that is not there, and for one that cannot be executed."""
_KIB = 1024
_OWN_GROWTH_BYTES = 4 * 2**20
"""What a fork of Python may still take before it becomes the command."""


class Refused(InputError):
    """A command that cannot be started."""

    def __init__(self, command: str, what: str, code: int) -> None:
        super().__init__(what, got=repr(command))
        self.shell_code = code
        """What a shell exits with: 127 where there is no such command, 126 where it cannot be executed."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what the kernel booked for it."""

    returncode: int
    """Its exit code; minus the number of the signal that ended it."""
    end_ns: int
    """When, in `time.monotonic_ns`."""
    user_s: float
    """CPU seconds in user mode, of it and of all that it and they waited for."""
    system_s: float
    """CPU seconds in the kernel, likewise."""
    largest_rss_bytes: int | None
    """Most resident memory that any single one of those processes had at any time; None where that is less than the
    fork of Python had before it became the command, which the kernel counts as well."""


def refusal(command: str) -> Refused | None:
    """Why a command cannot be started, as far as that can be told without trying; None where it may be."""
    if shutil.which(command) is not None:
        return None
    folders = [""] if os.sep in command else os.environ.get("PATH", os.defpath).split(os.pathsep)
    if command and any(Path(folder, command).exists() for folder in folders):
        return Refused(command, "the command cannot be executed", _NOT_EXECUTABLE)
    return Refused(command, "there is no such command", _NOT_FOUND)


@contextmanager
def signals_awaited() -> Iterator[set[int]]:
    """Within it, signals wait until they are asked for; gives the set of those that were blocked before.

    Threads and processes that begin within it leave these signals alone too, so that a sampler is not ended by a
    signal that is meant for the command.

    Raises:
        InputError: where the system cannot wait for signals.
    """
    if not hasattr(signal, "sigtimedwait"):
        raise InputError(
            "this system cannot pass signals to a command", expected="Linux, or a BSD other than macOS"
        )
    watched = {*_PASSED, signal.SIGCHLD}
    # A parent may have left it ignored; then the end of a child could not be waited for.
    child_before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        yield {int(each) for each in before}
    finally:
        while signal.sigtimedwait(watched, 0) is not None:
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGCHLD, child_before)


def rest(seconds: float) -> bool:
    """Do nothing for so long, within `signals_awaited`; true if a signal cut it short."""
    # One that is ignored, as under nohup, is not meant to stop anything.
    stopping = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    stopping = {each for each in stopping if signal.getsignal(each) is not signal.SIG_IGN}
    return signal.sigtimedwait(stopping, seconds) is not None


class Held:
    """A command that waits; within `signals_awaited`.

    Args:
        command: its name or path, and its arguments.
        blocked: the signals that are to be blocked in it, as `signals_awaited` gave them.

    Raises:
        OSError: if the system has no room for another process.
    """

    def __init__(self, command: Sequence[str], blocked: Iterable[int]) -> None:
        self._name = command[0]
        self._over = False
        self._own_rss_bytes: int | None = None
        word, self._word = os.pipe()
        self._answer, answer = os.pipe()
        self.pid = os.fork()
        """Its process id, which stays when it becomes the command."""
        if self.pid == 0:
            os.close(self._word)
            os.close(self._answer)
            _become(command, word, answer, blocked)
        os.close(word)
        os.close(answer)

    def go(self) -> tuple[int, int]:
        """Let it become the command; returns the moments before and after, in `time.monotonic_ns`.

        Raises:
            Refused: if it cannot become the command.
            Interrupted: if a signal has ended it while it waited.
        """
        self._own_rss_bytes = _most_rss_bytes(self.pid)
        start_ns = time.monotonic_ns()
        try:
            os.write(self._word, b".")
        except BrokenPipeError:
            raise Interrupted("the command was ended before it began") from None
        # Nothing, and the end: both of its ends of this pipe close by themselves when it becomes the command.
        said = os.read(self._answer, 16)
        if said:
            raise self._refused(int(said))
        return start_ns, time.monotonic_ns()

    def _refused(self, number: int) -> Refused:
        if number == errno.ENOENT and shutil.which(self._name) is None:
            return Refused(self._name, "there is no such command", _NOT_FOUND)
        # What is there and yet is not found is the interpreter that its first line names.
        why = "its interpreter is missing" if number == errno.ENOENT else os.strerror(number)
        return Refused(self._name, f"the command cannot be executed ({why})", _NOT_EXECUTABLE)

    def wait(self) -> Ended:
        """Wait for its end, and pass every signal on to it that it has not got already."""
        watched = {*_PASSED, signal.SIGCHLD}
        while True:
            info = signal.sigwaitinfo(watched)
            ended = self._reap()
            if ended is not None:
                return ended
            if info.si_signo != signal.SIGCHLD and info.si_code != _FROM_KERNEL:
                os.kill(self.pid, info.si_signo)

    def _reap(self) -> Ended | None:
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self._over = True
        return Ended(
            returncode=os.waitstatus_to_exitcode(status),
            end_ns=time.monotonic_ns(),
            user_s=usage.ru_utime,
            system_s=usage.ru_stime,
            largest_rss_bytes=self._largest(usage.ru_maxrss * _KIB),
        )

    def _largest(self, booked_bytes: int) -> int | None:
        own = self._own_rss_bytes
        return None if own is None or booked_bytes <= own + _OWN_GROWTH_BYTES else booked_bytes

    def close(self) -> None:
        """Let go of it; one that never began is ended."""
        os.close(self._word)
        os.close(self._answer)
        if not self._over:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._over = True


def _most_rss_bytes(pid: int) -> int | None:
    """The most resident memory that a process ever had; None where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return None if found is None else int(found[1]) * _KIB


def _become(command: Sequence[str], word: int, answer: int, blocked: Iterable[int]) -> NoReturn:
    """In the fork: wait for the word, and become the command. Never returns."""
    try:
        if os.read(word, 1):
            # As a shell would start it: what Python has changed for itself is put back.
            for each in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(each, signal.SIG_DFL)
            for each in _PASSED:
                if callable(signal.getsignal(each)):
                    signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            os.execvp(command[0], list(command))  # noqa: S606 - to start a command as it was given is what this is for
    except OSError as error:
        os.write(answer, str(error.errno or errno.EINVAL).encode())
    finally:
        os._exit(_NOT_FOUND)
