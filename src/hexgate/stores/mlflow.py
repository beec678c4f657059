"""Log a verdict, its measures and its reports to an MLflow tracking server. Needs the extra `mlflow`."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hexgate.contract.schema import measures
from hexgate.errors import InputError, MissingExtra, StoreFailed
from hexgate.stores.redaction import shown

__all__ = ["checked_server", "log_verdict"]

_LONGEST = 5000
"""MLflow cuts or refuses longer tags."""


def checked_server(uri: str) -> str:
    """The address of a tracking server as it is.

    Raises:
        InputError: if it is none, or holds credentials.
    """
    try:
        parts = urlsplit(uri)
        web = parts.scheme in {"http", "https"}
        secret = "@" in parts.netloc or (web and ("?" in uri or "#" in uri))
        # Asking for the port is what finds one that is none.
        whole = not web or (bool(parts.hostname) and parts.port != 0)
    except ValueError:
        secret, whole = False, False
    if secret:
        raise InputError(
            "the address of the tracking server holds credentials",
            where="--mlflow",
            hint="put them into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
        )
    if not whole:
        raise InputError(
            "not the address of a tracking server", where="--mlflow", expected="http(s)://host:port"
        )
    return uri


def log_verdict(
    uri: str,
    experiment: str,
    verdict: Mapping[str, Any],
    artifacts: Sequence[tuple[str, Mapping[str, Any]]],
    reports: Sequence[Path],
    *,
    refused: Collection[str] = (),
) -> str:
    """Log one verdict as one MLflow run, which is finished only once everything is in it.

    Metrics are ``<indicator>.<measure>`` of complete artifacts, each the only one of its indicator and not refused;
    what was not measured has no metric. The verdict, each rule's verdict, the policy's digest and the subject's are
    tags. Reports and artifacts go under ``hexgate/``; artifacts as they were judged, whatever is in their files now.

    Args:
        uri: the tracking server, ``http(s)://host:port``, or a folder or database URI that MLflow takes.
        experiment: name of the experiment; made where there is none.
        verdict: the gate's verdict, ``hexgate/verdict/1.x``.
        artifacts: the artifacts it was taken on, each with the name of its file.
        reports: reports to keep with it.
        refused: ids of the artifacts whose figures must not be taken for good.

    Returns:
        The id of the MLflow run.

    Raises:
        MissingExtra: if MLflow's client is not installed.
        InputError: if the URI is none, or holds credentials.
        StoreFailed: if the server refuses something or does not answer; the run then stands there as failed.
    """
    checked_server(uri)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise MissingExtra("mlflow", "logging to MLflow") from None
    # MLflow's own default is seven attempts with doubling waits: minutes before it says that nobody is there.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    run_id: str | None = None
    try:
        client = MlflowClient(tracking_uri=uri)
    except (MlflowException, OSError, ValueError) as error:
        raise InputError(
            f"MLflow takes no such address ({type(error).__name__}: {shown(str(error))})", where="--mlflow"
        ) from None
    try:
        run_id = client.create_run(_experiment(client, experiment), tags=_tags(verdict)).info.run_id
        for name, value in _metrics([data for _, data in artifacts], refused):
            client.log_metric(run_id, name, value)
        for name, data in artifacts:
            content = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
            client.log_text(run_id, f"{content}\n", f"hexgate/{name}")
        for path in reports:
            client.log_artifact(run_id, str(path), "hexgate")
        client.set_terminated(run_id, "FINISHED")
    except (MlflowException, OSError, ValueError) as error:
        if run_id is not None:
            _give_up(client, run_id)
        raise StoreFailed(
            f"the verdict could not be logged ({shown(str(error))})",
            where=uri,
            hint="the verdict stands, and its files are kept here",
        ) from None
    return run_id


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(client.create_experiment(name) if found is None else found.experiment_id)


def _tags(verdict: Mapping[str, Any]) -> dict[str, str]:
    subject = verdict.get("subject") or {}
    tags = {
        "hexgate.verdict": verdict["verdict"],
        "hexgate.exit_code": str(verdict["exit_code"]),
        "hexgate.policy": verdict["policy"]["name"],
        "hexgate.policy_sha256": verdict["policy"]["sha256"],
        "hexgate.subject": str(subject.get("name")),
        "hexgate.subject_sha256": str(subject.get("sha256")),
        **{f"hexgate.rule.{rule['id']}": rule["verdict"] for rule in verdict["rules"]},
    }
    return {name: value[:_LONGEST] for name, value in tags.items()}


def _metrics(artifacts: Sequence[Mapping[str, Any]], refused: Collection[str]) -> list[tuple[str, float]]:
    found = Counter(artifact["indicator"] for artifact in artifacts)
    return [
        (f"{artifact['indicator']}.{measure}", float(artifact[measure]))
        for artifact in artifacts
        if artifact["status"] == "complete"
        and found[artifact["indicator"]] == 1
        and artifact["artifact_id"] not in refused
        for measure in measures(artifact["indicator"])
        if isinstance(artifact.get(measure), (int, float)) and not isinstance(artifact[measure], bool)
    ]


def _give_up(client: Any, run_id: str) -> None:
    """Mark the run as failed, as far as the server still listens: a run without its end is not a result."""
    from mlflow.exceptions import MlflowException

    try:
        client.set_terminated(run_id, "FAILED")
    except (MlflowException, OSError):
        return
