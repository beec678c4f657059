"""Try again what a platform or a store could not do just now."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["MOST_ATTEMPTS", "with_retries"]

_T = TypeVar("_T")

MOST_ATTEMPTS = 5
_LONGEST_WAIT_S = 20.0


def with_retries(
    call: Callable[[], _T],
    *,
    transient: Callable[[Exception], bool],
    attempts: int = MOST_ATTEMPTS,
    first_wait_s: float = 0.5,
    sleep: Callable[[float], None] = time.sleep,
) -> _T:
    """Call, and again after a growing wait with full jitter while it fails in a way that may pass.

    Args:
        call: what is tried; it must be safe to do twice.
        transient: whether a failure may pass: throttled (429), a server's error (5xx), a cut connection.
        attempts: calls in all.
        first_wait_s: bound of the first wait; it doubles up to 20 s.
        sleep: waits.

    Raises:
        Exception: the last failure, as it came.
    """
    bound = first_wait_s
    for left in range(attempts - 1, -1, -1):
        try:
            return call()
        except Exception as error:
            if left == 0 or not transient(error):
                raise
        sleep(random.uniform(0, bound))
        bound = min(2 * bound, _LONGEST_WAIT_S)
    raise AssertionError("unreachable")
