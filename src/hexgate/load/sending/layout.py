"""The columns of a record, as plain types: what a worker process writes without NumPy, and `records` reads with it."""

from __future__ import annotations

import struct
from enum import IntEnum

__all__ = ["COLUMNS", "NEVER", "PLACE", "PLACE_BYTES", "ROW", "ROW_BYTES", "Outcome"]

NEVER = -1
"""The stamp of what did not happen, and the count of what is not known."""


class Outcome(IntEnum):
    """What became of one request."""

    OK = 0
    """A whole reply by the API's rules, with an answer in it."""
    ERROR = 1
    """No connection, a status that is not 2xx, or a reply that breaks the API's rules, reports an error or holds
    no answer."""
    TIMEOUT = 2
    """No whole reply within the time-out."""
    TRUNCATED = 3
    """A reply that ended before its terminator."""
    UNFINISHED = 4
    """Still in flight when the run was over and the drain limit had passed."""
    NOT_SENT = 5
    """Due, but never sent: the run was stopped before, or (then with an end stamp) this machine could not
    open another connection."""


COLUMNS: dict[str, str] = {
    "index": "i",  # number of the request in the plan
    "item": "i",  # data item
    "turn": "h",  # turn of its conversation, from 0
    "worker": "h",  # which worker of its generator sent it
    "warmup": "?",  # whether it is warm-up
    "due_ns": "q",  # instant at which it was due; -1 in a closed loop
    "issued_ns": "q",  # the engine took it up; then come the wait for a slot and for a connection
    "ready_ns": "q",  # a connection was there for it; -1 in this process
    "sent_ns": "q",  # request bytes written (in-process: the call began)
    "headers_ns": "q",  # response headers complete
    "first_event_ns": "q",  # first event of any kind
    "first_token_ns": "q",  # first text on any channel, in a streamed reply
    "first_answer_ns": "q",  # first text of the answer, in a streamed reply
    "last_token_ns": "q",  # last text on any channel, in a streamed reply
    "end_ns": "q",  # the reply, or the attempt, was over
    "gap_max_ns": "q",  # longest time between two events with text, in a streamed reply of at least two
    "outcome": "B",  # Outcome
    "http_status": "h",
    "events": "i",  # events with text or scores
    "first_event_tokens": "i",  # tokens in the first event with text, by the server's count
    "prompt_tokens": "i",  # by the server's count
    "output_tokens": "i",  # by the server's count
    "cached_tokens": "i",  # of the prompt, by the server's count
    "reasoning_tokens": "i",  # of the output, by the server's count
    "counted_tokens": "i",  # of the reply's text, by our own tokenizer
    "server_load_ns": "q",  # the server says that loading the model took so long
    "server_total_ns": "q",  # the server says that the request took so long
    "bytes": "q",  # bytes received, headers included
}
"""Columns of a record and their types, as `struct` names them. Stamps are nanoseconds from the run's start on one
monotonic clock; -1 is "never" in a stamp and "not known" in a count, a duration or a status."""

ROW = struct.Struct("<" + "".join(COLUMNS.values()))
"""One record, little-endian and without gaps."""
ROW_BYTES = ROW.size
"""Its width."""

PLACE = struct.Struct("<qq")
"""Where the reply of a slot lies in the file of replies: its offset and its length, 0 for none."""
PLACE_BYTES = PLACE.size
"""Its width."""
