"""What an endpoint says of itself before anything is measured: that it is there, and what it serves."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any
from urllib.parse import quote

from hexgate.errors import HexgateError, InputError, TargetFailed
from hexgate.targets.address import Address
from hexgate.targets.base import Output
from hexgate.targets.http_client import Answer, Failure, HttpClient
from hexgate.wire.base import Ask
from hexgate.wire.payload import BadPayload, load_object
from hexgate.wire.registry import TEMPLATE, dialect

__all__ = ["Served", "failed", "probe"]

_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|record layer failure", re.IGNORECASE)
"""What OpenSSL says of a server whose first bytes are not TLS."""
_NO_MODEL = re.compile(
    r"(invalid|unknown|no such|unsupported) model|model\b.*\bnot (found|exist)|not a valid model",
    re.IGNORECASE,
)
"""What servers say of a model that they do not know, where the status does not."""


@dataclass(frozen=True)
class Served:
    """What an endpoint serves, as far as it says so."""

    model: str
    """Model id to ask for; empty where the API has none."""
    revision: str | None = None
    """Version or digest of the model."""
    labels: tuple[str, ...] | None = None
    """Class names in the order of the scores."""
    input_name: str | None = None
    """Name of the input tensor."""
    input_shape: tuple[int, ...] | None = None
    """Shape of one input, without the batch."""
    output: Output = Output.UNKNOWN
    """What the scores are."""
    warnings: tuple[str, ...] = ()
    """What the user should know."""


def probe(address: Address, client: HttpClient, model_name: str | None, *, key_env: str | None) -> Served:
    """Ask an endpoint whether it is there, and what it serves.

    Args:
        address: where it is and how it speaks.
        client: the connection to it.
        model_name: the model that the user names, if any.
        key_env: the environment variable of the API key, if one was named, for the hint.

    Raises:
        TargetFailed: if it does not answer, or refuses the credentials.
        InputError: if it serves several models and none was named, or not the one that was named.
    """
    asked = model_name or address.model
    try:
        return _PROBES[address.dialect.partition(":")[0]](client, asked)
    except Failure as failure:
        raise failed(failure, address.uri, key_env) from None


def failed(failure: Failure, where: str, key_env: str | None) -> HexgateError:
    """The error that a failure is to the user, with what to do next."""
    if failure.status in {401, 403}:
        hint = (
            f"the key in {key_env} was refused"
            if key_env
            else "name the environment variable that holds the API key with --api-key-env"
        )
    elif where.startswith("https:") and _NO_TLS.search(str(failure)):
        hint = "the server may speak http://, not https://"
    elif failure.kind == "connection":
        hint = "is the server running, and is the address right? To try hexgate without one: hexgate serve"
    elif failure.kind == "timeout":
        hint = "give it longer with --timeout-s, or look at the server's load"
    elif failure.kind == "redirect":
        hint = "give the address that it redirects to"
    elif failure.status == 404:
        hint = "check the path of the address and the model's name"
    else:
        hint = "look at the server's log"
    return TargetFailed(f"the endpoint failed: {failure}", where=where, hint=hint)


def _openai(name: str, client: HttpClient, asked: str) -> Served:
    answer = client.get("/models")
    if answer.status in {404, 405, 501}:
        if asked:
            return Served(asked, warnings=("the server lists no models; the name is taken on your word",))
        raise InputError("the server lists no models", hint="name the model with --model-name")
    served = _names(_object(client, answer), "data", "id")
    model = _choose(asked, served, strict=False)
    if not asked or asked in served:
        return Served(model)
    _refuse_unknown(client, name, asked, served)
    return Served(model, warnings=(f"the server does not list {asked!r} among its models",))


def _refuse_unknown(client: HttpClient, name: str, asked: str, served: list[str]) -> None:
    """Refuse a model that the server does not list and does not know: of one token it says so, and no load is sent.

    Some servers answer to names that they do not list: aliases, adapters, any name at all.
    """
    try:
        client.send(dialect(name).request(Ask(prompt="Hi", model=asked, max_tokens=1, stream=False)))
    except Failure as failure:
        if failure.status != 404 and not (failure.status in {400, 422} and _NO_MODEL.search(str(failure))):
            return
        listed = ", ".join(served[:20]) or "none"
        close = get_close_matches(asked, served, n=1) or served[:1]
        raise InputError(
            f"the server does not serve {asked!r}",
            got=str(failure),
            expected=f"the server serves: {listed}",
            hint=f"--model-name {close[0]}" if close else "load a model into it first",
        ) from None


def _ollama(client: HttpClient, asked: str) -> Served:
    entries = _object(client, client.get("/api/tags"))
    served = _names(entries, "models", "name")
    tagged = asked if ":" in asked.rpartition("/")[2] or not asked else f"{asked}:latest"
    try:
        model = _choose(tagged, served, strict=True)
    except InputError as error:
        if asked in served:
            model = asked
        else:
            error.hint = error.hint or f"fetch it first: ollama pull {asked}"
            raise
    digest = next((e.get("digest") for e in entries["models"] if e.get("name") == model), None)
    return Served(model, revision=digest if isinstance(digest, str) else None)


def _kserve(client: HttpClient, asked: str) -> Served:
    if not asked:
        raise InputError("the URL names no model", hint="give …/v2/models/NAME, or --model-name NAME")
    fields = _object(client, client.get(f"/v2/models/{quote(asked, safe='')}"))
    inputs = fields.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        return Served(asked, warnings=("the server does not describe the model's input",))
    if len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise InputError(
            f"the model {asked!r} takes {len(inputs)} inputs, one was expected",
            got=", ".join(str(one.get("name")) for one in inputs if isinstance(one, dict)),
        )
    name = inputs[0].get("name")
    return Served(
        asked,
        revision=_last_version(fields),
        input_name=name if isinstance(name, str) else None,
        input_shape=_sizes(inputs[0].get("shape"), skip=1),
    )


def _predict(client: HttpClient, asked: str) -> Served:
    """Any answer to a GET shows that the server is there; some describe the model in it."""
    answer = client.get("")
    if answer.status in {401, 403} or 300 <= answer.status < 400 or answer.status >= 500:
        raise client.refusal(answer)
    try:
        fields = load_object(answer.body) if answer.status == 200 else {}
    except BadPayload:
        fields = {}
    model, output = fields.get("model"), fields.get("output")
    return Served(
        asked or (model if isinstance(model, str) else ""),
        labels=stated_labels(fields),
        input_shape=_sizes(fields.get("input_shape"), skip=0),
        output=Output(output) if output in {"logits", "probabilities"} else Output.UNKNOWN,
    )


def _triton(client: HttpClient, asked: str) -> Served:
    if not asked:
        raise InputError(
            "the URL names no model", hint="give …/v2/models/NAME/generate, or --model-name NAME"
        )
    fields = _object(client, client.get(f"/v2/models/{quote(asked, safe='')}"))
    return Served(asked, revision=_last_version(fields))


def _tgi(client: HttpClient, asked: str) -> Served:
    answer = client.get("/info")
    if answer.status in {404, 405, 501}:
        return Served(asked, warnings=("the server does not say which model it serves",))
    fields = _object(client, answer)
    model, revision = fields.get("model_id"), fields.get("model_sha")
    served = model if isinstance(model, str) else ""
    other = asked and served and asked != served
    return Served(
        asked or served,
        revision=revision if isinstance(revision, str) else None,
        warnings=(f"the server says that it serves {served!r}, not {asked!r}",) if other else (),
    )


def _template(client: HttpClient, asked: str) -> Served:
    """Any answer to a GET shows that the server is there; what the template's API is, it cannot say."""
    answer = client.get("")
    if answer.status in {401, 403} or 300 <= answer.status < 400:
        raise client.refusal(answer)
    return Served(asked)


