"""A model's server, found and opened: what it serves is asked before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from hexgate.errors import InputError
from hexgate.study.asking import Line
from hexgate.study.configuration import Configuration, with_declared
from hexgate.study.edge.gguf_file import read_gguf
from hexgate.study.edge.gguf_server import GgufServer, digest_of
from hexgate.study.edge.gguf_target import Loading, gguf_path, is_gguf
from hexgate.study.edge.llama_process import LlamaProcess
from hexgate.study.servers import LlamaServer, OllamaServer, OpenAIServer, Server
from hexgate.study.spec import Cold, ModelSpec, Spec
from hexgate.study.spec_file import model_address
from hexgate.targets.address import Address
from hexgate.targets.http_client import Failure, HttpClient, authorization
from hexgate.targets.options import OpenOptions
from hexgate.targets.probe import Served, probe
from hexgate.wire.payload import BadPayload, load_object
from hexgate.wire.registry import dialect

__all__ = ["Opened", "endpoint_of", "is_here", "open_model"]

_PORTS = {"http": 80, "https": 443}
_THIS_MACHINE = "gguf:"
"""The endpoint of every GGUF file: two of them would share what this machine computes with."""


@dataclass(frozen=True)
class Opened:
    """A model's server with its open connections. Used as a context manager."""

    line: Line
    """Over which the model is asked."""
    root: HttpClient
    """To the server's root."""
    server: Server
    """What it can do."""
    served_model: str
    """The id that the model is asked by."""
    base_url: str
    """Where it is, without credentials."""
    warnings: tuple[str, ...]
    """What the user should know."""
    process: LlamaProcess | None = None
    """The process that serves it, where it is one of the study's own."""

    @property
    def place(self) -> dict[str, Any]:
        """How the recorder finds the processes of a server on this machine.

        By where it listens; one of the study's own does so only once it has loaded its model, and has a number before.
        """
        return {"server_url": self.base_url} if self.process is None else {"server_pid": self.process.pid}

    def configuration(self, model: ModelSpec) -> Configuration:
        """What the server says of the model, and what is declared of it."""
        return with_declared(self.server.configuration(), model)

    def close(self) -> None:
        """Close every connection."""
        self.line.client.close()
        self.root.close()
        if self.process is not None:
            self.process.close()

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_model(model: ModelSpec, spec: Spec) -> Opened:
    """Open a model's server.

    Raises:
        InputError: if the server does not serve it, its key is not set, or it cannot do what the study asks for.
        MissingExtra: if it is a GGUF file, and there is no llama.cpp here.
        TargetFailed: if it does not answer, or refuses the key.
    """
    if is_gguf(model.target):
        return _open_file(model, spec)
    options = OpenOptions(model_name=model.model, api_key_env=model.api_key_env, timeout_s=spec.timeout_s)
    address = model_address(model)
    key = options.api_key()
    headers = authorization(key, None)
    client = HttpClient(address.base_url, headers, spec.timeout_s, key)
    root = HttpClient(_origin(address.base_url), headers, spec.timeout_s, key)
    try:
        served = _probed(address, client, model)
        line = Line(client, dialect(address.dialect), key)
        further = _merged(spec.request.options, model.options)
        server = _server(address.dialect, line, root, served.model, spec, further)
        _refuse_what_it_cannot(server, spec, address.uri)
    except BaseException:
        client.close()
        root.close()
        raise
    return Opened(line, root, server, served.model, address.base_url, tuple(served.warnings))


def _probed(address: Address, client: HttpClient, model: ModelSpec) -> Served:
    """What the server says it serves; a study has its models' names in a file and not in an option."""
    try:
        return probe(address, client, model.model, key_env=model.api_key_env)
    except InputError as error:
        if "--model-name" in (error.hint or ""):
            error.hint = "name one of the server's models: the key model of this model in the study's file"
        error.where = error.where or f"{model.name} at {address.uri}"
        raise


def _open_file(model: ModelSpec, spec: Spec) -> Opened:
    """A GGUF file, and the process that will load it."""
    path = gguf_path(model.target, spec.folder)
    header = read_gguf(path)
    digest = digest_of(path, header)
    loading, own = Loading.of(model.options)
    process = LlamaProcess(path, loading)
    client = HttpClient(f"{process.url}/v1", {}, spec.timeout_s)
    root = HttpClient(process.url, {}, spec.timeout_s)
    line = Line(client, dialect("openai-chat"))
    further = _merged(spec.request.options, own)
    server = GgufServer(process, path, header, digest, line, root, further)
    return Opened(line, root, server, path.name, process.url, (), process)


def endpoint_of(model: ModelSpec) -> str:
    """The server of a model, as scheme, host and port: models of one server do not run at once.

    Written as one, however it is spelled: small letters, the port stated, and ``127.0.0.1`` for every name and
    address by which this machine calls itself.
    """
    if is_gguf(model.target):
        return _THIS_MACHINE
    parts = urlsplit(model_address(model).base_url)
    host = _host(parts.hostname)
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}:{parts.port or _PORTS.get(parts.scheme, 0)}"


def is_here(model: ModelSpec) -> bool:
    """Whether a model's server runs on this machine, as declared, or else by its address."""
    if model.here is not None:
        return model.here
    return is_gguf(model.target) or _host(urlsplit(model_address(model).base_url).hostname) == "127.0.0.1"


def _host(name: str | None) -> str:
    host = (name or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return "127.0.0.1"
    try:
        address = ip_address(host)
    except ValueError:
        return host
    # What is bound to every address is reached by the unspecified one too.
    return "127.0.0.1" if address.is_loopback or address.is_unspecified else str(address)


def _refuse_what_it_cannot(server: Server, spec: Spec, where: str) -> None:
    if spec.cold is Cold.UNLOAD and not server.can_unload:
        raise InputError(
            "the model cannot be unloaded before each run",
            where=where,
            expected="Ollama or a GGUF file, where the study says cold: unload",
            hint="take cold: nonce, which needs nothing of the server",
        )


def _server(
    name: str, line: Line, root: HttpClient, model: str, spec: Spec, further: Mapping[str, Any]
) -> Server:
    if name.startswith("ollama"):
        return OllamaServer(line, model, spec.request, further)
    if _is_llama(root):
        return LlamaServer(line, root, model, further)
    return OpenAIServer(line, root, model, further)


def _is_llama(root: HttpClient) -> bool:
    try:
        answer = root.get("/props")
        return answer.status == 200 and "default_generation_settings" in load_object(answer.body)
    except (Failure, BadPayload):
        return False


def _merged(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the body; in a mapping inside (Ollama's ``options``) the model's own keys win one by one."""
    merged = {**common, **own}
    for name, value in own.items():
        shared = common.get(name)
        if isinstance(shared, dict) and isinstance(value, dict):
            merged[name] = {**shared, **value}
    return merged


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
