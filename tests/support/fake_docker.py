"""A fake of the Docker Engine API on loopback: as much as the docker command needs to carry a container.

It is no Docker: there are no images, no namespaces and no cgroups. Real are the docker command, the HTTP between it
and this server, and the commands of containers: processes of this machine, with the container's paths put where a
test has them.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.vendor_server import FakeJob, Fault, Life, Reply, Seen, VendorServer, Work

_VERSION = "1.43"
_CALL = re.compile(r"(?:/v[0-9.]+)?(/.*)")
_PART_RUNNER = ("timeout", "--foreground")


@dataclass
class Container(FakeJob):
    """One container. Each look at it, once it was started, takes it one step on."""

    started: bool = False

    @property
    def name(self) -> str:
        return self.native_id

    def step(self) -> str:
        """As the base, but it never waits for the command: containers of one job wait for each other."""
        process = self.work.process if self.work is not None else None
        if self.looks > 3 and self.life is Life.SUCCEEDS and process is not None and process.poll() is None:
            return "running"
        return super().step()

    @property
    def state(self) -> dict[str, Any]:
        """What `docker inspect` shows as its state."""
        if not self.started:
            return {"Status": "created", "ExitCode": 0, "Running": False, "OOMKilled": False, "Error": ""}
        step = "cancelled" if self.cancelled else self.step()
        code = {"succeeded": 0, "failed": 3, "cancelled": 143}.get(step, 0)
        if step == "failed" and self.work is not None and self.work.process is not None:
            code = self.work.process.returncode
        status = {"queued": "running", "running": "running", "strange": "hibernating"}.get(step, "exited")
        return {
            "Status": status,
            "ExitCode": code,
            "Running": status == "running",
            "OOMKilled": False,
            "Error": "",
        }


class FakeDocker(VendorServer):
    """One engine.

    Args:
        life: what becomes of containers.
        runtimes: the runtimes that it says it has.
        images: the images that it says it holds.
    """

    def __init__(
        self,
        *,
        life: Life = Life.SUCCEEDS,
        runtimes: tuple[str, ...] = ("runc",),
        images: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.life, self.runtimes, self.images = life, runtimes, images
        self.containers: dict[str, Container] = {}

    @property
    def host(self) -> str:
        """For DOCKER_HOST."""
        return f"tcp://{self.address}"

    def close(self) -> None:
        for container in self.containers.values():
            container.cancel()

    def fault_body(self, fault: Fault) -> Any:
        # The docker command shows the message alone, not the status.
        said = {
            Fault.THROTTLED: "toomanyrequests: scripted",
            Fault.SERVER_ERROR: "Internal Server Error: scripted",
            Fault.UNAVAILABLE: "Service Unavailable: scripted",
        }
        return {"message": said.get(fault, "")}

    def answer(self, request: Seen) -> Reply:
        match = _CALL.fullmatch(request.path)
        assert match is not None
        if match[1] == "/_ping":
            return Reply(body=b"OK", headers={"Api-Version": _VERSION, "Ostype": "linux"})
        if match[1] == "/info":
            return Reply(body={"ID": "fake", "Runtimes": {name: {} for name in self.runtimes}})
        if image := re.fullmatch(r"/images/(.+)/json", match[1]):
            return Reply(body={"Id": "sha256:1"}) if image[1] in self.images else _missing("image", image[1])
        return self._containers(request, match[1])

    def _containers(self, request: Seen, path: str) -> Reply:
        if path == "/containers/create":
            return self._create(request)
        if path == "/containers/json":
            filters = json.loads(request.query.get("filters", ["{}"])[0])
            return Reply(body=[self._listed(each) for each in self._having(filters)])
        call = re.fullmatch(r"/containers/([^/]+)/(json|start|stop|logs)", path)
        if call is None:
            return Reply(404, {"message": f"the fake knows no {path}"})
        container = self.containers.get(call[1])
        return _missing("container", call[1]) if container is None else self._one(container, call[2])

    def _create(self, request: Seen) -> Reply:
        name = request.query["name"][0]
        if name in self.containers:
            said = f'Conflict. The container name "/{name}" is already in use by container "{name}".'
            return Reply(409, {"message": said})
        body = request.json
        work = Work(_command(body["Cmd"]), _environment(body), _paths(body))
        self.containers[name] = Container(name, body, self.life, work)
        return Reply(201, {"Id": name, "Warnings": []})

    def _having(self, filters: Mapping[str, Any]) -> list[Container]:
        labels = set(filters.get("label", ()))
        return [
            container
            for container in self.containers.values()
            if labels <= {f"{name}={value}" for name, value in container.body["Labels"].items()}
        ]

    @staticmethod
    def _listed(container: Container) -> dict[str, Any]:
        return {
            "Id": container.name,
            "Names": [f"/{container.name}"],
            "Labels": container.body["Labels"],
            "Created": 0,
        }

    def _one(self, container: Container, call: str) -> Reply:
        if call == "json" and container.life is Life.LOST and container.looks >= 2:
            del self.containers[container.name]
            return _missing("container", container.name)
        if call == "json":
            config = {"Labels": container.body["Labels"], "Image": container.body["Image"], "Tty": False}
            return Reply(
                body={
                    "Id": container.name,
                    "Name": f"/{container.name}",
                    "State": container.state,
                    "Config": config,
                }
            )
        if call == "start":
            done = container.started
            container.started = True
            return Reply(304 if done else 204)
        if call == "stop":
            container.cancel()
            return Reply(204)
        return Reply(body=_frames(container.work.output if container.work else ""))


def _command(argv: list[str]) -> list[str]:
    # This machine's `timeout` would do; the fake takes the command behind it, which needs no coreutils.
    assert tuple(argv[:2]) == _PART_RUNNER
    return argv[argv.index("hexgate") :]


def _environment(body: Mapping[str, Any]) -> dict[str, str]:
    return dict(item.partition("=")[::2] for item in body["Env"])


def _paths(body: Mapping[str, Any]) -> dict[str, Path]:
    return {mount["Target"]: Path(mount["Source"]) for mount in body["HostConfig"].get("Mounts") or ()}


def _frames(text: str) -> bytes:
    """Text as the engine's multiplexed stream has it: stream 1, length, bytes."""
    data = text.encode()
    return struct.pack(">BxxxL", 1, len(data)) + data if data else b""


def _missing(kind: str, name: str) -> Reply:
    return Reply(404, {"message": f"No such {kind}: {name}"})
