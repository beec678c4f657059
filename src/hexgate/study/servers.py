"""Servers as a study sees them: what they serve, and how a model is loaded and let go by the API alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from hexgate.study.asking import Line, ask_once
from hexgate.study.configuration import Configuration, quantization_in, quantization_stated
from hexgate.study.spec import Cold, RequestSpec
from hexgate.targets.http_client import Failure, HttpClient
from hexgate.wire.base import Ask, WireRequest
from hexgate.wire.payload import BadPayload, body_bytes, load_object

__all__ = ["LlamaServer", "OllamaServer", "OpenAIServer", "Server", "Wait"]

Wait = Callable[[float], None]
"""Waits so many seconds, or raises where the study is stopped."""

_KEEP_ALIVE = "30m"
"""Longer than any pause between two runs; a study that is killed must not keep a model in memory for ever."""
_GONE_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.1
_NO_UNLOAD = "the server has no call that lets a model go"
_OF_LOADED = (("size_bytes", "size"), ("size_vram_bytes", "size_vram"), ("num_ctx", "context_length"))


class Server(Protocol):
    """One model at one server."""

    can_unload: bool

    def unload(self, wait: Wait) -> str | None:
        """Let the model go and wait until it is gone; why that is not known, or None where it is.

        Raises:
            Failure: if the server fails, or keeps the model.
        """

    def preload(self) -> None:
        """Load the model as the runs will need it, without keeping anything of a prompt.

        Raises:
            Failure: if the server fails.
        """

    def configuration(self) -> Configuration:
        """What the server says of the loaded model. What it does not say is None with a reason."""

    def options(self, cold: Cold) -> Mapping[str, Any]:
        """Further fields of each request's body."""


