"""From a study's file to its spec, with every mistake named by the path of its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from hexgate.errors import HexgateError, InputError
from hexgate.meters.base import METERS
from hexgate.study.edge.gguf_target import gguf_models, is_gguf
from hexgate.study.keys import Keys
from hexgate.study.plain_yaml import read_plain_yaml
from hexgate.study.quality.spec import read_judge, read_quality
from hexgate.study.rating.spec import read_rating
from hexgate.study.spec import (
    Budget,
    Clean,
    Cold,
    Expected,
    LoadSpec,
    ModelSpec,
    Quiet,
    RequestSpec,
    Spec,
    TaskSpec,
)
from hexgate.targets.address import Address, read_address
from hexgate.targets.options import MOST_TIMEOUT_S
from hexgate.wire.registry import dialect

__all__ = ["model_address", "read_spec"]

VERSION = 1
_MOST_RUNS = 10_000
_TARGETS = "an OpenAI-compatible server (http://host:port/v1), ollama://host:port/NAME or gguf:FILE"
_CLEAN = {one.value: one for one in Clean}
_COLD = {one.value: one for one in Cold}
_ON, _OFF = (True, "on"), (False, "off")


class _Named(Protocol):
    @property
    def name(self) -> str: ...


def read_spec(path: Path) -> Spec:
    """The study that a YAML file describes.

    Raises:
        InputError: at the first mistake: the path of its key, what was got, what was expected, and for a key that there
            is none of, the nearest one.
    """
    file = str(path)
    keys = Keys(read_plain_yaml(path), file)
    version = keys.raw("version")
    if version != VERSION:
        keys.refuse(
            "version",
            "this version of a study is not understood",
            got=repr(version),
            expected=str(VERSION),
        )
    tasks = tuple(_task(one) for one in keys.each("tasks"))
    names = [task.name for task in tasks]
    request = _request(keys.below("request"))
    spec = Spec(
        name=keys.text("name"),
        seed=keys.whole("seed", 0, least=0, most=2**63 - 1),
        models=tuple(
            model for one in keys.each("models") for model in _models(one, path.parent, request.num_ctx)
        ),
        tasks=tasks,
        loads=tuple(_load(one) for one in keys.each("loads")),
        request=request,
        runs=keys.whole("runs", 5, least=1, most=_MOST_RUNS),
        warmup=keys.whole("warmup", 3, least=0, most=1000),
        idle_s=keys.number("idle_s", 10.0, most=3600.0),
        quiet=_quiet(keys),
        clean=_CLEAN[keys.choice("clean", _CLEAN, Clean.UNLOAD.value)],
        cold=_COLD[keys.choice("cold", _COLD, Cold.NONCE.value)],
        resources_hz=keys.number("resources_hz", 5.0, above=True, most=100.0),
        power_hz=keys.number_or_none("power_hz", above=True, most=1000.0),
        meters=_meters(keys),
        parallel=keys.whole("parallel", 1, least=1, most=256),
        timeout_s=keys.number("timeout_s", 300.0, above=True, most=MOST_TIMEOUT_S),
        budget=_budget(keys.below("budget")),
        expect=_expected(keys.below("expect")),
        quality=read_quality(keys, names, path.parent),
        judge=read_judge(keys, names),
        rating=read_rating(keys, names),
        folder=path.parent,
    )
    keys.end()
    for name, entries in (("models", spec.models), ("tasks", spec.tasks), ("loads", spec.loads)):
        _refuse_twice(file, name, entries)
    return spec


def model_address(model: ModelSpec) -> Address:
    """Where a model is served, and how it is spoken to; Ollama's chat API where nothing else is said.

    Raises:
        InputError: if the target is no address, or gives no text.
    """
    scheme = model.target.strip().partition("://")[0].lower()
    if scheme not in {"http", "https", "ollama"}:
        raise InputError("not the address of a server", got=model.target, expected=_TARGETS)
    is_ollama = scheme == "ollama"
    address = read_address(model.target, model.dialect or ("ollama-chat" if is_ollama else None))
    if not address.dialect.startswith(("openai-", "ollama-")) or not dialect(address.dialect).generates:
        raise InputError(
            "a study cannot ask this endpoint",
            got=address.dialect,
            expected=_TARGETS,
        )
    return address


def _models(keys: Keys, folder: Path, num_ctx: int | None) -> tuple[ModelSpec, ...]:
    """One entry of the list: a model at a server, or one for each file that its target means."""
    target = keys.text("target")
    name, served = keys.text_or_none("name"), keys.text_or_none("model")
    unnamed = ModelSpec(
        name=name or served or "",
        target=target,
        model=served,
        dialect=keys.text_or_none("dialect"),
        api_key_env=keys.text_or_none("api_key_env"),
        domains=keys.texts("domains"),
        here=keys.flag_or_none("here"),
        parameters=keys.number_or_none("parameters", above=True, most=1e15),
        quantization=keys.text_or_none("quantization"),
        context_length=keys.whole_or_none("context_length", least=1),
        options=keys.plain("options"),
    )
    keys.end()
    if is_gguf(unnamed.target):
        return gguf_models(unnamed, keys, folder, num_ctx)
    try:
        address = model_address(unnamed)
    except HexgateError as error:
        raise InputError(
            error.what, where=keys.where("target"), got=error.got, expected=error.expected, hint=error.hint
        ) from None
    if address.userinfo is not None:
        raise InputError(
            "the target holds credentials",
            where=keys.where("target"),
            hint="take them out, and name the environment variable of the key with api_key_env",
        )
    if unnamed.name:
        return (unnamed,)
    if not address.model:
        keys.refuse("name", "the model has no name", got="nothing", expected="a name for it in the study")
    return (replace(unnamed, name=address.model),)


def _task(keys: Keys) -> TaskSpec:
    task = TaskSpec(
        name=keys.text("name"),
        items=keys.text("items"),
        where=_where(keys),
        prompt=keys.text_or_none("prompt") or "prompt",
        references=keys.text_or_none("references") or "reference",
        system=keys.text_or_none("system"),
        max_tokens=keys.whole_or_none("max_tokens", least=1, most=1_000_000),
    )
    keys.end()
    return task


def _load(keys: Keys) -> LoadSpec:
    load = LoadSpec(
        name=keys.text("name"),
        prompt=keys.text_or_none("prompt"),
        where=_where(keys),
        max_tokens=keys.whole_or_none("max_tokens", least=1, most=1_000_000),
    )
    keys.end()
    return load


def _where(keys: Keys) -> dict[str, str]:
    found = keys.plain("where")
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            keys.refuse(f"where.{name}", "not a value to compare with", got=repr(value), expected="a text")
    return {name: str(value) for name, value in found.items()}


def _request(keys: Keys) -> RequestSpec:
    stated = keys.raw("think")
    if stated is not None and not isinstance(stated, bool) and stated != "default":
        keys.refuse("think", "not a way of thinking", got=repr(stated), expected="true, false or default")
    request = RequestSpec(
        max_tokens=keys.whole("max_tokens", 512, least=1, most=1_000_000),
        temperature=keys.number("temperature", 0.0, most=100.0),
        top_p=keys.number_or_none("top_p", above=True, most=1.0),
        seed=keys.whole("seed", 0, least=0, most=2**31 - 1),
        num_ctx=keys.whole_or_none("num_ctx", least=1, most=100_000_000),
        think=None if stated == "default" else bool(stated),
        stop=keys.texts("stop"),
        options=keys.plain("options"),
    )
    keys.end()
    return request


def _quiet(keys: Keys) -> Quiet | None:
    value = keys.raw("quiet")
    if value in _OFF:
        return None
    if value is None or value in _ON:
        return Quiet()
    inner = keys.inner("quiet", value)
    quiet = Quiet(
        before_s=inner.number("before_s", Quiet.before_s, above=True, most=60.0),
        after_s=inner.number("after_s", Quiet.after_s, above=True, most=60.0),
    )
    inner.end()
    return quiet


def _meters(keys: Keys) -> tuple[str, ...] | None:
    names = keys.texts("meters")
    known = [name for name in METERS if name != "host"]
    for name in names:
        if name not in known:
            expected = "one of " + ", ".join(known)
            keys.refuse("meters", "there is no such energy meter", got=repr(name), expected=expected)
    return names or None


def _budget(keys: Keys) -> Budget:
    budget = Budget(
        max_hours=keys.number_or_none("max_hours", above=True),
        max_disk_gb=keys.number_or_none("max_disk_gb", above=True),
        max_energy_kj=keys.number_or_none("max_energy_kj", above=True),
    )
    keys.end()
    return budget


def _expected(keys: Keys) -> Expected:
    expected = Expected(
        tokens_per_s=keys.number("tokens_per_s", Expected.tokens_per_s, above=True),
        load_s=keys.number("load_s", Expected.load_s),
        power_w=keys.number_or_none("power_w", above=True),
    )
    keys.end()
    return expected


def _refuse_twice(file: str, kind: str, entries: Sequence[_Named]) -> None:
    names: list[Any] = [entry.name for entry in entries]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InputError(
                f"the name {name!r} stands twice", where=f"{file}: {kind}[{place}].name", hint="rename one"
            )
