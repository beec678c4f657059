"""Rules on the pod of a Kubernetes job: quantities, volumes and mounts, the command's output, privileges."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["pod_findings"]

_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|[kMGTPE]|[KMGTPE]i|[eE][0-9]+)?")
_WHOLE = re.compile(r"[1-9][0-9]*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PULL = ("Always", "IfNotPresent", "Never")
_PLAIN = {"cpu", "memory", "ephemeral-storage"}

_Found = Iterator[tuple[str, str]]


def pod_findings(pod: Mapping[str, Any], at: str) -> _Found:
    """Mistakes in a pod's spec, each with its path.

    Args:
        pod: ``spec.template.spec`` of the job.
        at: its path in the file.
    """
    volumes = [_mapping(volume) for volume in _sequence(pod.get("volumes"))]
    yield from _volumes(volumes, f"{at}.volumes")
    security = _mapping(pod.get("securityContext"))
    if security.get("runAsNonRoot") is not True:
        yield f"{at}.securityContext.runAsNonRoot", f"got {security.get('runAsNonRoot')!r}, expected true"
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield f"{at}.{name}", "got true, expected false: the job would share the node's own"
    for index, container in enumerate(_sequence(pod.get("containers"))):
        yield from _container(_mapping(container), volumes, f"{at}.containers[{index}]")


def _volumes(volumes: list[Mapping[str, Any]], at: str) -> _Found:
    twice = {
        name for name, count in Counter(str(volume.get("name")) for volume in volumes).items() if count > 1
    }
    claims: dict[Any, int] = {}
    for index, volume in enumerate(volumes):
        name = str(volume.get("name"))
        if name in twice:
            yield f"{at}[{index}].name", f"the name {name!r} stands twice"
        if not _LABEL.fullmatch(name):
            yield f"{at}[{index}].name", f"got {name!r}, expected up to 63 lower-case letters, digits and '-'"
        claim = _mapping(volume.get("persistentVolumeClaim")).get("claimName")
        if claim is not None and claim in claims:
            yield (
                f"{at}[{index}].persistentVolumeClaim.claimName",
                f"got {claim!r}, which is volumes[{claims[claim]}] already: mount that one twice, by subPath",
            )
        claims.setdefault(claim, index)


def _container(container: Mapping[str, Any], volumes: list[Mapping[str, Any]], at: str) -> _Found:
    pull = container.get("imagePullPolicy", "Always")
    if pull not in _PULL:
        yield f"{at}.imagePullPolicy", f"got {pull!r}, expected one of {', '.join(_PULL)}"
    yield from _resources(_mapping(container.get("resources")), f"{at}.resources")
    mounts = [_mapping(mount) for mount in _sequence(container.get("volumeMounts"))]
    yield from _mounts(mounts, volumes, f"{at}.volumeMounts")
    security = _mapping(container.get("securityContext"))
    if security.get("privileged"):
        yield f"{at}.securityContext.privileged", "got true, expected false"
    if security.get("allowPrivilegeEscalation") is not False:
        yield f"{at}.securityContext.allowPrivilegeEscalation", "expected false"
    if security.get("readOnlyRootFilesystem") is True and not _holding("/tmp/x", mounts):  # noqa: S108 - in the container
        yield f"{at}.volumeMounts", "nothing is mounted at /tmp, and the rest of the container is read only"
    yield from _command(container, mounts, volumes, at)


def _resources(resources: Mapping[str, Any], at: str) -> _Found:
    requests, limits = _mapping(resources.get("requests")), _mapping(resources.get("limits"))
    for kind, quantities in (("requests", requests), ("limits", limits)):
        for name, value in quantities.items():
            where = f"{at}.{kind}['{name}']"
            if not isinstance(value, str):
                yield where, f"got {value!r}, expected text: quote it"
            elif name not in _PLAIN:
                if not _WHOLE.fullmatch(value):
                    yield where, f"got {value!r}, expected a whole number: devices are not divided"
            elif not _QUANTITY.fullmatch(value):
                yield where, f"got {value!r}, expected a quantity, such as 2, 1500m or 4096Mi"
    for name in ("cpu", "memory"):
        if name not in limits:
            yield f"{at}.limits", f"no {name}, so what was measured would depend on the pod's neighbours"
    for name in sorted(requests.keys() | limits.keys()):
        if requests.get(name, limits.get(name)) != limits.get(name):
            yield (
                f"{at}.requests['{name}']",
                f"got {requests[name]!r}, expected {limits.get(name)!r} as in limits: the pod would not be Guaranteed",
            )


def _mounts(mounts: list[Mapping[str, Any]], volumes: list[Mapping[str, Any]], at: str) -> _Found:
    named = {volume.get("name") for volume in volumes}
    paths: set[Any] = set()
    for index, mount in enumerate(mounts):
        if mount.get("name") not in named:
            yield f"{at}[{index}].name", f"got {mount.get('name')!r}, and there is no such volume"
        path = mount.get("mountPath")
        if not isinstance(path, str) or not path.startswith("/"):
            yield f"{at}[{index}].mountPath", f"got {path!r}, expected an absolute path"
        if path in paths:
            yield f"{at}[{index}].mountPath", f"got {path!r}, where something is mounted already"
        paths.add(path)


def _command(
    container: Mapping[str, Any], mounts: list[Mapping[str, Any]], volumes: list[Mapping[str, Any]], at: str
) -> _Found:
    argv = [str(word) for word in (*_sequence(container.get("command")), *_sequence(container.get("args")))]
    if "--output" not in argv[:-1] or "hexgate" not in argv[: argv.index("--output")]:
        yield f"{at}.command", "no hexgate platforms run --output, so nothing that it measures would be found"
        return
    if not any("{out}" in word for word in argv):
        yield f"{at}.command", "no {out}, so nothing that it measures would be found"
    output = argv[argv.index("--output") + 1]
    if not output.startswith("/"):
        return
    mount = _holding(output, mounts)
    if mount is None:
        yield (
            f"{at}.volumeMounts",
            f"nothing is mounted at {output}, where the output goes: it would end with the pod",
        )
        return
    index = mounts.index(mount)
    if mount.get("readOnly"):
        yield f"{at}.volumeMounts[{index}].readOnly", f"got true, expected false: the output goes to {output}"
    volume = next((volume for volume in volumes if volume.get("name") == mount.get("name")), {})
    if "emptyDir" in volume:
        yield (
            f"{at}.volumeMounts[{index}].name",
            f"got an emptyDir at {output}, expected a claim: it ends with the pod",
        )


def _holding(path: str, mounts: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The mount that a path lies in."""
    return next(
        (
            mount
            for mount in mounts
            if path.startswith(f"{str(mount.get('mountPath')).rstrip('/')}/")
            or path == mount.get("mountPath")
        ),
        None,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
