"""Carries jobs on a Kubernetes cluster, through the official Python client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml

from hexgate.contract.provenance import utc_now
from hexgate.errors import InputError, PlatformFailed
from hexgate.platforms.base import JobState, Status
from hexgate.platforms.kubernetes import Kubernetes
from hexgate.platforms.kubernetes_client import Cluster, connect, problem_of
from hexgate.platforms.kubernetes_job import FILE, RUN_LABEL, SPEC_ANNOTATION

if TYPE_CHECKING:
    from hexgate.platforms.spec import JobSpec

__all__ = ["CANCELLED", "KubernetesDriver"]

CANCELLED = "hexgate/cancelled-at"
"""Annotation of a job that was cancelled. It stays in the cluster, so that it reads as cancelled and not as lost."""

_INDEX = "batch.kubernetes.io/job-completion-index"
_CONDITIONS = {
    "FailureTarget": JobState.RUNNING,
    "SuccessCriteriaMet": JobState.RUNNING,
    "Suspended": JobState.PENDING,
}


class KubernetesDriver:
    """The driver of one namespace. A native id is ``<namespace>/<name of the job>``."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @classmethod
    def open(cls, spec: JobSpec | None) -> KubernetesDriver:
        """The cluster of the environment, and the namespace of the spec.

        Raises:
            MissingExtra: if the package kubernetes is not installed.
            InputError: if the environment names no cluster.
        """
        return cls(connect(spec.block("kubernetes").get("namespace") if spec is not None else None))

    def find(self, run_id: str) -> str | None:
        """The job with the run's label."""
        jobs = self._ask(
            self._cluster.batch.list_namespaced_job,
            self._cluster.namespace,
            label_selector=f"{RUN_LABEL}={run_id}",
        )
        return _native_id(jobs.items[0]) if jobs.items else None

    def submit(self, spec: JobSpec) -> str:
        """Create the job. Its name is the run's, so that a second one of the same run is refused by the cluster."""
        from kubernetes.client import ApiException

        job = yaml.safe_load(Kubernetes().render(spec)[FILE])
        space, batch = self._cluster.namespace, self._cluster.batch
        try:
            return _native_id(
                self._cluster.ask(batch.create_namespaced_job, space, job, field_validation="Strict")
            )
        except ApiException as error:
            if error.status != 409:
                raise PlatformFailed(problem_of(error), where=space) from None
        # Ours, from a call whose answer was lost, or from another process.
        there = self._ask(batch.read_namespaced_job, job["metadata"]["name"], space)
        theirs = (there.metadata.annotations or {}).get(SPEC_ANNOTATION)
        if theirs != spec.sha256:
            raise PlatformFailed(
                "the run was submitted with another spec",
                where=_native_id(there),
                got=theirs,
                expected=spec.sha256,
                hint="give the changed spec a new run",
            )
        return _native_id(there)

    def status(self, native_id: str) -> Status:
        """The job's state, from its conditions and its counts of pods."""
        job = self._job(native_id)
        if job is None:
            return Status(JobState.UNKNOWN, "lost", f"the cluster knows no job {native_id}")
        status = _decided(job)
        if status is not None:
            return status
        active, ready = job.status.active or 0, job.status.ready
        if job.status.succeeded or job.status.failed or (active and (ready is None or ready)):
            return Status(JobState.RUNNING, "Running")
        return Status(JobState.PENDING, "Pending", self._waiting(native_id) if active else None)

    def logs(self, native_id: str) -> Iterator[str]:
        """The logs of the job's pods, in order of their index."""
        from kubernetes.client import ApiException

        pods = self._pods(native_id)
        if not pods and self._job(native_id) is None:
            raise PlatformFailed("the cluster knows no such job, and keeps no logs of it", where=native_id)
        for pod in pods:
            name = pod.metadata.name
            before = f"{name}: " if len(pods) > 1 else ""
            try:
                answer = self._cluster.ask(
                    self._cluster.core.read_namespaced_pod_log,
                    name,
                    pod.metadata.namespace,
                    _preload_content=False,
                )
            except ApiException as error:
                # One pod without a log yet must not hide those of the others.
                yield f"{name}: no log: {problem_of(error)}"
                continue
            for line in answer.data.decode("utf-8", "replace").splitlines():
                yield before + line

    def cancel(self, native_id: str) -> None:
        """Suspend the job, which ends its pods with SIGTERM; it stays, and so do its pods' parts.

        Kueue may start a suspended job again. Such a one ends after a second, by its deadline.
        """
        from kubernetes.client import ApiException

        if self.status(native_id).state.ended:
            return
        space, name = _split(native_id)
        change = {
            "metadata": {"annotations": {CANCELLED: utc_now()}},
            "spec": {"suspend": True, "activeDeadlineSeconds": 1},
        }
        try:
            self._cluster.ask(self._cluster.batch.patch_namespaced_job, name, space, change)
        except ApiException as error:
            if error.status != 404:
                raise PlatformFailed(problem_of(error), where=native_id) from None

    def _job(self, native_id: str) -> Any:
        from kubernetes.client import ApiException

        space, name = _split(native_id)
        try:
            return self._cluster.ask(self._cluster.batch.read_namespaced_job, name, space)
        except ApiException as error:
            if error.status == 404:
                return None
            raise PlatformFailed(problem_of(error), where=native_id) from None

    def _pods(self, native_id: str) -> list[Any]:
        space, name = _split(native_id)
        pods = self._ask(
            self._cluster.core.list_namespaced_pod, space, label_selector=f"job-name={name}"
        ).items
        return sorted(
            pods,
            key=lambda pod: (int((pod.metadata.annotations or {}).get(_INDEX, 0)), pod.metadata.name),
        )

    def _waiting(self, native_id: str) -> str | None:
        """Why the pods do not run yet, as far as they say: no node fits, or the image does not come."""
        for pod in self._pods(native_id):
            for container in pod.status.container_statuses or ():
                if container.state is not None and container.state.waiting is not None:
                    return _said(container.state.waiting)
            for condition in pod.status.conditions or ():
                if condition.type == "PodScheduled" and condition.status == "False":
                    return _said(condition)
        return None

    def _ask(self, call: Any, *arguments: Any, **options: Any) -> Any:
        from kubernetes.client import ApiException

        try:
            return self._cluster.ask(call, *arguments, **options)
        except ApiException as error:
            raise PlatformFailed(problem_of(error), where=self._cluster.namespace) from None


