"""Jobs on veMLP, through Volcano Engine's own SDK.

Credentials: ``VOLC_ACCESSKEY``, ``VOLC_SECRETKEY`` and ``VOLC_SESSIONTOKEN``, or else whatever the SDK's own chain
finds (``VOLCENGINE_ACCESS_KEY`` and its like, OIDC, the instance's role). Region: the spec's, or ``VOLC_REGION``.
Endpoint: the SDK's, or ``HEXGATE_VEMLP_ENDPOINT``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from hexgate.errors import InputError, MissingExtra, PlatformFailed
from hexgate.platforms.base import Finding, JobState, Status, refuse
from hexgate.platforms.cloud_client import endpoint_parts, without_secrets
from hexgate.platforms.spec import JobSpec
from hexgate.platforms.volcano_body import PLATFORM, create_job_body
from hexgate.platforms.volcano_check import build
from hexgate.stores.retry import with_retries

__all__ = ["STATES", "VolcanoDriver", "dry_run"]

_T = TypeVar("_T")

STATES = {
    "Creating": JobState.PENDING,
    "Waiting": JobState.PENDING,
    "Queueing": JobState.PENDING,
    "Deploying": JobState.PENDING,
    "Running": JobState.RUNNING,
    "Stopping": JobState.RUNNING,
    "Completed": JobState.SUCCEEDED,
    "Failed": JobState.FAILED,
    "Stopped": JobState.CANCELLED,
}
"""Every state that the SDK allows, in our words."""

_SECRETS = (
    "VOLC_ACCESSKEY",
    "VOLC_SECRETKEY",
    "VOLC_SESSIONTOKEN",
    "VOLCENGINE_ACCESS_KEY",
    "VOLCENGINE_SECRET_KEY",
)
_KEYS = "set VOLC_ACCESSKEY and VOLC_SECRETKEY"


class VolcanoDriver:
    """Carries jobs on veMLP."""

    def __init__(self, spec: JobSpec | None) -> None:
        self._sdk: Any = _sdk()
        self._api = _api(self._sdk, None if spec is None else spec.block(PLATFORM).get("region"))
        self._project = None if spec is None else spec.block(PLATFORM).get("project_name")

    def find(self, run_id: str) -> str | None:
        """See `Driver.find`. Looks for the run in the name."""
        return self._call("ListJobs", lambda: self._find(run_id), run_id)

    def submit(self, spec: JobSpec) -> str:
        """See `Driver.submit`. An answer that is lost is looked for before the job is created again.

        The variables of `secret_env` are read from this process's environment and sent as private ones, which veMLP
        shows to nobody but the job's creator.
        """
        if "queue_id" not in spec.block(PLATFORM):
            raise InputError(
                "veMLP's API takes a queue by its id only",
                where="$.platform.volcano.queue_name",
                hint="give queue_id, or submit job.yaml with the volc program",
            )
        body = create_job_body(spec)
        body["RuntimeConfig"]["Envs"] += _private(spec.secret_env)
        request = _request(self._sdk, body)
        run_id = spec.run_id or ""
        asked = False

        def create() -> str:
            nonlocal asked
            if asked and (found := self._find(run_id)) is not None:
                return found
            asked = True
            return str(self._api.create_job(request).id)

        return self._call("CreateJob", create, spec.name, hidden=spec.secret_env)

    def status(self, native_id: str) -> Status:
        """See `Driver.status`. A job that the platform tried again goes on under another id, which is followed."""
        job = self._latest(native_id)
        if job is None:
            return Status(JobState.UNKNOWN, "lost", "veMLP knows no such job")
        native = str(job.status.state if job.status else None)
        reason = (
            (job.status and (job.status.message or job.status.diagnose_message)) or job.stop_reason or None
        )
        return Status(STATES.get(native, JobState.UNKNOWN), native, reason)

    def logs(self, native_id: str) -> Iterator[str]:
        """See `Driver.logs`. The API of veMLP gives none.

        Raises:
            PlatformFailed: always; it says which command has them.
        """
        latest = self._latest(native_id)
        raise PlatformFailed(
            "veMLP's API gives no logs",
            where=native_id,
            hint=f"volc ml_task logs --task {native_id if latest is None else latest.id} --instance worker_0",
        )

    def cancel(self, native_id: str) -> None:
        """See `Driver.cancel`."""
        job = self._latest(native_id)
        state = (
            STATES.get(str(job.status.state), JobState.UNKNOWN) if job and job.status else JobState.UNKNOWN
        )
        if not state.ended:
            request = self._sdk.StopJobRequest(id=native_id if job is None else job.id)
            self._call("StopJob", lambda: self._api.stop_job(request), native_id)

    def _find(self, run_id: str) -> str | None:
        request = self._sdk.ListJobsRequest(
            name_contains=run_id,
            project_name=self._project,
            sort_by="CreateTime",
            sort_order="Ascend",
            page_size=100,
        )
        for job in self._api.list_jobs(request).items or ():
            if str(job.name).endswith(f"-{run_id}"):
                return str(job.initial_id or job.id)
        return None

    def _latest(self, native_id: str) -> Any:
        """The last attempt at a job, or None where the platform knows the job no more."""
        seen = [native_id]
        while True:
            job = self._get(seen[-1])
            if job is None or not job.latest_retried_id or job.latest_retried_id == seen[-1]:
                return job
            if job.latest_retried_id in seen:
                circle = ", ".join([*seen, job.latest_retried_id])
                raise PlatformFailed("veMLP names no last attempt at the job", where=native_id, got=circle)
            seen.append(job.latest_retried_id)

    def _get(self, native_id: str) -> Any:
        def get() -> Any:
            try:
                return self._api.get_job(self._sdk.GetJobRequest(id=native_id))
            except Exception as error:
                if _is_not_found(error):
                    return None
                raise

        return self._call("GetJob", get, native_id)

    @staticmethod
    def _call(action: str, call: Callable[[], _T], where: str, hidden: tuple[str, ...] = ()) -> _T:
        try:
            return with_retries(call, transient=_is_transient)
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises, with what it says
            raise _failed(action, where, error, hidden) from None


def dry_run(body: dict[str, Any], region: str | None = None) -> str | None:
    """What the platform has against a CreateJob body, without anything being started; None if nothing.

    Args:
        body: the body.
        region: where it would be created; that of the environment where None.

    Raises:
        MissingExtra: if the SDK is not installed.
        InputError: if the environment does not say where or as whom.
        PlatformFailed: if the platform does not answer.
    """
    sdk = _sdk()
    api = _api(sdk, region)
    request = _request(sdk, {**body, "DryRun": True})
    try:
        with_retries(lambda: api.create_job(request), transient=_is_transient)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises, with what it says
        status = getattr(error, "status", None)
        if isinstance(status, int) and 400 <= status < 500 and status not in (401, 403, 429):
            code, message = _error(error)
            return without_secrets(f"veMLP refuses it: {code} {message}", _SECRETS)
        raise _failed("CreateJob (dry run)", str(body.get("Name")), error) from None
    return None


def _sdk() -> Any:
    try:
        import volcenginesdkmlplatform20240701 as sdk
    except ImportError:
        raise MissingExtra("volcano", "carrying jobs on veMLP") from None
    return sdk


def _api(sdk: Any, region: str | None) -> Any:
    from volcenginesdkcore import ApiClient, Configuration

    configuration = Configuration()
    region = region or os.environ.get("VOLC_REGION")
    if not region:
        raise InputError(
            "veMLP needs a region",
            hint="set VOLC_REGION, such as cn-beijing, or give region in the job spec's platform.volcano",
        )
    configuration.region = region
    if address := os.environ.get("HEXGATE_VEMLP_ENDPOINT"):
        configuration.scheme, configuration.host = endpoint_parts("HEXGATE_VEMLP_ENDPOINT", address)
    # What is worth trying again is tried again here; both together would multiply.
    configuration.auto_retry = False
    configuration.num_max_retries = 0
    key, secret, token = (os.environ.get(name, "") for name in _SECRETS[:3])
    if key and secret:
        configuration.ak, configuration.sk, configuration.session_token = key, secret, token
    else:
        configuration.credential_provider = _chain()
    return sdk.MLPLATFORM20240701Api(ApiClient(configuration))


def _chain() -> Any:
    from volcenginesdkcore.auth.providers.default_provider import DefaultCredentialProvider

    chain = DefaultCredentialProvider()
    try:
        chain.get_credentials()
    except Exception:  # noqa: BLE001 - each provider of the chain has its own
        raise InputError(
            "no credentials for Volcano Engine",
            hint=f"{_KEYS}, or use OIDC, or an instance's role",
        ) from None
    return chain


def _request(sdk: Any, body: dict[str, Any]) -> Any:
    findings: list[Finding] = []
    request = build(sdk, "CreateJobRequest", body, "$", findings)
    refuse("create_job.json", findings)
    return request


def _private(names: tuple[str, ...]) -> list[dict[str, Any]]:
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise InputError(
            "secrets of the job are not in the environment",
            where="$.secret_env",
            got=f"no {', '.join(missing)}",
            hint="set them where you submit; they are sent as private variables and stand in no file",
        )
    return [{"Name": name, "Value": os.environ[name], "IsPrivate": True} for name in names]


def _error(error: Exception) -> tuple[str, str]:
    """Code and message of the vendor's error, as far as the answer holds them."""
    try:
        found = json.loads(getattr(error, "body", None) or "")["ResponseMetadata"]["Error"]
        return str(found.get("Code", "")), str(found.get("Message", ""))
    except (ValueError, KeyError, TypeError):
        return "", str(getattr(error, "reason", None) or type(error).__name__)


def _is_transient(error: Exception) -> bool:
    from urllib3.exceptions import HTTPError

    status = getattr(error, "status", None)
    if isinstance(status, int):
        return status == 429 or status >= 500 or _error(error)[0].startswith("FlowLimitExceeded")
    return isinstance(error, (HTTPError, OSError))


def _is_not_found(error: Exception) -> bool:
    status = getattr(error, "status", None)
    code = _error(error)[0]
    return (
        isinstance(status, int)
        and 400 <= status < 500
        and ("NotFound" in code or "NotExist" in code)
        and (not code.startswith(("InvalidAccessKey", "InvalidAction")))
    )


def _failed(action: str, where: str, error: Exception, hidden: tuple[str, ...] = ()) -> PlatformFailed:
    code, message = _error(error)
    got = " ".join(str(part) for part in (getattr(error, "status", None), code, message) if part)
    whose = getattr(error, "status", None) in (401, 403) or code.startswith("InvalidAccessKey")
    return PlatformFailed(
        f"veMLP did not carry out {action}",
        where=where,
        got=without_secrets(got, (*_SECRETS, *hidden)),
        hint=f"{_KEYS} of somebody who may do this in the project" if whose else None,
    )
