"""Something measured with the recorder beside it, and kept however it ends."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from hexgate.contract.evidence import EvidenceWriter
from hexgate.errors import HexgateError, Interrupted, TargetFailed
from hexgate.meters.recorder import Recorder

__all__ = ["recorded", "unwritable"]

_DISK_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


def recorded(
    collect: Callable[[], object],
    evidence: EvidenceWriter,
    keeping: ExitStack,
    *,
    recorder: Recorder | None = None,
) -> HexgateError | None:
    """Call `collect` while resources and power are sampled, and take the samples up as evidence.

    Args:
        collect: measures, and writes evidence.
        evidence: where it writes, and where the samples go.
        keeping: while it is open after an interrupt, no second one disturbs what was measured.
        recorder: samples, into the folder and under the stem of `evidence`; None for one of this process alone. One
            that does not wait for its first samples is waited for by `collect`, before what is measured begins.

    Returns:
        What ended it before its end; None where it came to it.
    """
    recorder = recorder or Recorder(evidence.folder, evidence.stem, pid=os.getpid())
    stopped: HexgateError | None = None
    interrupted = Interrupted("the run was stopped", hint="what was measured until then is kept")
    try:
        with recorder:
            try:
                collect()
            except KeyboardInterrupt:
                keeping.enter_context(_undisturbed())
                stopped = interrupted
    except KeyboardInterrupt:
        stopped = interrupted
    except HexgateError as error:
        stopped = error
    except OSError as error:
        # NumPy tells of a short write without a number.
        if error.errno is not None and error.errno not in _DISK_FAULTS:
            raise
        stopped = TargetFailed(
            f"the evidence cannot be written ({error.strerror or error}); what was written before is kept",
            where=str(evidence.folder),
            hint="make room and measure again",
        )
    for kind, rows in recorder.rows.items():
        evidence.adopt(kind, evidence.folder / f"{evidence.stem}.{kind}.jsonl", rows)
    evidence.document("meters", recorder.to_json())
    return stopped


def unwritable(error: OSError, evidence: EvidenceWriter) -> TargetFailed:
    """What to say where the disk does not take the result of a measurement."""
    return TargetFailed(
        f"the artifact cannot be written ({error.strerror or error}); what was measured is kept as it stands there",
        where=str(evidence.folder),
        hint="make room and measure again",
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No second interrupt while what was measured is kept: that takes a moment, and is lost if it is cut short."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
