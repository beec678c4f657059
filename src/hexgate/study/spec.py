"""What a study is, as its file says it: models, tasks, loads, the request, and how the runs are carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import canonical_bytes, sha256_bytes
from hexgate.study.quality.spec import JudgedBy, QualitySpec
from hexgate.study.rating.spec import RatingSpec

__all__ = [
    "MAY_CHANGE",
    "Budget",
    "Clean",
    "Cold",
    "Expected",
    "LoadSpec",
    "ModelSpec",
    "Quiet",
    "RequestSpec",
    "Spec",
    "TaskSpec",
]

MAY_CHANGE = ("budget", "parallel", "expect", "quality", "judge", "rating")
"""What a study may be resumed with although it differs: no run is another by it."""


class Clean(str, Enum):
    """What is done before a model's runs begin."""

    UNLOAD = "unload"
    """The server is asked to unload the model, and waited for until it is gone, before and after."""
    NONE = "none"
    """Nothing."""


class Cold(str, Enum):
    """How a run is kept from what the server remembers of earlier prompts."""

    NONCE = "nonce"
    """A short text in front of each prompt that no other run has: no prefix of it is in the cache."""
    UNLOAD = "unload"
    """The model is unloaded and loaded again before each run."""
    NONE = "none"
    """Nothing: prompts are sent as they are, and may be answered from the cache."""


@dataclass(frozen=True)
class ModelSpec:
    """One model, and where it is served."""

    name: str
    """What it is called in the study."""
    target: str
    """``http://host:port/v1`` or ``ollama://host:port/NAME``."""
    model: str | None = None
    """The model's id at its server; None to take the target's, or the only one that is served."""
    dialect: str | None = None
    """The API that is spoken, where the target does not tell."""
    api_key_env: str | None = None
    """Environment variable with the key."""
    domains: tuple[str, ...] = ()
    """Patterns of ids of the energy domains that this model draws from, such as ``nvml:GPU-1f*``; empty for all."""
    here: bool | None = None
    """Whether its server runs on this machine, whose meters are read; None to tell by a loopback address."""
    parameters: float | None = None
    """Declared number of parameters, for a server that does not say."""
    quantization: str | None = None
    """Declared quantisation."""
    context_length: int | None = None
    """Declared context length that the model was made for, in tokens."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the request body that only this model gets, as its API names them."""


@dataclass(frozen=True)
class TaskSpec:
    """One task: items that are alike."""

    name: str
    """What it is called."""
    items: str
    """File of the items, JSON Lines or CSV, from the folder of the study's file."""
    where: Mapping[str, str] = field(default_factory=dict)
    """Only items with these values belong to it."""
    prompt: str = "prompt"
    """The field that holds the prompt, where a load names none."""
    references: str = "reference"
    """The field that holds one reference or a list of them."""
    system: str | None = None
    """System message."""
    max_tokens: int | None = None
    """Most tokens of a reply, where a load names none; None for the request's."""


@dataclass(frozen=True)
class LoadSpec:
    """One level of load: how long prompts and replies are."""

    name: str
    """What it is called."""
    prompt: str | None = None
    """The field of an item that holds its prompt at this level; None for the task's."""
    where: Mapping[str, str] = field(default_factory=dict)
    """Only items with these values belong to it."""
    max_tokens: int | None = None
    """Most tokens of a reply at this level; None for the task's."""


@dataclass(frozen=True)
class RequestSpec:
    """What every request of the study says."""

    max_tokens: int = 512
    """Most tokens of a reply."""
    temperature: float = 0.0
    """Sampling temperature; 0 is greedy."""
    top_p: float | None = None
    """Nucleus mass; None for the server's default."""
    seed: int | None = 0
    """Seed of the sampling; the same for every run."""
    num_ctx: int | None = None
    """Context length that Ollama is asked for; None for its default, which depends on the machine."""
    think: bool | None = False
    """Whether a model that can think first does so, where the API (Ollama's) can say it; None to say nothing."""
    stop: tuple[str, ...] = ()
    """Texts that end a reply."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the request body, as the API names them."""


@dataclass(frozen=True)
class Quiet:
    """Idle time around each request, so that its energy has clear edges."""

    before_s: float = 0.3
    """Before it."""
    after_s: float = 0.7
    """After it."""