class OllamaServer:
    """Ollama, over its own API.

    Args:
        line: the connection to its root.
        model: name of the model, with its tag.
        request: what every request says.
        further: fields of the request body that the study names, for all models and for this one.
    """

    can_unload = True

    def __init__(self, line: Line, model: str, request: RequestSpec, further: Mapping[str, Any]) -> None:
        self._line = line
        self._model = model
        self._request = request
        self._further = further

    def unload(self, wait: Wait) -> str | None:
        """Ask for it by an empty prompt with a keep_alive of 0, then look at /api/ps until the model is not there."""
        self._post("/api/generate", {"model": self._model, "keep_alive": 0})
        deadline = time.monotonic() + _GONE_WITHIN_S
        while True:
            loaded = _object(self._line.client, "/api/ps")
            if isinstance(loaded, str):
                return f"whether the model is gone cannot be seen (/api/ps: {loaded})"
            if self._entry(loaded) is None:
                return None
            if time.monotonic() > deadline:
                raise Failure("timeout", f"the model was not gone {_GONE_WITHIN_S:g} s after it was let go")
            wait(_LOOK_EVERY_S)

    def preload(self) -> None:
        """An empty prompt with the options of the runs: other options would load the model again."""
        fields = {"model": self._model, "keep_alive": _KEEP_ALIVE, "options": self._runner_options()}
        self._post("/api/generate", fields)

    def configuration(self) -> Configuration:
        """Version, /api/show, /api/tags and /api/ps."""
        client = self._line.client
        facts: dict[str, Any] = {}
        missing: dict[str, str] = {}
        version = _object(client, "/api/version")
        _take(
            facts, missing, "server_version", version, "/api/version", lambda found: _text(found, "version")
        )
        shown = self._show()
        details = _below(shown, "details")
        info = _below(shown, "model_info")
        _take(facts, missing, "family", details, "/api/show", lambda found: _text(found, "family"))
        _take(
            facts,
            missing,
            "quantization",
            details,
            "/api/show",
            lambda found: _text(found, "quantization_level"),
        )
        _take(
            facts,
            missing,
            "parameters",
            info,
            "/api/show",
            lambda found: _number(found, "general.parameter_count"),
        )
        if "parameters" in missing:
            size = None if isinstance(details, str) else _parameters(_text(details, "parameter_size"))
            if size is not None:
                facts["parameters"] = size
                del missing["parameters"]
        _take(facts, missing, "context_length", info, "/api/show", _context_length)
        tags = self._listed("/api/tags")
        _take(facts, missing, "digest", tags, "/api/tags", lambda found: _text(found, "digest"))
        loaded = self._listed("/api/ps")
        for fact, name in _OF_LOADED:
            _take(facts, missing, fact, loaded, "/api/ps", partial(_whole, name=name))
        if "num_ctx" in missing and self._request.num_ctx is not None:
            missing["num_ctx"] += f"; {self._request.num_ctx} was asked for"
        return Configuration("ollama", self._model, **facts, missing=missing)

    def options(self, cold: Cold) -> Mapping[str, Any]:  # noqa: ARG002 - the protocol's
        """How long the model stays, whether it thinks, and the runner's options, the same as at loading."""
        fields: dict[str, Any] = {"keep_alive": _KEEP_ALIVE, "options": self._runner_options()}
        if self._request.think is not None:
            fields["think"] = self._request.think
        return {**fields, **{name: value for name, value in self._further.items() if name != "options"}}

    def _runner_options(self) -> dict[str, Any]:
        own = {} if self._request.num_ctx is None else {"num_ctx": self._request.num_ctx}
        further = self._further.get("options")
        return {**own, **(further if isinstance(further, dict) else {})}

    def _post(self, path: str, fields: Mapping[str, Any]) -> bytes:
        headers = {"content-type": "application/json"}
        return self._line.client.send(
            WireRequest("POST", path, headers, body_bytes({**fields, "stream": False}))
        )

    def _show(self) -> dict[str, Any] | str:
        try:
            return load_object(self._post("/api/show", {"model": self._model}))
        except (Failure, BadPayload) as error:
            return str(error)

    def _listed(self, path: str) -> dict[str, Any] | str:
        found = _object(self._line.client, path)
        if isinstance(found, str):
            return found
        return self._entry(found) or "the model is not in its list"

    def _entry(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        names = {self._model, f"{self._model}:latest", self._model.removesuffix(":latest")}
        models = fields.get("models")
        for entry in models if isinstance(models, list) else ():
            if isinstance(entry, dict) and (entry.get("name") in names or entry.get("model") in names):
                return entry
        return None


class OpenAIServer:
    """Any OpenAI-compatible server.

    Args:
        line: the connection to its ``/v1``.
        root: the connection to what stands before the ``/v1``.
        model: the model's id.
        further: fields of the request body that the study names, for all models and for this one.
    """

    can_unload = False

    def __init__(self, line: Line, root: HttpClient, model: str, further: Mapping[str, Any]) -> None:
        self._line = line
        self._root = root
        self._model = model
        self._further = further

    def unload(self, wait: Wait) -> str | None:  # noqa: ARG002 - the protocol's
        """There is no call for it."""
        return _NO_UNLOAD

    def preload(self) -> None:
        """One token: a server that loads its model at the first request has it then."""
        asked = ask_once(self._line, Ask(prompt="Hi", model=self._model, max_tokens=1))
        if asked.failure is not None:
            raise Failure(asked.failure.kind, asked.failure.detail, asked.failure.status)

    def configuration(self) -> Configuration:
        """/v1/models, and the version that vLLM and others tell."""
        facts: dict[str, Any] = {}
        missing: dict[str, str] = {}
        version = _object(self._root, "/version")
        _take(facts, missing, "server_version", version, "/version", lambda found: _text(found, "version"))
        entry = _model_entry(self._line.client, self._model)
        _take(facts, missing, "num_ctx", entry, "/models", lambda found: _whole(found, "max_model_len"))
        for fact in (
            "digest",
            "family",
            "parameters",
            "quantization",
            "context_length",
            "size_bytes",
            "size_vram_bytes",
        ):
            missing[fact] = (
                "the API does not tell it; it can be declared" if fact in _DECLARABLE else _NOT_TOLD
            )
        return Configuration("openai", self._model, **facts, missing=missing)

    def options(self, cold: Cold) -> Mapping[str, Any]:  # noqa: ARG002 - the protocol's
        """What the study names: there is no field beyond the API that all such servers know."""
        return dict(self._further)


class LlamaServer(OpenAIServer):
    """llama.cpp's own server, over its OpenAI-compatible API."""

    def configuration(self) -> Configuration:
        """/props and /v1/models."""
        facts: dict[str, Any] = {}
        missing: dict[str, str] = {"digest": _NOT_TOLD, "size_vram_bytes": _NOT_TOLD}
        props = _object(self._root, "/props")
        settings = _below(props, "default_generation_settings")
        _take(facts, missing, "server_version", props, "/props", lambda found: _text(found, "build_info"))
        _take(facts, missing, "num_ctx", settings, "/props", lambda found: _whole(found, "n_ctx"))
        _take(facts, missing, "quantization", props, "/props", _quantization_of_props)
        # With one model it answers to any name.
        meta = _below(_model_entry(self._line.client, self._model, or_only=True), "meta")
        _take(facts, missing, "parameters", meta, "/models", lambda found: _number(found, "n_params"))
        _take(facts, missing, "context_length", meta, "/models", lambda found: _whole(found, "n_ctx_train"))
        _take(facts, missing, "size_bytes", meta, "/models", lambda found: _whole(found, "size"))
        missing["family"] = _NOT_TOLD
        return Configuration("llama.cpp", self._model, **facts, missing=missing)

    def options(self, cold: Cold) -> Mapping[str, Any]:
        """No cache of prompts where runs are to be cold."""
        own = {} if cold is Cold.NONE else {"cache_prompt": False}
        return {**own, **self._further}


_DECLARABLE = frozenset({"parameters", "quantization", "context_length"})
_NOT_TOLD = "the API does not tell it"

_Found = dict[str, Any] | str
"""An object that a server gave, or why there is none."""


def _take(
    facts: dict[str, Any],
    missing: dict[str, str],
    fact: str,
    found: _Found,
    path: str,
    read: Callable[[dict[str, Any]], Any],
) -> None:
    value = None if isinstance(found, str) else read(found)
    if value is None:
        missing[fact] = f"{path}: {found}" if isinstance(found, str) else f"{path} does not say"
    else:
        facts[fact] = value


def _object(client: HttpClient, path: str) -> _Found:
    try:
        answer = client.get(path)
        return load_object(answer.body) if answer.status == 200 else str(client.refusal(answer))
    except (Failure, BadPayload) as error:
        return str(error)


def _below(found: _Found, name: str) -> _Found:
    if isinstance(found, str):
        return found
    inner = found.get(name)
    return inner if isinstance(inner, dict) else f"it has no {name}"


def _model_entry(client: HttpClient, model: str, *, or_only: bool = False) -> _Found:
    found = _object(client, "/models")
    if isinstance(found, str):
        return found
    listed = found.get("data")
    entries = [entry for entry in (listed if isinstance(listed, list) else ()) if isinstance(entry, dict)]
    for entry in entries:
        if entry.get("id") == model:
            return entry
    return entries[0] if or_only and len(entries) == 1 else "the model is not in its list"


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _whole(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    return value if type(value) is int and value >= 0 else None


def _number(fields: Mapping[str, Any], name: str) -> float | None:
    value = _whole(fields, name)
    return None if not value else float(value)


def _context_length(info: Mapping[str, Any]) -> int | None:
    architecture = _text(info, "general.architecture")
    return None if architecture is None else _whole(info, f"{architecture}.context_length")


def _parameters(size: str | None) -> float | None:
    """The number that Ollama writes as ``3.2B`` or ``270.5M``."""
    scale = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get((size or " ")[-1].upper())
    try:
        return None if size is None or scale is None else float(size[:-1]) * scale
    except ValueError:
        return None


def _quantization_of_props(props: Mapping[str, Any]) -> str | None:
    """What the model's file says of itself, else what its name says."""
    stated, path = _text(props, "model_ftype"), _text(props, "model_path")
    named = None if path is None else quantization_in(path.replace("\\", "/").rpartition("/")[2])
    known = None if stated is None else quantization_stated(stated)
    return known or named or (None if stated is None or "unknown" in stated else stated)
