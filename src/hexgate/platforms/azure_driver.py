"""Carries jobs on Azure ML through its Python SDK, azure-ai-ml.

Who asks is decided by `DefaultAzureCredential`: workload identity or OIDC in CI, a managed identity in Azure, or
``az login``. Throttled and failed calls are tried again by the SDK, which keeps to the service's Retry-After; nothing
here tries on top of it.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from hexgate.errors import InputError, MissingExtra, PlatformFailed
from hexgate.platforms.azure_check import quiet
from hexgate.platforms.azure_native import command_job, job_name, pipeline_job
from hexgate.platforms.base import JobState, Status
from hexgate.platforms.cloud_client import hush, without_secrets

if TYPE_CHECKING:
    from hexgate.platforms.spec import JobSpec

__all__ = ["STATES", "AzureDriver", "open_client"]

_T = TypeVar("_T")

STATES: dict[str, JobState] = {
    "NotStarted": JobState.PENDING,
    "Queued": JobState.PENDING,
    "Preparing": JobState.PENDING,
    "Provisioning": JobState.PENDING,
    "Starting": JobState.PENDING,
    "Scheduled": JobState.PENDING,
    "Running": JobState.RUNNING,
    "Finalizing": JobState.RUNNING,
    "CancelRequested": JobState.RUNNING,
    "Completed": JobState.SUCCEEDED,
    "Failed": JobState.FAILED,
    "NotResponding": JobState.UNKNOWN,
    "Canceled": JobState.CANCELLED,
}
"""What Azure ML says of a job, in our words. Everything else is UNKNOWN."""

_WHERE = {
    "subscription": "AZURE_SUBSCRIPTION_ID",
    "resource_group": "AZURE_RESOURCE_GROUP",
    "workspace": "AZURE_ML_WORKSPACE",
}
_SECRETS = ("AZURE_CLIENT_SECRET", "AZURE_PASSWORD", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "IDENTITY_HEADER")
_SIGNED = re.compile(r"(https?://[^\s?'\"]+)\?\S+|\b(Bearer|SharedKey) \S+|\beyJ[\w.-]+")
_ROLE = "the identity needs the role AzureML Data Scientist on the workspace"
_RETRIES = {"retry_total": 4, "retry_status": 4, "retry_backoff_factor": 0.5, "retry_backoff_max": 20}


def open_client(spec: JobSpec | None) -> Any:
    """The SDK's client of one workspace, from the spec's block or else the environment.

    Raises:
        MissingExtra: if azure-ai-ml or azure-identity is not installed.
        InputError: with every name that is missing.
    """
    block = {} if spec is None else spec.block("azure")
    place = {key: block.get(key) or os.environ.get(name) for key, name in _WHERE.items()}
    missing = [_WHERE[key] for key, value in place.items() if not value]
    if missing:
        raise InputError(
            "nothing says which Azure ML workspace",
            where="environment",
            got=f"no {', no '.join(missing)}",
            hint="set them, or give subscription, resource_group and workspace in the job spec's platform.azure",
        )
    try:
        with quiet():
            from azure.ai.ml import MLClient
            from azure.identity import DefaultAzureCredential
    except ImportError:
        raise MissingExtra("azure", "carrying jobs on Azure ML") from None
    hush("azure.identity")
    return _asked(
        "opening the workspace",
        lambda: MLClient(
            DefaultAzureCredential(),
            place["subscription"],
            place["resource_group"],
            place["workspace"],
            enable_telemetry=False,
            show_progress=False,
            **_RETRIES,
        ),
    )


@dataclass(frozen=True)
class AzureDriver:
    """Carries jobs in one workspace. A job's native id is its name, which is made of the run id."""

    client: Any
    """The SDK's MLClient."""

    @classmethod
    def open(cls, spec: JobSpec | None) -> AzureDriver:
        """The driver for the workspace of a spec, or of the environment.

        Raises:
            MissingExtra: if the SDK is not installed.
            InputError: if nothing says which workspace.
        """
        return cls(open_client(spec))

    def find(self, run_id: str) -> str | None:
        """The name of the run's job, if the workspace has it.

        Raises:
            PlatformFailed: if Azure ML does not answer.
        """
        name = job_name(run_id)
        return None if self._job(name) is None else name

    def submit(self, spec: JobSpec) -> str:
        """Create the job. If the answer is lost, or says that there is such a job, the job is looked up by its name.

        Raises:
            PlatformFailed: if Azure ML refuses it or does not answer.
        """
        run_id = str(spec.run_id)
        with quiet():
            from azure.ai.ml import load_job

            job = load_job(io.StringIO(pipeline_job(spec) if spec.fan_out else command_job(spec)))
            try:
                _asked("submitting the job", lambda: self.client.jobs.create_or_update(job))
            except PlatformFailed as failed:
                try:
                    found = self.find(run_id)
                except PlatformFailed:
                    found = None
                if found is None:
                    raise failed from None
        return job_name(run_id)

    def status(self, native_id: str) -> Status:
        """The job's state; UNKNOWN and ``lost`` if the workspace has no such job.

        Raises:
            PlatformFailed: if Azure ML does not answer.
        """
        job = self._job(native_id)
        if job is None:
            return Status(JobState.UNKNOWN, "lost", "the workspace has no job of that name")
        native = str(getattr(job.status, "value", job.status))
        return Status(STATES.get(native, JobState.UNKNOWN), native)

    def logs(self, native_id: str) -> Iterator[str]:
        """What the job, or each step of the pipeline, has printed, from the run history.

        Raises:
            PlatformFailed: if Azure ML does not answer; it names the command that streams the logs.
        """
        hint = f"try: az ml job stream -n {native_id}"
        job = self._job(native_id)
        if job is None:
            raise PlatformFailed("the workspace has no job of that name", where=native_id)
        runs = {native_id: ""}
        if job.type == "pipeline":
            children = _asked(
                "listing the steps", lambda: list(self.client.jobs.list(parent_job_name=native_id)), hint
            )
            runs = {
                child.name: str(child.display_name or child.name) for child in children if child is not None
            }
        for run, step in runs.items():
            files = _asked("reading the run history", partial(self._log_files, run), hint)
            for name, url in sorted(files.items()):
                text = _asked("reading a log", partial(self._text, url), hint)
                shown = " ".join(part for part in (step, name if len(files) > 1 else "") if part)
                yield from (f"{shown}: {line}" if shown else line for line in text.splitlines())

    def cancel(self, native_id: str) -> None:
        """Ask for the job's end. It goes on for a moment, and one that has ended stays as it is.

        Raises:
            PlatformFailed: if Azure ML does not answer, or has no such job.
        """
        try:
            _asked(
                "cancelling the job",
                # Asking twice is asking once, so this POST may be tried again.
                lambda: self.client.jobs.begin_cancel(
                    native_id, polling=False, retry_on_methods=frozenset({"POST"})
                ),
            )
        except PlatformFailed:
            if not self.status(native_id).state.ended:
                raise

    def _job(self, name: str) -> Any:
        from azure.core.exceptions import ResourceNotFoundError

        def get() -> Any:
            try:
                return self.client.jobs.get(name)
            except ResourceNotFoundError:
                return None

        return _asked("looking at the job", get)

    def _log_files(self, run: str) -> dict[str, str]:
        # The SDK has no public call that gives a job's logs without waiting for its end.
        details = self.client.jobs._runs_operations.get_run_details(run)  # noqa: SLF001
        files = details.log_files or {}
        return {name: url for name, url in files.items() if name.startswith("user_logs/")}

    def _text(self, url: str) -> str:
        from azure.ai.ml._utils.utils import download_text_from_url

        return str(download_text_from_url(url, self.client.jobs._requests_pipeline))  # noqa: SLF001


