"""A fake of PAI-DLC's API (2020-12-03) on loopback: its paths, its casing, its errors, the headers of its signature.

It says nothing about the real service. Each job's UserCommand runs on this machine, once for each worker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from support.shell_pods import PodsJob, ShellPods
from support.vendor_server import Fault, Life, Reply, Seen, VendorServer

NATIVE = {
    "queued": "Queuing",
    "running": "Running",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "cancelled": "Stopped",
    "strange": "Hibernating",
}
_CODES = {
    Fault.THROTTLED: "Throttling.User",
    Fault.SERVER_ERROR: "InternalError",
    Fault.UNAVAILABLE: "ServiceUnavailable",
}
_JOB = re.compile(r"^/api/v1/jobs/(?P<id>[a-z0-9]+)(?P<rest>/.*)?$")
_LOGS = re.compile(r"^/pods/(?P<pod>[a-z0-9-]+)/logs$")


class FakePaiDlc(VendorServer):
    """See the module.

    Args:
        folder: for what the jobs print.
        paths: path in a container to folder on this machine.
        lives: what becomes of the jobs, in order; the last is that of all further ones.
    """

    def __init__(self, folder: Path, paths: Mapping[str, Path], *lives: Life) -> None:
        super().__init__()
        self.jobs: dict[str, PodsJob] = {}
        self.lost_answers = 0
        """So many CreateJob calls create their job and then answer with a server's error."""
        self._folder = folder
        self._paths = paths
        self._lives = list(lives) or [Life.SUCCEEDS]

    def close(self) -> None:
        for job in self.jobs.values():
            if job.work is not None:
                job.work.stop()

    def fault_body(self, fault: Fault) -> Any:
        return _error(_CODES.get(fault, "InternalError"), f"scripted {fault.name.lower()}")

    def answer(self, request: Seen) -> Reply:
        if refused := _signature(request):
            return refused
        if request.path == "/api/v1/jobs":
            return self._create(request.json) if request.method == "POST" else self._list(request.query)
        if (at := _JOB.match(request.path)) is None:
            return Reply(404, _error("InvalidAction.NotFound", "Specified api is not found"))
        return self._one(at["id"], at["rest"] or "", request)

    def _create(self, body: Any) -> Reply:
        if not body.get("DisplayName") or not body.get("JobSpecs") or not body.get("UserCommand"):
            return Reply(400, _error("InvalidParameter", "a required parameter is missing"))
        native_id = f"dlc{len(self.jobs) + 1:010d}"
        worker = body["JobSpecs"][0]
        replicas = [
            {
                "RANK": str(index),
                "WORLD_SIZE": str(worker["PodCount"]),
                "MASTER_ADDR": f"{native_id}-master-0",
            }
            for index in range(worker["PodCount"])
        ]
        work = ShellPods(body["UserCommand"], body["Envs"], replicas, self._paths, self._folder / native_id)
        life = self._lives[min(len(self.jobs), len(self._lives) - 1)]
        self.jobs[native_id] = PodsJob(native_id, body, life, work)
        if self.lost_answers:
            self.lost_answers -= 1
            return Reply(500, _error("InternalError", "the answer got lost"))
        return Reply(200, {"JobId": native_id, "RequestId": "r-create"})

    def _list(self, query: Mapping[str, list[str]]) -> Reply:
        part = query.get("DisplayName", [""])[0].lower()
        workspace = query.get("WorkspaceId", [None])[0]
        jobs = [
            {
                "JobId": job.native_id,
                "DisplayName": job.body["DisplayName"],
                "WorkspaceId": job.body["WorkspaceId"],
                "Settings": job.body.get("Settings", {}),
                "Status": "Queuing",
            }
            for job in self.jobs.values()
            if part in job.body["DisplayName"].lower() and workspace in (None, job.body["WorkspaceId"])
        ]
        return Reply(200, {"Jobs": jobs, "TotalCount": len(jobs), "RequestId": "r-list"})

    def _one(self, native_id: str, rest: str, request: Seen) -> Reply:
        job = self.jobs.get(native_id)
        step = "lost" if job is None else job.step() if not rest and request.method == "GET" else "known"
        if job is None or step == "lost":
            return Reply(404, _error("JobNotFound", f"job {native_id} is not found"))
        if rest == "/stop" and request.method == "POST":
            job.cancel()
            return Reply(200, {"JobId": native_id, "RequestId": "r-stop"})
        if logs := _LOGS.match(rest):
            assert isinstance(job.work, ShellPods)
            lines = job.work.printed(int(logs["pod"].rpartition("-")[2]))
            return Reply(
                200, {"JobId": native_id, "PodId": logs["pod"], "Logs": lines, "RequestId": "r-logs"}
            )
        if rest:
            return Reply(404, _error("InvalidAction.NotFound", "Specified api is not found"))
        return Reply(200, _shown(job, step))


def _shown(job: PodsJob, step: str) -> dict[str, Any]:
    failed = step == "failed"
    return {
        "JobId": job.native_id,
        "DisplayName": job.body["DisplayName"],
        "Status": NATIVE[step],
        "ReasonCode": "JobFailed" if failed else "",
        "ReasonMessage": "a worker failed" if failed else "",
        "Pods": [
            {"PodId": f"{job.native_id}-worker-{index}", "PodUid": f"uid-{index}", "Type": "Worker"}
            for index in range(job.body["JobSpecs"][0]["PodCount"])
        ],
        "RequestId": "r-get",
    }


def _signature(request: Seen) -> Reply | None:
    """Whether the request is signed, and now. The signature itself is not computed."""
    headers = request.headers
    if not headers.get("authorization", "").startswith("ACS3-HMAC-SHA256 Credential="):
        return Reply(400, _error("IncompleteSignature", "no ACS3-HMAC-SHA256 in the header authorization"))
    if headers.get("x-acs-version") != "2020-12-03":
        return Reply(404, _error("InvalidVersion", "the header x-acs-version"))
    signed = datetime.strptime(headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    if abs((datetime.now(timezone.utc) - signed).total_seconds()) > 900:
        return Reply(400, _error("InvalidTimeStamp.Expired", "the header x-acs-date"))
    if "Credential=GONE" in headers["authorization"]:
        return Reply(404, _error("InvalidAccessKeyId.NotFound", "Specified access key GONE is not found."))
    return None


def _error(code: str, message: str) -> dict[str, str]:
    return {"Code": code, "Message": message, "RequestId": "r-error"}
