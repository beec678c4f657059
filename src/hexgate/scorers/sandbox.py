"""A place to run programs that nobody trusts: no network, no rights, one folder, and limits on all that it uses.

Whether this machine can give that is not looked up but tried: `Sandbox.available` runs a program that attempts what
must fail. Where one attempt succeeds, or the sandbox cannot be made, nothing is run at all. See docs/sandbox.md.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from hexgate.errors import InputError, TargetFailed
from hexgate.scorers.sandbox_probe import Ready, Unavailable, probe
from hexgate.scorers.sandbox_run import Ended, Ending, Limits, SandboxFault, launch
from hexgate.scorers.sandbox_view import LANGUAGES, Language

__all__ = ["Ended", "Ending", "Limits", "Ready", "Sandbox", "Unavailable", "open_language"]


@functools.cache
def open_language(name: str) -> Language:
    """A language by its name.

    Raises:
        InputError: for a name that is not in `LANGUAGES`.
    """
    if name not in LANGUAGES:
        raise InputError(
            "no sandbox for this language", got=repr(name), expected=f"one of {', '.join(LANGUAGES)}"
        )
    return LANGUAGES[name]()


@functools.cache
def _probed(name: str) -> Ready | Unavailable:
    return probe(open_language(name))


@dataclass(frozen=True)
class Sandbox:
    """Runs programs of one language under the same limits, each in a sandbox of its own."""

    limits: Limits = field(default_factory=Limits)
    """What each program may use."""
    language: str = "python"
    """A name of `LANGUAGES`."""

    def available(self) -> Ready | Unavailable:
        """Whether this machine holds a program back, tried once in the life of this process.

        Raises:
            InputError: for a language that is not in `LANGUAGES`.
        """
        return _probed(self.language)

    def run(self, files: Mapping[str, str], command: tuple[str, ...], given: bytes = b"") -> Ended:
        """Run a program, and wait until nothing of it lives.

        Args:
            files: texts by name, which the program finds read-only in ``/given``.
            command: the name of the one that is run, and arguments.
            given: what it reads on standard input.

        Raises:
            InputError: if the sandbox is not available: with the reason, and what to do.
            TargetFailed: if this one sandbox could not be made; the program was not run.
        """
        state = self.available()
        if isinstance(state, Unavailable):
            raise InputError("programs cannot be run safely here", got=state.reason, hint=state.remedy)
        try:
            return launch(
                open_language(self.language), self.limits, files=files, command=command, given=given
            )
        except SandboxFault as why:
            raise TargetFailed("a sandbox could not be made", where=why.step, got=str(why)) from None