def _asked(what: str, call: Callable[[], _T], hint: str | None = None) -> _T:
    """What a call to Azure ML gives; its failure as one of ours, without a token, a key or a signed address."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    try:
        with quiet():
            return call()
    except ClientAuthenticationError as error:
        raise PlatformFailed(
            f"{what}: nobody is signed in to Azure",
            got=f"HTTP {error.status_code}" if error.status_code else "no credential",
            hint="run az login, or give the job of CI a federated identity (OIDC)",
        ) from None
    except HttpResponseError as error:
        told = getattr(error.error, "message", None) or error.reason or "no reason"
        code = getattr(error.error, "code", None)
        raise PlatformFailed(
            f"{what}: Azure ML refused ({_clean(told)})",
            got=" ".join(filter(None, (f"HTTP {error.status_code}", code))),
            hint=_ROLE if error.status_code == 403 else hint,
        ) from None
    except AzureError as error:
        raise PlatformFailed(f"{what}: {_clean(str(error))}", hint=hint) from None
    except (KeyError, ValueError) as error:
        # The SDK takes some answers apart before it looks whether they are errors.
        raise PlatformFailed(
            f"{what}: Azure ML gave an answer that cannot be read", got=type(error).__name__, hint=hint
        ) from None


def _clean(text: str) -> str:
    """A message without what a token or a signed address in it would give away."""
    return without_secrets(
        _SIGNED.sub(lambda found: f"{found[1]}?***" if found[1] else "***", text), _SECRETS
    )
