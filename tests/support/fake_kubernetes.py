"""A fake of the Kubernetes API on loopback: as much as the official Python client and kubectl need to carry a Job.

It is no Kubernetes: its admission knows a few rules, there is no scheduler and no kubelet. What is real are the
clients, the HTTP between them and it, and the containers' commands, processes of this machine: one for each index.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.vendor_server import FakeJob, Fault, Life, Reply, Seen, VendorServer, Work

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_JOBS = re.compile(r"/apis/batch/v1/namespaces/([^/]+)/jobs(?:/([^/]+))?")
_PODS = re.compile(r"/api/v1/namespaces/([^/]+)/pods(?:/([^/]+)(/log)?)?")
_CREATED = "2026-11-20T10:15:00Z"
_VERBS = ["create", "delete", "get", "list", "patch", "watch"]
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


@dataclass
class KubeJob(FakeJob):
    """A Job with its pods. Each look at it takes it one step on, until its pods' commands run."""

    works: list[Work] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    def step(self) -> str:
        self.looks += 1
        if self.cancelled:
            return "cancelled"
        if self.looks <= 2 or self.life is Life.STUCK:
            return "queued"
        if self.life in {Life.LOST, Life.STRANGE}:
            return self.life.value
        if self.life is Life.FAILS:
            return "running" if self.looks <= 4 else "failed"
        for work in self.works:
            work.start()
        if any(work.process is not None and work.process.poll() is None for work in self.works):
            return "running"
        codes = [work.finish() for work in self.works]
        return "failed" if any(codes) else "succeeded"

    def cancel(self) -> None:
        self.cancelled = True
        for work in self.works:
            work.stop()


