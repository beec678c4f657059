"""Jobs on PAI-DLC, through Alibaba's own SDK.

Credentials: ``ALIBABA_CLOUD_ACCESS_KEY_ID``, ``ALIBABA_CLOUD_ACCESS_KEY_SECRET`` and ``ALIBABA_CLOUD_SECURITY_TOKEN``,
or else whatever the SDK's own chain finds (OIDC, a profile of the CLI, the instance's role). Region: the spec's, or
``ALIBABA_CLOUD_REGION_ID``. Endpoint: the region's, or ``HEXGATE_PAI_DLC_ENDPOINT``, such as one in a VPC.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, TypeVar

from hexgate.errors import InputError, MissingExtra, PlatformFailed
from hexgate.platforms.bailian_body import PLATFORM, RUN_TAG, create_job_body
from hexgate.platforms.base import JobState, Status
from hexgate.platforms.cloud_client import endpoint_parts, hush, without_secrets
from hexgate.platforms.spec import JobSpec
from hexgate.stores.retry import with_retries

__all__ = ["STATES", "BailianDriver"]

_T = TypeVar("_T")

STATES = {
    "Creating": JobState.PENDING,
    "Queuing": JobState.PENDING,
    "Bidding": JobState.PENDING,
    "EnvPreparing": JobState.PENDING,
    "SanityChecking": JobState.PENDING,
    "Running": JobState.RUNNING,
    "Restarting": JobState.RUNNING,
    "Stopping": JobState.RUNNING,
    "SucceededReserving": JobState.SUCCEEDED,
    "Succeeded": JobState.SUCCEEDED,
    "FailedReserving": JobState.FAILED,
    "Failed": JobState.FAILED,
    "Stopped": JobState.CANCELLED,
}
"""Every state that the SDK names, in our words."""

_SECRETS = ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN")
_KEYS = "set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET"
# These say that the caller or the call is wrong, and not that there is no such job.
_OTHER_NOT_FOUND = (
    "InvalidAccessKeyId",
    "InvalidSecurityToken",
    "InvalidAction",
    "InvalidVersion",
    "InvalidApi",
)
_CONNECT_TIMEOUT_MS = 10_000
_READ_TIMEOUT_MS = 60_000


class BailianDriver:
    """Carries jobs on PAI-DLC."""

    def __init__(self, spec: JobSpec | None) -> None:
        try:
            from alibabacloud_pai_dlc20201203 import models
        except ImportError:
            raise MissingExtra("alibaba", "carrying jobs on PAI-DLC") from None
        self._models: Any = models
        workspace = None if spec is None else spec.block(PLATFORM).get("workspace_id")
        self._workspace = None if workspace is None else str(workspace)
        self._client = _client(None if spec is None else spec.block(PLATFORM).get("region"))

    def find(self, run_id: str) -> str | None:
        """See `Driver.find`. Looks for the run in the name, and then for its tag."""
        return self._call("ListJobs", lambda: self._find(run_id), run_id)

    def submit(self, spec: JobSpec) -> str:
        """See `Driver.submit`. An answer that is lost is looked for before the job is created again."""
        body = self._models.CreateJobRequest().from_map(create_job_body(spec))
        run_id = spec.run_id or ""
        asked = False

        def create() -> str:
            nonlocal asked
            if asked and (found := self._find(run_id)) is not None:
                return found
            asked = True
            return str(self._client.create_job(body).body.job_id)

        return self._call("CreateJob", create, spec.name)

    def status(self, native_id: str) -> Status:
        """See `Driver.status`."""
        job = self._get(native_id)
        if job is None:
            return Status(JobState.UNKNOWN, "lost", "PAI-DLC knows no such job")
        native = str(job.status)
        reason = ": ".join(str(part) for part in (job.reason_code, job.reason_message) if part) or None
        return Status(STATES.get(native, JobState.UNKNOWN), native, reason)

    def logs(self, native_id: str) -> Iterator[str]:
        """See `Driver.logs`. The last 2000 lines of each pod, which is what GetPodLogs gives."""
        job = self._get(native_id)
        if job is None:
            raise PlatformFailed("PAI-DLC knows no such job, so it has no logs of it", where=native_id)
        pods = [pod for pod in job.pods or () if pod.pod_id]
        for pod in pods:
            lines = self._call("GetPodLogs", partial(self._logs, native_id, pod), native_id)
            for line in lines:
                yield f"{pod.pod_id}: {line}" if len(pods) > 1 else line

    def cancel(self, native_id: str) -> None:
        """See `Driver.cancel`."""
        if not self.status(native_id).state.ended:
            self._call("StopJob", lambda: self._client.stop_job(native_id), native_id)

    def _find(self, run_id: str) -> str | None:
        made = datetime.strptime(run_id.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        request = self._models.ListJobsRequest(
            workspace_id=self._workspace,
            display_name=run_id,
            # Without a start PAI-DLC lists the last seven days only.
            start_time=f"{made - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
            sort_by="GmtCreateTime",
            order="asc",
            page_size=100,
        )
        for job in self._client.list_jobs(request).body.jobs or ():
            tags = (job.settings and job.settings.tags) or {}
            if str(job.display_name).endswith(f"-{run_id}") or tags.get(RUN_TAG) == run_id:
                return str(job.job_id)
        return None

    def _get(self, native_id: str) -> Any:
        """The job, or None where PAI-DLC knows none."""

        def get() -> Any:
            try:
                return self._client.get_job(native_id, self._models.GetJobRequest(need_detail=True)).body
            except Exception as error:
                if _is_not_found(error):
                    return None
                raise

        return self._call("GetJob", get, native_id)

    def _logs(self, native_id: str, pod: Any) -> list[str]:
        request = self._models.GetPodLogsRequest(pod_uid=pod.pod_uid)
        try:
            return [
                str(line)
                for line in self._client.get_pod_logs(native_id, pod.pod_id, request).body.logs or ()
            ]
        except Exception as error:
            # A pod that has not begun has no logs.
            if _is_not_found(error):
                return []
            raise

    @staticmethod
    def _call(action: str, call: Callable[[], _T], where: str) -> _T:
        try:
            return with_retries(call, transient=_is_transient)
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises, with what it says
            raise _failed(action, where, error) from None


def _client(region: str | None) -> Any:
    from alibabacloud_pai_dlc20201203.client import Client
    from alibabacloud_tea_openapi.utils_models import Config

    region = region or os.environ.get("ALIBABA_CLOUD_REGION_ID")
    address = os.environ.get("HEXGATE_PAI_DLC_ENDPOINT")
    if not (region or address):
        raise InputError(
            "PAI-DLC needs a region",
            hint="set ALIBABA_CLOUD_REGION_ID, such as cn-hangzhou, or give region in the job spec's platform.bailian",
        )
    config = Config(
        region_id=region,
        connect_timeout=_CONNECT_TIMEOUT_MS,
        read_timeout=_READ_TIMEOUT_MS,
    )
    if address:
        config.protocol, config.endpoint = endpoint_parts("HEXGATE_PAI_DLC_ENDPOINT", address)
    key_id, secret, token = (os.environ.get(name) for name in _SECRETS)
    if key_id and secret:
        config.access_key_id, config.access_key_secret, config.security_token = key_id, secret, token
    else:
        config.credential = _chain()
    return Client(config)


def _chain() -> Any:
    from alibabacloud_credentials.client import Client
    from alibabacloud_credentials.exceptions import CredentialException

    hush("credentials")
    chain = Client()
    try:
        chain.get_credential()
    except CredentialException:
        raise InputError(
            "no credentials for Alibaba Cloud",
            hint=f"{_KEYS}, or use OIDC, a profile of the aliyun program, or an instance's role",
        ) from None
    return chain


def _is_transient(error: Exception) -> bool:
    from darabonba.exceptions import RetryError

    inner = getattr(error, "inner_exception", error)
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return status == 429 or status >= 500 or str(getattr(error, "code", "")).startswith("Throttling")
    # RuntimeError is the SDK's word for an answer that is no JSON, as a gateway on the way gives it.
    return isinstance(inner, (RetryError, OSError, RuntimeError))


def _is_not_found(error: Exception) -> bool:
    code = str(getattr(error, "code", ""))
    status = getattr(error, "status_code", None)
    return (
        isinstance(status, int)
        and 400 <= status < 500
        and (status == 404 or code.endswith(("NotFound", "NotExist")))
        and not code.startswith(_OTHER_NOT_FOUND)
    )


def _failed(action: str, where: str, error: Exception) -> PlatformFailed:
    status = getattr(error, "status_code", None)
    code = getattr(error, "code", None)
    message = getattr(error, "message", None) or error
    got = " ".join(str(part) for part in (status, code, message) if part)
    whose = status in (401, 403) or str(code).startswith(("InvalidAccessKey", "InvalidSecurityToken"))
    return PlatformFailed(
        f"PAI-DLC did not carry out {action}",
        where=where,
        got=without_secrets(got, _SECRETS),
        hint=f"{_KEYS} of somebody who may do this in the workspace" if whose else None,
    )
