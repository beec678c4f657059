"""Whether a job is right, in four layers. Each is reported apart, and one that did not look is never called right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexgate.errors import InputError, JobSpecError, MissingExtra
from hexgate.platforms.base import Checked, Finding, Layer, Native, Platform
from hexgate.platforms.spec import JobSpec, parse_spec
from hexgate.platforms.spec_yaml import plain_yaml

__all__ = ["Report", "check_job", "check_native", "check_spec", "is_spec", "read_files"]

_JOB_SCHEMA = "hexgate.job/"
_SAYS_SPEC = re.compile(r"""^\W*schema\W+hexgate\.job/""", re.MULTILINE)


@dataclass(frozen=True)
class Report:
    """What the four layers found, in their order."""

    layers: tuple[Checked, ...]
    """One for each layer."""
    spec: JobSpec | None = None
    """The job spec, where there is one without mistakes."""

    @property
    def mistakes(self) -> list[str]:
        """All mistakes, each with its path."""
        return [f"{one.path}: {one.problem}" for layer in self.layers for one in layer.findings]

    def to_json(self) -> list[dict[str, Any]]:
        """The layers, for a machine: ``state`` is ok, mistakes or not_looked."""
        return [
            {
                "layer": one.layer.value,
                "state": "mistakes" if one.findings else "ok" if one.skipped is None else "not_looked",
                "why": one.skipped,
                "mistakes": [{"path": each.path, "problem": each.problem} for each in one.findings],
            }
            for one in self.layers
        ]


def read_files(paths: Sequence[Path]) -> dict[str, str]:
    """The texts of files, by name.

    Raises:
        InputError: if one cannot be read, or two have the same name.
    """
    found: dict[str, str] = {}
    for path in paths:
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise InputError(f"the file cannot be read ({error.strerror})", where=str(path)) from None
        except UnicodeDecodeError:
            raise InputError("the file is not UTF-8", where=str(path)) from None
        if path.name in found:
            raise InputError("two files of one name", got=path.name)
        found[path.name] = text
    return found


def is_spec(text: str) -> bool:
    """Whether a file says that it is a job spec of ours, even if it cannot be read. Any other file is a native one."""
    try:
        value = plain_yaml(text)
    except ValueError:
        return _SAYS_SPEC.search(text) is not None
    schema = value.get("schema") if isinstance(value, Mapping) else None
    return isinstance(schema, str) and schema.startswith(_JOB_SCHEMA)


def check_spec(name: str, text: str, platform: Platform, *, ask_server: bool = False) -> Report:
    """Hold a job spec against the four layers: the spec itself, and what it renders to.

    Args:
        name: the file's name, for the paths of mistakes.
        text: its content.
        platform: the platform that it is for.
        ask_server: whether to ask the platform itself.
    """
    try:
        spec = parse_spec(plain_yaml(text), name)
    except ValueError as error:
        return _stopped((Finding(name, f"not the YAML of a job spec ({error})"),))
    except JobSpecError as error:
        return _stopped(_of_mistakes(name, error.mistakes))
    return check_job(name, spec, platform, ask_server=ask_server)


def check_job(name: str, spec: JobSpec, platform: Platform, *, ask_server: bool = False) -> Report:
    """The same, of a spec that was read."""
    fine = Checked(Layer.SPEC)
    rules = [Finding(f"{name}: {one.path}", one.problem) for one in platform.spec_findings(spec)]
    if spec.fan_out and not platform.fans_out:
        rules.append(Finding(f"{name}: $.fan_out", f"{platform.name} has no steps, expected false"))
    if rules:
        why = "the spec does not fit the platform"
        return Report(
            (fine, _not_looked(Layer.VENDOR, why), _rules(rules), _not_looked(Layer.SERVER, why)), spec
        )
    try:
        files = platform.render(spec)
    except JobSpecError as error:
        why = "the spec cannot be rendered"
        found = _of_mistakes(name, error.mistakes)
        return Report(
            (fine, _not_looked(Layer.VENDOR, why), _rules(found), _not_looked(Layer.SERVER, why)), spec
        )
    return Report((fine, *_native_layers(files, platform, spec, ask_server=ask_server)), spec)


def check_native(files: Native, platform: Platform, *, ask_server: bool = False) -> Report:
    """Hold native files, as rendered or as a user has changed them, against the layers that they have."""
    spec = _not_looked(Layer.SPEC, "a native file has no job spec")
    return Report((spec, *_native_layers(files, platform, None, ask_server=ask_server)))


def _native_layers(
    files: Native, platform: Platform, spec: JobSpec | None, *, ask_server: bool
) -> tuple[Checked, Checked, Checked]:
    try:
        vendor = platform.check(files)
    except MissingExtra as error:
        vendor = _not_looked(Layer.VENDOR, str(error))
    rules = _rules(platform.native_findings(files))
    if not ask_server:
        server = _not_looked(Layer.SERVER, "--dry-run asks the platform")
    elif vendor.findings or rules.findings:
        server = _not_looked(Layer.SERVER, "the layers before it found mistakes")
    else:
        try:
            server = platform.dry_run(files, spec)
        except (InputError, MissingExtra) as error:
            server = _not_looked(Layer.SERVER, str(error))
    return vendor, rules, server


def _rules(findings: Sequence[Finding]) -> Checked:
    return Checked(Layer.RULES, tuple(findings))


def _not_looked(layer: Layer, why: str) -> Checked:
    return Checked(layer, skipped=why)


def _stopped(findings: tuple[Finding, ...]) -> Report:
    why = "the spec has mistakes"
    others = (Layer.VENDOR, Layer.RULES, Layer.SERVER)
    return Report((Checked(Layer.SPEC, findings), *(_not_looked(layer, why) for layer in others)))


def _of_mistakes(name: str, mistakes: Sequence[str]) -> tuple[Finding, ...]:
    split = (mistake.partition(": ") for mistake in mistakes)
    return tuple(Finding(f"{name}: {path}", problem or path) for path, _, problem in split)