class FakeKubernetes(VendorServer):
    """One namespace's jobs and pods.

    Args:
        claims: the folder of this machine for each claim, by its name.
        secrets: keys and values of each Secret, by its name.
        life: what becomes of jobs.
    """

    def __init__(
        self,
        claims: Mapping[str, Path] | None = None,
        *,
        secrets: Mapping[str, Mapping[str, str]] | None = None,
        life: Life = Life.SUCCEEDS,
    ) -> None:
        super().__init__()
        self.claims = dict(claims or {})
        self.secrets = dict(secrets or {})
        self.life = life
        self.jobs: dict[tuple[str, str], KubeJob] = {}

    def close(self) -> None:
        for job in self.jobs.values():
            job.cancel()

    def kubeconfig(self, folder: Path, namespace: str = "eval") -> Path:
        """A kubeconfig of this server, with the context ``fake``."""
        path = folder / "kubeconfig"
        named = {"cluster": "fake", "user": "fake", "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": f"http://{self.address}"}}],
            "users": [{"name": "fake", "user": {}}],
            "contexts": [{"name": "fake", "context": named}],
            "current-context": "fake",
        }
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    def fault_body(self, fault: Fault) -> Any:
        return _status(fault.value, fault.name, f"scripted {fault.name.lower()}")

    def answer(self, request: Seen) -> Reply:
        if request.path in _DISCOVERY:
            return Reply(body=_DISCOVERY[request.path])
        if jobs := _JOBS.fullmatch(request.path):
            return self._jobs(request, jobs[1], jobs[2])
        if pods := _PODS.fullmatch(request.path):
            return self._pods(request, pods[1], pods[2], log=pods[3] is not None)
        return _refused(404, "NotFound", f"the fake knows no {request.path}")

    def _jobs(self, request: Seen, space: str, name: str | None) -> Reply:
        if name is None and request.method == "POST":
            return self._create(request, space)
        if name is None:
            return self._listed(request, space)
        job = self.jobs.get((space, name))
        if job is None:
            return _refused(404, "NotFound", f'jobs.batch "{name}" not found')
        if request.method == "PATCH":
            _merge(job.body, request.json)
            if job.body["spec"].get("suspend"):
                job.cancel()
            return Reply(body=job.body)
        if request.method == "DELETE":
            del self.jobs[space, name]
            job.cancel()
            return Reply(body=_status(200, "", "") | {"status": "Success"})
        shown = self._shown(job)
        return Reply(body=shown) if shown else _refused(404, "NotFound", f'jobs.batch "{name}" not found')

    def _create(self, request: Seen, space: str) -> Reply:
        body = request.json
        metadata = body["metadata"]
        if "name" not in metadata:
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        causes = list(_admission(body))
        if causes:
            said = "; ".join(f"{cause['field']}: {cause['message']}" for cause in causes)
            return _refused(422, "Invalid", f'Job.batch "{metadata["name"]}" is invalid: {said}', causes)
        key = (space, metadata["name"])
        if key in self.jobs:
            return _refused(409, "AlreadyExists", f'jobs.batch "{metadata["name"]}" already exists')
        uid = str(uuid.uuid4())
        own = {"controller-uid": uid, "batch.kubernetes.io/controller-uid": uid}
        own |= {"job-name": metadata["name"], "batch.kubernetes.io/job-name": metadata["name"]}
        metadata |= {"namespace": space, "uid": uid, "creationTimestamp": _CREATED, "resourceVersion": "1"}
        template = body["spec"]["template"]
        template.setdefault("metadata", {}).setdefault("labels", {}).update(own)
        body["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        body["status"] = {}
        if request.query.get("dryRun") != ["All"]:
            works = [self._work(body, index) for index in range(body["spec"].get("completions", 1))]
            self.jobs[key] = KubeJob(f"{space}/{metadata['name']}", body, self.life, None, works=works)
        return Reply(201, body)

    def _listed(self, request: Seen, space: str) -> Reply:
        labels = _selected(request.query.get("labelSelector"))
        fields = _selected(request.query.get("fieldSelector"))
        found = [
            job
            for (where, name), job in self.jobs.items()
            if where == space
            and labels.items() <= job.body["metadata"].get("labels", {}).items()
            and name == fields.get("metadata.name", name)
        ]
        shown = [one for job in found if (one := self._shown(job))] if fields else [job.body for job in found]
        if request.query.get("watch") in (["1"], ["true"]):
            time.sleep(0.02)
            # One event of the job that is watched, and the stream ends: the client then looks again.
            return Reply(body={"type": "MODIFIED", "object": shown[0]} if shown else None)
        return Reply(body=_list("batch/v1", "Job", shown))

    def _shown(self, job: KubeJob) -> dict[str, Any] | None:
        """The job with its status as of this look; None where it is lost."""
        state = job.step()
        count = job.body["spec"].get("completions", 1)
        if state == "lost":
            return None
        statuses: dict[str, dict[str, Any]] = {
            "queued": {"active": count, "ready": 0},
            "running": {"active": count, "ready": count},
            "succeeded": {"succeeded": count, "conditions": [_condition("Complete", "CompletionsReached")]},
            "failed": {"failed": 1, "conditions": [_condition("Failed", "PodFailurePolicy")]},
            "cancelled": {"conditions": [_condition("Suspended", "JobSuspended")]},
            "strange": {
                "active": 1,
                "ready": 1,
                "conditions": [_condition("Bewildered", "NoDocumentNamesIt")],
            },
        }
        job.body["status"] = statuses[state]
        return dict(job.body)

    def _pods(self, request: Seen, space: str, name: str | None, *, log: bool) -> Reply:
        found = {
            _pod_name(job, index): (job, index)
            for (where, _), job in self.jobs.items()
            if where == space
            for index in range(len(job.works))
        }
        if name is None:
            labels = _selected(request.query.get("labelSelector"))
            pods = [self._pod(job, index) for job, index in found.values()]
            matching = [pod for pod in pods if labels.items() <= pod["metadata"]["labels"].items()]
            return Reply(body=_list("v1", "Pod", matching))
        if name not in found:
            return _refused(404, "NotFound", f'pods "{name}" not found')
        job, index = found[name]
        if not log:
            return Reply(body=self._pod(job, index))
        work = job.works[index]
        if work.process is None:
            return _refused(400, "BadRequest", f'container "hexgate" in pod "{name}" is waiting to start')
        if work.process.poll() is not None:
            work.finish()
        return Reply(body=work.output.encode() or b"\n")

    def _pod(self, job: KubeJob, index: int) -> dict[str, Any]:
        template = job.body["spec"]["template"]
        started = job.works[index].process is not None
        waiting = {"waiting": {"reason": "ContainerCreating"}}
        container = {
            "name": "hexgate",
            "image": template["spec"]["containers"][0]["image"],
            "imageID": "",
            "ready": started,
            "restartCount": 0,
            "state": {"running": {"startedAt": _CREATED}} if started else waiting,
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": _pod_name(job, index),
                "namespace": job.body["metadata"]["namespace"],
                "labels": template["metadata"]["labels"],
                "annotations": {"batch.kubernetes.io/job-completion-index": str(index)},
            },
            "spec": template["spec"],
            "status": {"phase": "Running" if started else "Pending", "containerStatuses": [container]},
        }

    def _work(self, body: dict[str, Any], index: int) -> Work:
        """The command of one pod, with claims where the test has them."""
        pod = body["spec"]["template"]["spec"]
        container = pod["containers"][0]
        env: dict[str, str] = {}
        if body["spec"].get("completionMode") == "Indexed":
            env["JOB_COMPLETION_INDEX"] = str(index)
        for entry in container.get("env", ()):
            env[entry["name"]] = self._value(entry, body, env)
        claims = {
            volume["name"]: self.claims[volume["persistentVolumeClaim"]["claimName"]]
            for volume in pod.get("volumes", ())
            if "persistentVolumeClaim" in volume
        }
        paths = {
            mount["mountPath"]: claims[mount["name"]] / mount.get("subPath", "")
            for mount in container.get("volumeMounts", ())
            if mount["name"] in claims
        }
        argv = [_expanded(word, env) for word in (*container["command"], *container.get("args", ()))]
        return Work(argv, env, paths)

    def _value(self, entry: Mapping[str, Any], body: Mapping[str, Any], env: Mapping[str, str]) -> str:
        source = entry.get("valueFrom")
        if source is None:
            return _expanded(entry["value"], env)
        if "secretKeyRef" in source:
            return self.secrets[source["secretKeyRef"]["name"]][source["secretKeyRef"]["key"]]
        path = source["fieldRef"]["fieldPath"]
        if path == "metadata.namespace":
            return str(body["metadata"]["namespace"])
        label = re.fullmatch(r"metadata\.labels\['(.+)'\]", path)
        assert label is not None, path
        return str(body["spec"]["template"]["metadata"]["labels"].get(label[1], ""))


