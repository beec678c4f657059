"""What a target is: anything that can be measured, and what it can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hexgate.targets.card import Card
    from hexgate.wire.base import Endpoint

__all__ = [
    "GenerateOptions",
    "Generator",
    "GradientSource",
    "Output",
    "Predictor",
    "Reply",
    "Subject",
    "Target",
]


class Output(str, Enum):
    """What the numbers are that a predictor gives for the classes."""

    LOGITS = "logits"
    """Unbounded scores; softmax gives probabilities."""
    PROBABILITIES = "probabilities"
    """Shares that add up to 1."""
    UNKNOWN = "unknown"
    """Scores of which only the order is known."""


@dataclass(frozen=True)
class Subject:
    """Who is measured, as the artifact's `subject` block says it."""

    name: str
    """Name of the model."""
    kind: str
    """``onnx``, ``endpoint``, ``demo``, ..."""
    uri: str
    """Where it was found, without credentials."""
    sha256: str | None
    """Digest of the weights' bytes, in hex; None for an endpoint, whose weights nobody can see."""
    revision: str | None = None
    """Revision, as its card or its server states it."""
    components: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of every further file that belongs to the measured system, by role."""
    served_model: str | None = None
    """The model id that an endpoint answers with."""
    demonstration: bool = False
    """Whether this is hexgate's embedded default, which proves that the gate works and nothing else."""

    def to_json(self) -> dict[str, Any]:
        """The block as it stands in an artifact."""
        return {
            "name": self.name,
            "kind": self.kind,
            "uri": self.uri,
            "sha256": self.sha256,
            "revision": self.revision,
            "components": dict(self.components),
            "served_model": self.served_model,
            "demonstration": self.demonstration,
        }


class Predictor(Protocol):
    """Inputs to class scores."""

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The class names in the order of the scores, or None where neither model nor card states them."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without the batch."""

    @property
    def output(self) -> Output:
        """What the scores are."""

    def scores(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class scores of a batch: (n, *input_shape) to (n, classes).

        Raises:
            TargetFailed: if the model or the endpoint does not answer.
        """


class GradientSource(Protocol):
    """A predictor whose loss can be differentiated by its input."""

    def input_gradient(
        self, batch: NDArray[np.float32], labels: NDArray[np.int64], loss: str
    ) -> NDArray[np.float32]:
        """Gradient of the loss (``cross_entropy`` or ``margin``) by the input, same shape as `batch`."""


@dataclass(frozen=True)
class GenerateOptions:
    """How a reply is to be generated."""

    max_tokens: int = 128
    """Most tokens of the reply."""
    temperature: float = 0.0
    """Sampling temperature; 0 is greedy."""
    top_p: float | None = None
    """Nucleus mass, or None for the server's default."""
    seed: int | None = 0
    """Seed, where the server takes one."""
    system: str | None = None
    """System message, if any."""


@dataclass(frozen=True)
class Reply:
    """What came back for one prompt: a text, or an error; never an error dressed as a text."""

    text: str | None
    """The answer; None where there was none."""
    error: str | None = None
    """Why there was none: ``timeout``, ``http_500``, ``connection``, ..., and a detail after a colon."""
    finish_reason: str | None = None
    """As the server states it: ``stop``, ``length``, ``content_filter``, ..."""
    prompt_tokens: int | None = None
    """Tokens of the prompt, by the server's own count."""
    output_tokens: int | None = None
    """Tokens of the reply, by the server's own count."""
    reasoning: str | None = None
    """Text of a separate reasoning channel, if there was one."""


class Generator(Protocol):
    """Prompt to reply."""

    def generate(self, prompt: str, options: GenerateOptions) -> Reply:
        """One reply. A failure is a `Reply` with an error, not an exception, so that it can be counted."""

    def stream(self, prompt: str, options: GenerateOptions) -> Iterator[str]:
        """The reply in pieces, as they are made.

        Raises:
            TargetFailed: if the target stops answering.
        """


@dataclass(frozen=True)
class Target:
    """A model that is open and ready, and what it can do. What it cannot do is None."""

    uri: str
    """As the user named it."""
    subject: Subject
    """Who it is."""
    card: Card
    """What its owner states of it (labels, input range, ...); an empty card where there is none."""
    predictor: Predictor | None = None
    """Inputs to class scores."""
    gradients: GradientSource | None = None
    """Gradients by the input."""
    generator: Generator | None = None
    """Prompt to reply."""
    endpoint: Endpoint | None = None
    """Where it is served, for whoever puts load on it; None for a model in this process."""
    warnings: Sequence[str] = ()
    """What the user should know of how it was opened."""
    default_prompts: str | None = None
    """The prompts that belong to it, if its card names some."""
    provider: str | None = None
    """Execution provider that a model in this process runs on; None where the runtime has none."""

    @property
    def opened(self) -> dict[str, Any]:
        """How it was opened, where that changes what is measured: keys of the artifact's block `method`."""
        if self.endpoint is not None:
            return {"dialect": self.endpoint.dialect, "timeout_s": self.endpoint.timeout_s}
        return {} if self.provider is None else {"provider": self.provider}

    def close(self) -> None:
        """Let go of sessions and connections."""
