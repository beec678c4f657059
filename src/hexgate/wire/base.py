"""The words of the wire: what is asked, what is sent, what comes back, and the protocol of a dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, NamedTuple, Protocol

__all__ = [
    "TOKENS",
    "Ask",
    "Dialect",
    "Endpoint",
    "Event",
    "EventKind",
    "Gives",
    "Usage",
    "WireRequest",
]


@dataclass(frozen=True)
class Ask:
    """One request in hexgate's own words: a prompt for a generator or an embedder, or inputs for a predictor."""

    prompt: str | None = None
    """Text for a generator or an embedder; None for a predictor."""
    system: str | None = None
    """System message, if any."""
    messages: tuple[Mapping[str, str], ...] = ()
    """The turns before the prompt, oldest first: each with ``role`` and ``content``. For chat APIs alone."""
    inputs: Sequence[Sequence[float]] | None = None
    """A batch of flat inputs for a predictor; None for a generator."""
    model: str = ""
    """Model id, where the API wants one."""
    max_tokens: int = 128
    """Most tokens of the reply."""
    temperature: float = 0.0
    """Sampling temperature."""
    top_p: float | None = None
    """Nucleus mass, or None for the server's default."""
    seed: int | None = 0
    """Seed, or None for the server's default."""
    stop: tuple[str, ...] = ()
    """Texts at which the reply is to end."""
    stream: bool = True
    """Whether the reply shall come in pieces, where the API can do that."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the request body, as the API names them."""


@dataclass(frozen=True)
class WireRequest:
    """One HTTP request, ready to be sent."""

    method: str
    """``POST`` or ``GET``."""
    path: str
    """Path under the endpoint's base URL, beginning with a slash."""
    headers: Mapping[str, str]
    """Headers without host, length and credentials."""
    body: bytes
    """The body's bytes."""


class EventKind(str, Enum):
    """What one piece of a reply is."""

    ROLE = "role"
    """An opening event without text. It is not a first token."""
    TEXT = "text"
    """Text of the answer."""
    REASONING = "reasoning"
    """Text of a reasoning channel: a token, but not yet the answer."""
    TOOL = "tool"
    """A piece of a call of a tool, its name or its arguments: output of the model, but no text of the answer."""
    SCORES = "scores"
    """Class scores of a predictor."""
    VECTORS = "vectors"
    """Vectors of an embedder."""
    USAGE = "usage"
    """Token counts by the server."""
    FINISH = "finish"
    """The reply is over, with its reason."""
    ERROR = "error"
    """An error inside a reply whose HTTP status was 200."""


TOKENS = frozenset({EventKind.TEXT, EventKind.REASONING, EventKind.TOOL})
"""The kinds that hold tokens of the model's output: what the first and the last token are found among."""


class Gives(str, Enum):
    """What a reply of a dialect holds."""

    TEXT = "text"
    """Text for a prompt."""
    SCORES = "scores"
    """Class scores for inputs."""
    VECTORS = "vectors"
    """A vector for a prompt."""


class Usage(NamedTuple):
    """Token counts and timings by the server's own account; None where it does not say."""

    prompt_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    load_ns: int | None = None
    prompt_ns: int | None = None
    output_ns: int | None = None
    total_ns: int | None = None


class Event(NamedTuple):
    """One piece of a reply."""

    kind: EventKind
    """What it is."""
    piece: int
    """Index of the received chunk whose bytes completed it; whoever stamped the chunks knows its time."""
    text: str = ""
    """Text of TEXT, REASONING and TOOL, the reason of FINISH, the message of ERROR."""
    usage: Usage | None = None
    """Counts, for USAGE."""
    scores: Sequence[Sequence[float]] | None = None
    """(n, classes), for SCORES; (n, width), for VECTORS."""


class Dialect(Protocol):
    """One API, as pure functions. An instance never changes."""

    gives: ClassVar[Gives]
    """What its replies hold. It takes inputs where they hold scores, and prompts elsewhere."""
    generates: ClassVar[bool]
    """Whether they hold text."""

    @property
    def name(self) -> str:
        """Name in the registry, such as ``openai-chat``."""

    @property
    def streams(self) -> bool:
        """Whether replies can come in pieces."""

    @property
    def ends_with(self) -> bytes | None:
        """What the last 64 bytes of a streamed reply that is whole hold; None where the API has no such thing.

        A hint for whoever looks at replies early: one without it is looked at first, and may be whole all the same.
        """

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask."""

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:
        """The events of a whole reply body, given as the chunks in which it came (split anywhere).

        A body that breaks the API's rules yields an ERROR event that says how, after the events before it. A
        stream that ends without its terminator yields a last ERROR event ``truncated: …``.
        """


@dataclass(frozen=True)
class Endpoint:
    """Where a model is served, and how to speak to it."""

    base_url: str
    """Scheme, host, port and path prefix, without a slash at the end and without credentials."""
    dialect: str
    """Name of the dialect."""
    model: str = ""
    """Model id, where the API wants one."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers with credentials: never printed, logged or stored."""
    timeout_s: float = 300.0
    """Longest wait for a whole reply."""
    secret: str | None = field(default=None, repr=False)
    """What no error or reply that is kept may hold, because a server might echo it: the key or the password."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What every ask of it needs beside its own options, such as the name of its input tensor."""