_PROBES: dict[str, Callable[[HttpClient, str], Served]] = {
    "openai-chat": partial(_openai, "openai-chat"),
    "openai-completions": partial(_openai, "openai-completions"),
    "openai-responses": partial(_openai, "openai-responses"),
    "openai-embeddings": partial(_openai, "openai-embeddings"),
    "ollama-generate": _ollama,
    "ollama-chat": _ollama,
    "ollama-embed": _ollama,
    "triton-generate": _triton,
    "tgi": _tgi,
    "kserve-v2": _kserve,
    "predict": _predict,
    TEMPLATE: _template,
}


def _last_version(fields: dict[str, Any]) -> str | None:
    versions = fields.get("versions")
    return str(versions[-1]) if isinstance(versions, list) and versions else None


def stated_labels(fields: dict[str, Any]) -> tuple[str, ...] | None:
    """The class names in a reply or a description, if they are there and differ from each other."""
    labels = fields.get("labels")
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        return None
    return tuple(labels) if len(set(labels)) == len(labels) else None


def _choose(asked: str, served: list[str], *, strict: bool) -> str:
    listed = ", ".join(served[:20]) or "none"
    if not asked:
        if len(served) == 1:
            return served[0]
        raise InputError(
            "the server serves several models" if served else "the server serves no model",
            got=listed,
            hint="name one of them with --model-name" if served else "load a model into it first",
        )
    if strict and asked not in served:
        close = get_close_matches(asked, served, n=1)
        raise InputError(
            f"the server does not serve {asked!r}",
            got=listed,
            hint=f"did you mean {close[0]!r}?" if close else None,
        )
    return asked


def _object(client: HttpClient, answer: Answer) -> dict[str, Any]:
    if answer.status != 200:
        raise client.refusal(answer)
    try:
        return load_object(answer.body)
    except BadPayload as error:
        raise Failure("protocol", str(error)) from None


def _names(fields: dict[str, Any], key: str, name: str) -> list[str]:
    entries = fields.get(key)
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get(name), str) for entry in entries
    ):
        raise Failure("protocol", f"the list of models has no {key!r} with {name!r}")
    return [entry[name] for entry in entries]


def _sizes(shape: Any, *, skip: int) -> tuple[int, ...] | None:
    if not isinstance(shape, list) or len(shape) <= skip:
        return None
    sizes = shape[skip:]
    return tuple(sizes) if all(type(size) is int and size > 0 for size in sizes) else None