def _decided(job: Any) -> Status | None:
    """What the conditions of a job say; None where they say nothing, so that its pods tell."""
    held = {
        condition.type: condition for condition in job.status.conditions or () if condition.status == "True"
    }
    cancelled = CANCELLED in (job.metadata.annotations or {})
    if "Complete" in held:
        return Status(JobState.SUCCEEDED, "Complete")
    if "Failed" in held:
        why = held["Failed"]
        state = JobState.CANCELLED if cancelled and why.reason == "DeadlineExceeded" else JobState.FAILED
        return Status(state, "Failed", _said(why))
    if cancelled:
        ended = "Suspended" in held and not job.status.active
        state = JobState.CANCELLED if ended else JobState.RUNNING
        return Status(state, "Cancelled" if ended else "Cancelling")
    for name in sorted(held, key=lambda name: name in _CONDITIONS):
        return Status(_CONDITIONS.get(name, JobState.UNKNOWN), name, _said(held[name]))
    return None


def _native_id(job: Any) -> str:
    return f"{job.metadata.namespace}/{job.metadata.name}"


def _split(native_id: str) -> tuple[str, str]:
    space, slash, name = native_id.partition("/")
    if not slash or not name:
        raise InputError("not the id of a Kubernetes job", got=native_id, expected="<namespace>/<name>")
    return space, name


def _said(what: Any) -> str | None:
    return ": ".join(part for part in (what.reason, what.message) if part) or None
