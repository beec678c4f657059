"""A fake of veMLP's OpenAPI (2024-07-01) on loopback: its path, its actions, its errors, the headers of its signature.

It says nothing about the real service. Each job's Command runs on this machine, once for each replica.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from support.shell_pods import PodsJob, ShellPods
from support.vendor_server import Fault, Life, Reply, Seen, VendorServer

NATIVE = {
    "queued": "Queueing",
    "running": "Running",
    "succeeded": "Completed",
    "failed": "Failed",
    "cancelled": "Stopped",
    "strange": "Hibernating",
}
_CODES = {
    Fault.THROTTLED: "FlowLimitExceeded",
    Fault.SERVER_ERROR: "InternalError",
    Fault.UNAVAILABLE: "ServiceUnavailableTemporarily",
}
_VERSION = "2024-07-01"


class FakeVeMlp(VendorServer):
    """See the module.

    Args:
        folder: for what the jobs print.
        paths: path in a container to folder on this machine.
        lives: what becomes of the jobs, in order; the last is that of all further ones.
    """

    def __init__(self, folder: Path, paths: Mapping[str, Path], *lives: Life) -> None:
        super().__init__()
        self.jobs: dict[str, PodsJob] = {}
        self.retried: dict[str, str] = {}
        """A job to the one that the platform made of it as another attempt."""
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
        return _error("", _CODES.get(fault, "InternalError"), f"scripted {fault.name.lower()}")

    def answer(self, request: Seen) -> Reply:
        action = request.query.get("Action", [""])[0]
        if refused := _signature(request, action):
            return refused
        actions = {
            "CreateJob": self._create,
            "ListJobs": self._list,
            "GetJob": self._get,
            "StopJob": self._stop,
        }
        if action not in actions or request.query.get("Version") != [_VERSION] or request.method != "POST":
            return Reply(400, _error(action, "InvalidActionOrVersion", f"{action} is no action"))
        return actions[action](request.json)

    def retry(self, native_id: str, life: Life = Life.SUCCEEDS) -> str:
        """What the platform does where the infrastructure failed: the job goes on under another id."""
        again = self._add(self.jobs[native_id].body, life)
        self.retried[native_id] = again
        return again

    def _create(self, body: Any) -> Reply:
        if not body.get("Name"):
            return Reply(400, _error("CreateJob", "MissingParameter.Name", "Name is missing"))
        if not body["ResourceConfig"]["ResourceQueueId"].startswith("q-2"):
            return Reply(400, _error("CreateJob", "InvalidParameter.Queue", "no such resource queue"))
        if body.get("DryRun"):
            return Reply(200, _result("CreateJob", {"Id": ""}))
        native_id = self._add(body, self._lives[min(len(self.jobs), len(self._lives) - 1)])
        if self.lost_answers:
            self.lost_answers -= 1
            return Reply(500, _error("CreateJob", "InternalError", "the answer got lost"))
        return Reply(200, _result("CreateJob", {"Id": native_id}))

    def _add(self, body: Any, life: Life) -> str:
        native_id = f"t-20261120000000-{len(self.jobs):05d}"
        count = body["ResourceConfig"]["Roles"][0]["Replicas"]
        replicas = [
            {
                "MLP_TASK_ID": native_id,
                "MLP_ROLE": "worker",
                "MLP_ROLE_INDEX": str(index),
                "MLP_WORKER_NUM": str(count),
            }
            for index in range(count)
        ]
        runtime = body["RuntimeConfig"]
        environment = {env["Name"]: env["Value"] for env in runtime["Envs"]}
        work = ShellPods(runtime["Command"], environment, replicas, self._paths, self._folder / native_id)
        self.jobs[native_id] = PodsJob(native_id, body, life, work)
        return native_id

    def _list(self, body: Any) -> Reply:
        items = [
            {"Id": native_id, "Name": job.body["Name"], "InitialId": self._initial(native_id)}
            for native_id, job in self.jobs.items()
            if body.get("NameContains", "") in job.body["Name"]
        ]
        return Reply(200, _result("ListJobs", {"Items": items, "TotalCount": len(items)}))

    def _initial(self, native_id: str) -> str:
        return next((first for first, again in self.retried.items() if again == native_id), "")

    def _get(self, body: Any) -> Reply:
        job = self.jobs.get(body["Id"])
        step = "lost" if job is None else "failed" if body["Id"] in self.retried else job.step()
        if job is None or step == "lost":
            return Reply(404, _error("GetJob", "ResourceNotFound.Job", f"{body['Id']} does not exist"))
        shown = {
            "Id": job.native_id,
            "Name": job.body["Name"],
            "InitialId": self._initial(job.native_id),
            "LatestRetriedId": self.retried.get(job.native_id, ""),
            "Status": {"State": NATIVE[step], "Message": "a worker failed" if step == "failed" else ""},
        }
        return Reply(200, _result("GetJob", shown))

    def _stop(self, body: Any) -> Reply:
        self.jobs[body["Id"]].cancel()
        return Reply(200, _result("StopJob", {"Id": body["Id"]}))


def _signature(request: Seen, action: str) -> Reply | None:
    """Whether the request is signed, and now. The signature itself is not computed."""
    headers = request.headers
    signed = headers.get("authorization", "")
    if not (signed.startswith("HMAC-SHA256 Credential=") and "/ml_platform/request" in signed):
        return Reply(401, _error(action, "MissingAuthenticationToken", "no signature of ml_platform"))
    date = datetime.strptime(headers["x-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    if abs((datetime.now(timezone.utc) - date).total_seconds()) > 900 or "x-content-sha256" not in headers:
        return Reply(401, _error(action, "InvalidTimestamp", "the header x-date"))
    if "Credential=GONE/" in signed:
        return Reply(404, _error(action, "InvalidAccessKey.NotFound", "the access key GONE does not exist"))
    return None


def _result(action: str, result: dict[str, Any]) -> dict[str, Any]:
    metadata = {
        "RequestId": "r-1",
        "Action": action,
        "Version": _VERSION,
        "Service": "ml_platform",
        "Region": "cn-beijing",
    }
    return {"ResponseMetadata": metadata, "Result": result}


def _error(action: str, code: str, message: str) -> dict[str, Any]:
    answer = _result(action, {})
    answer["ResponseMetadata"]["Error"] = {"Code": code, "Message": message}
    return answer
