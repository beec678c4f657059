"""The target of a command, opened so that a result says so where it cannot be."""

from __future__ import annotations

import signal
from collections.abc import Callable

from hexgate.errors import HexgateError
from hexgate.targets.base import Target
from hexgate.targets.options import OpenOptions
from hexgate.targets.registry import open_target

__all__ = ["open_saying"]


def open_saying(uri: str, opening: OpenOptions, say: Callable[[HexgateError], None]) -> Target:
    """Open the target; before, and where it cannot be opened, `say` leaves a result that says so.

    A result of an earlier run that lies there is not that of this one, however this one ends. From here on
    SIGTERM does what Ctrl-C does.

    Raises:
        InputError: if there is no such target, or a result cannot be written.
        TargetUnusable, TargetFailed: as `open_target` does.
    """
    signal.signal(signal.SIGTERM, _stop_like_interrupt)
    say(HexgateError("the measurement did not begin"))
    try:
        return open_target(uri, options=opening)
    except HexgateError as error:
        say(error)
        raise


def _stop_like_interrupt(signum: int, frame: object) -> None:  # noqa: ARG001
    raise KeyboardInterrupt