@dataclass(frozen=True)
class Budget:
    """Where a study ends although runs are left. It can be resumed with more."""

    max_hours: float | None = None
    """Hours of all calls together."""
    max_disk_gb: float | None = None
    """Gigabytes (1e9 bytes) of the study's folder."""
    max_energy_kj: float | None = None
    """Measured kilojoules of all runs together."""


@dataclass(frozen=True)
class Expected:
    """What the estimate before the start assumes; no figure is made of it."""

    tokens_per_s: float = 20.0
    """Output tokens a second."""
    load_s: float = 20.0
    """Time to load a model."""
    power_w: float | None = None
    """Mean power while it works; None where nobody knows."""


@dataclass(frozen=True)
class Spec:
    """A study."""

    name: str
    """What it is called."""
    seed: int
    """Seed of the order of runs."""
    models: tuple[ModelSpec, ...]
    """The models."""
    tasks: tuple[TaskSpec, ...]
    """The tasks."""
    loads: tuple[LoadSpec, ...]
    """The levels of load."""
    request: RequestSpec = RequestSpec()
    """What every request says."""
    runs: int = 5
    """How often each cell is run: each block has each once."""
    warmup: int = 3
    """Requests before a model's first run of a block, which are not counted."""
    idle_s: float = 10.0
    """Idle measured before and after a model's runs of a block, with the model loaded."""
    quiet: Quiet | None = Quiet()
    """Idle time around each request; None for none."""
    clean: Clean = Clean.UNLOAD
    """What is done before a model's runs of a block."""
    cold: Cold = Cold.NONCE
    """How a run is kept from what the server remembers."""
    resources_hz: float = 5.0
    """Samples of resources a second."""
    power_hz: float | None = None
    """Readings of power a second; None for what the meters are worth."""
    meters: tuple[str, ...] | None = None
    """Energy meters to read; None for all that this machine may have."""
    parallel: int = 1
    """Most models, each at an endpoint of its own, that run at once."""
    timeout_s: float = 300.0
    """Longest wait for a whole reply."""
    budget: Budget = Budget()
    """Where it ends although runs are left."""
    expect: Expected = Expected()
    """What the estimate assumes."""
    quality: tuple[QualitySpec, ...] = ()
    """The measures that mark its runs."""
    judge: JudgedBy | None = None
    """The model that judges its replies; None where the study names none."""
    rating: RatingSpec | None = None
    """How its models are rated; None where the study does not say."""
    folder: Path = Path()
    """The folder that paths of items are relative to."""

    def to_json(self) -> dict[str, Any]:
        """The spec with every default in it, without the folder it came from."""
        block = asdict(self) | {"clean": self.clean.value, "cold": self.cold.value}
        del block["folder"]
        return block

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Spec:
        """The spec that `to_json` gave; paths of items are relative to nothing then.

        Raises:
            KeyError, TypeError, ValueError: if it is no such block.
        """
        quiet = block["quiet"]
        meters = block["meters"]
        return cls(
            **{
                **block,
                "models": tuple(
                    ModelSpec(**{**one, "domains": tuple(one["domains"])}) for one in block["models"]
                ),
                "tasks": tuple(TaskSpec(**one) for one in block["tasks"]),
                "loads": tuple(LoadSpec(**one) for one in block["loads"]),
                "request": RequestSpec(**{**block["request"], "stop": tuple(block["request"]["stop"])}),
                "quiet": None if quiet is None else Quiet(**quiet),
                "clean": Clean(block["clean"]),
                "cold": Cold(block["cold"]),
                "meters": None if meters is None else tuple(meters),
                "budget": Budget(**block["budget"]),
                "expect": Expected(**block["expect"]),
                "quality": tuple(QualitySpec.from_json(one) for one in block.get("quality", ())),
                "judge": None if block.get("judge") is None else JudgedBy.from_json(block["judge"]),
                "rating": None if block.get("rating") is None else RatingSpec.from_json(block["rating"]),
            }
        )

    def sha256(self) -> str:
        """Digest of all that makes a run what it is."""
        block = {name: value for name, value in self.to_json().items() if name not in MAY_CHANGE}
        return sha256_bytes(canonical_bytes(block))

    def model(self, name: str) -> ModelSpec:
        """The model of a name."""
        return next(one for one in self.models if one.name == name)
