"""Layers VENDOR and SERVER of Kubernetes: the API's own schema, and the cluster's admission."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from hexgate.errors import HexgateError, extra_hint
from hexgate.platforms.base import Checked, Finding, Layer, Native
from hexgate.platforms.kubernetes_client import Cluster, connect, problem_of

__all__ = ["VERSION", "check", "dry_run"]

VERSION = "1.33"
"""Release of Kubernetes whose schema is held against a file: the first where all that a rendered job uses is stable."""


def check(files: Native) -> Checked:
    """Hold native files against the strict schema of Kubernetes `VERSION`: unknown keys and wrong types."""
    try:
        import jsonschema
        from kubernetes_validate import utils
        from referencing import Registry, Resource
    except ImportError:
        return Checked(
            Layer.VENDOR, skipped=f"kubernetes-validate is not installed; {extra_hint('kubernetes')}"
        )
    folder = f"kubernetes-json-schema/v{_release(utils.all_versions())}-local-strict"
    schema = utils.schema_contents(f"{folder}/job-batch-v1.json", VERSION)
    definitions = utils.schema_contents(f"{folder}/_definitions.json", VERSION)
    registry = Resource.from_contents(definitions) @ (Resource.from_contents(schema) @ Registry())
    validator = jsonschema.Draft202012Validator(schema, registry=registry)
    found = []
    for name, text in files.items():
        value, problem = _read(text)
        if problem is not None:
            found.append(Finding(f"{name}: $", problem))
            continue
        errors = sorted(validator.iter_errors(value), key=lambda error: error.json_path)
        found += [Finding(f"{name}: {error.json_path}", error.message[:500]) for error in errors]
    return Checked(Layer.VENDOR, tuple(found))


def dry_run(files: Native) -> Checked:
    """Ask the cluster whether it would take the files, with every check of its own, and create nothing."""
    found: list[Finding] = []
    for name, text in files.items():
        value, problem = _read(text)
        if problem is not None:
            return Checked(Layer.SERVER, skipped=f"{name} cannot be sent: {problem}")
        try:
            cluster = connect(value.get("metadata", {}).get("namespace"))
            found += [Finding(f"{name}: {path}", said) for path, said in _refusals(cluster, value)]
        except HexgateError as error:
            return Checked(Layer.SERVER, skipped=str(error))
    return Checked(Layer.SERVER, tuple(found))


def _refusals(cluster: Cluster, job: dict[str, Any]) -> Iterator[tuple[str, str]]:
    from kubernetes.client import ApiException

    try:
        cluster.ask(
            cluster.batch.create_namespaced_job,
            cluster.namespace,
            job,
            dry_run="All",
            field_validation="Strict",
        )
    except ApiException as error:
        if error.status in {401, 403}:
            yield "$", f"{problem_of(error)}; expected the right to create jobs in {cluster.namespace}"
            return
        try:
            causes = json.loads(error.body)["details"]["causes"]
        except (TypeError, ValueError, KeyError):
            causes = []
        if not causes:
            yield "$", problem_of(error)
        for cause in causes:
            yield f"$.{cause.get('field', '')}".rstrip("."), str(cause.get("message", "refused"))


def _read(text: str) -> tuple[dict[str, Any], str | None]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return {}, f"not YAML ({' '.join(str(error).split())})"
    if not isinstance(value, dict):
        return {}, "expected an object"
    return value, None


def _release(bundled: list[str]) -> str:
    """The patch release of `VERSION` that the package brings, or the newest it has where it is older than that."""
    return next((release for release in bundled if release.startswith(f"{VERSION}.")), bundled[-1])