def _admission(body: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """A few of the API server's own rules, in its words."""
    spec = body["spec"]
    if not _NAME.fullmatch(body["metadata"]["name"]):
        yield _cause("metadata.name", "a lowercase RFC 1123 subdomain must consist of lower case characters")
    if spec.get("completionMode", "NonIndexed") not in {"Indexed", "NonIndexed"}:
        yield _cause("spec.completionMode", 'supported values: "Indexed", "NonIndexed"')
    if "podFailurePolicy" in spec and spec["template"]["spec"]["restartPolicy"] != "Never":
        yield _cause("spec.template.spec.restartPolicy", 'only "Never" is supported with a podFailurePolicy')


def _cause(where: str, message: str) -> dict[str, str]:
    return {"reason": "FieldValueInvalid", "field": where, "message": message}


def _condition(kind: str, reason: str) -> dict[str, str]:
    return {"type": kind, "status": "True", "reason": reason, "message": f"the fake says {reason}"}


def _pod_name(job: KubeJob, index: int) -> str:
    return f"{job.name}-{index}-{job.body['metadata']['uid'][:5]}"


def _expanded(text: str, env: Mapping[str, str]) -> str:
    """``$(NAME)`` as the kubelet puts it in: only what stands above, and ``$$`` for a dollar."""
    return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else env.get(found[1], found[0]), text)


def _selected(query: list[str] | None) -> dict[str, str]:
    pairs = (pair.replace("==", "=").partition("=") for pair in (query or [""])[0].split(",") if pair)
    return {name: value for name, _, value in pairs}


def _merge(target: dict[str, Any], change: Mapping[str, Any]) -> None:
    for name, value in change.items():
        if isinstance(value, dict) and isinstance(target.get(name), dict):
            _merge(target[name], value)
        else:
            target[name] = value


def _list(version: str, kind: str, items: list[Any]) -> dict[str, Any]:
    return {
        "apiVersion": version,
        "kind": f"{kind}List",
        "metadata": {"resourceVersion": "1"},
        "items": items,
    }


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


def _refused(code: int, reason: str, message: str, causes: list[dict[str, str]] | None = None) -> Reply:
    return Reply(code, _status(code, reason, message) | ({"details": {"causes": causes}} if causes else {}))


def _resources(version: str, *resources: tuple[str, str, list[str]]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "APIResourceList",
        "groupVersion": version,
        "resources": [
            {"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": verbs}
            for name, kind, verbs in resources
        ],
    }


_BATCH = {"groupVersion": "batch/v1", "version": "v1"}
_DISCOVERY: dict[str, Any] = {
    "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "apiVersion": "v1",
        "kind": "APIGroupList",
        "groups": [{"name": "batch", "versions": [_BATCH], "preferredVersion": _BATCH}],
    },
    "/api/v1": _resources("v1", ("pods", "Pod", _VERBS), ("pods/log", "Pod", ["get"])),
    "/apis/batch/v1": _resources("batch/v1", ("jobs", "Job", _VERBS)),
}
