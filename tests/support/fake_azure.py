"""A fake of Azure Resource Manager, of Azure ML's run history and of a managed identity, for azure-ai-ml itself.

It speaks TLS with a certificate of its own, as the SDK sends tokens to no other. A job's line is taken from what the
SDK sent, its bindings are filled in as Azure would, and ``/bin/sh -c`` runs it on this machine. What the fake does not
know it answers with 501, so that a test tells when the SDK asks for more.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import re
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.vendor_server import FakeJob, Life, Reply, Seen, VendorServer, Work

SUBSCRIPTION = "0a1b2c3d-0000-4000-8000-000000000001"
GROUP = "gate"
WORKSPACE = "evaluations"
_SCOPE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}"
)
_AUDIENCE = "https://ml.azure.com"
_NATIVE = {
    "queued": "Queued",
    "running": "Running",
    "succeeded": "Completed",
    "failed": "Failed",
    "cancelled": "Canceled",
    "strange": "Hibernating",
}
_BINDING = re.compile(r"\$\{\{\s*(inputs|outputs)\.(\w+)\s*\}\}")
SIGNATURE = "sig=c2lnbmF0dXJl"
"""What makes an address of a log a secret."""


@dataclass
class Works:
    """The steps of a pipeline one after the other, or the instances of one job side by side."""

    works: Sequence[Work]
    together: bool
    goes_on: bool = False
    """Whether a step that fails leaves the whole a success, as ``continue_on_step_failure`` does."""

    @property
    def output(self) -> str:
        return "".join(work.output for work in self.works)

    def start(self) -> None:
        for work in self.works if self.together else self.works[:1]:
            work.start()

    def finish(self) -> int:
        codes = []
        for work in self.works:
            work.start()
            codes.append(work.finish())
            if not self.together and codes[-1] and not self.goes_on:
                break
        return 0 if self.goes_on else max(codes)

    def stop(self) -> None:
        for work in self.works:
            work.stop()


class FakeAzure(VendorServer):
    """One workspace.

    Args:
        folder: where the certificate goes.
        places: what lies under addresses of the workspace's datastores: address to folder.
    """

    def __init__(self, folder: Path, places: Mapping[str, Path]) -> None:
        super().__init__()
        self.places = places
        self.jobs: dict[str, FakeJob] = {}
        self.steps: dict[str, dict[str, Work]] = {}
        self.life = Life.SUCCEEDS
        self.throttled = 0
        self.lose_answers = 0
        self.components: dict[str, Any] = {}
        self.environments: dict[str, Any] = {}
        self.certificate = folder / "certificate.pem"
        key = folder / "key.pem"
        _certify(self.certificate, key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        # The handshake is left to the thread of the connection.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://{self.address}"

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make this process one that runs in Azure, beside this workspace, with a managed identity."""
        monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", SUBSCRIPTION)
        monkeypatch.setenv("AZURE_RESOURCE_GROUP", GROUP)
        monkeypatch.setenv("AZURE_ML_WORKSPACE", WORKSPACE)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(self.certificate))
        monkeypatch.setenv("ARM_CLOUD_METADATA_URL", f"{self.url}/metadata/endpoints")
        # The SDK writes this one; set here, it is put back.
        monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "FakeCloud")
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{self.url}/identity")
        monkeypatch.setenv("IDENTITY_HEADER", "the-header")
        monkeypatch.delenv("AZURE_CLIENT_ID", raising=False)
        monkeypatch.delenv("AZURE_CLIENT_SECRET", raising=False)
        monkeypatch.delenv("AZURE_TENANT_ID", raising=False)

    def close(self) -> None:
        for job in self.jobs.values():
            if job.work is not None:
                job.work.stop()

    def fault_body(self, fault: Any) -> Any:
        return {"error": {"code": fault.name, "message": "scripted, for Bearer eyJ0b2tlbg"}}

    def answer(self, request: Seen) -> Reply:
        path = request.path.rstrip("/")
        open_to_all: dict[str, Callable[[Seen], Reply]] = {
            "/metadata/endpoints": lambda _: Reply(body=[self._cloud()]),
            "/identity": self._token,
            "/discovery": lambda _: Reply(body={"api": self.url, "history": self.url}),
        }
        if path in open_to_all or path.startswith("/blob/"):
            return open_to_all.get(path, self._log)(request)
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return Reply(401, {"error": {"code": "Unauthenticated", "message": "no token"}})
        if self.throttled:
            self.throttled -= 1
            return Reply(429, {"error": {"code": "TooManyRequests"}}, {"retry-after-ms": "10"})
        return self._history(path) if path.startswith("/history/") else self._arm(request, path)

    def _arm(self, request: Seen, path: str) -> Reply:
        routes: list[tuple[str, str, Callable[..., Reply]]] = [
            ("GET", "", self._workspace),
            ("GET|PUT", r"/environments/([\w-]+)/versions/([\w-]+)", self._environment),
            ("PUT", r"/components/([\w-]+)/versions/([\w-]+)", self._component),
            ("GET", r"/computes/([\w-]+)", self._compute),
            ("PUT", r"/jobs/([\w-]+)", self._put_job),
            ("GET", r"/jobs/([\w-]+)", self._get_job),
            ("POST", r"/jobs/([\w-]+)/cancel", self._cancel),
        ]
        if path.startswith(_SCOPE):
            for method, pattern, answer in routes:
                match = re.fullmatch(pattern, path.removeprefix(_SCOPE))
                if match and request.method in method.split("|"):
                    return answer(request, *match.groups())
        return Reply(501, {"error": {"code": "NotFaked", "message": path}})

    def _log(self, request: Seen) -> Reply:
        if request.query != {"sig": [SIGNATURE.removeprefix("sig=")]}:
            return Reply(403, b"the signature is wrong")
        run, _, step = request.path.removeprefix("/blob/").partition("/")
        work: Any = self.steps.get(run, {}).get(step) or self.jobs[run].work
        return Reply(body=work.output.encode())

    def _cloud(self) -> dict[str, Any]:
        return {
            "name": "FakeCloud",
            "portal": "https://portal.azure.com",
            "resourceManager": self.url,
            "authentication": {"loginEndpoint": f"{self.url}/login"},
            "suffixes": {"storage": "core.windows.net"},
        }

    def _token(self, request: Seen) -> Reply:
        if request.headers.get("x-identity-header") != "the-header":
            return Reply(401, {"message": "no such identity"})
        claims = {"aud": request.query["resource"][0], "exp": 4102444800}
        parts = [{"alg": "none", "typ": "JWT"}, claims]
        token = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
        )
        return Reply(body={"access_token": f"{token}.", "expires_on": "4102444800", "token_type": "Bearer"})

    def _workspace(self, _request: Seen) -> Reply:
        return Reply(
            body=_resource(
                _SCOPE,
                WORKSPACE,
                {"discoveryUrl": f"{self.url}/discovery", "workspaceId": SUBSCRIPTION},
            )
            | {"location": "westeurope"}
        )

    def _environment(self, request: Seen, name: str, version: str) -> Reply:
        if request.method == "PUT":
            self.environments[f"{name}/{version}"] = request.json["properties"]
        found = self.environments.get(f"{name}/{version}")
        if found is None:
            return _unknown("EnvironmentNotFound")
        return Reply(body=_resource(request.path, version, found))

    def _component(self, request: Seen, name: str, version: str) -> Reply:
        self.components[request.path] = request.json["properties"]
        return Reply(body=_resource(request.path, version, request.json["properties"]))

    def _compute(self, request: Seen, name: str) -> Reply:
        if name != "gate-cluster":
            return _unknown("ComputeNotFound")
        properties = {
            "computeType": "AmlCompute",
            "provisioningState": "Succeeded",
            "properties": {"vmSize": "STANDARD_NC24ADS_A100_V4", "scaleSettings": {"maxNodeCount": 4}},
        }
        return Reply(body=_resource(request.path, name, properties) | {"location": "westeurope"})

    def _put_job(self, request: Seen, name: str) -> Reply:
        if name in self.jobs:
            return Reply(409, {"error": {"code": "Conflict", "message": "a job of that name exists"}})
        properties = request.json["properties"]
        work: Any = None
        if self.life is Life.SUCCEEDS:
            work = (
                self._pipeline(name, properties)
                if properties["jobType"] == "Pipeline"
                else self._command(name, properties)
            )
        self.jobs[name] = FakeJob(name, properties, self.life, work)
        if self.lose_answers:
            self.lose_answers -= 1
            return Reply(502, {"error": {"code": "BadGateway", "message": "the answer is lost"}})
        return Reply(201, self._shown(self.jobs[name], "NotStarted"))

    def _get_job(self, _request: Seen, name: str) -> Reply:
        job = self.jobs.get(name)
        state = None if job is None else job.step()
        if job is None or state is None or state == "lost":
            return _unknown("JobNotFound")
        return Reply(body=self._shown(job, _NATIVE[state]))

    def _cancel(self, _request: Seen, name: str) -> Reply:
        job = self.jobs.get(name)
        if job is None:
            return _unknown("JobNotFound")
        if job.looks > 4:
            return Reply(400, {"error": {"code": "UserError", "message": "the job is in a final state"}})
        job.cancel()
        return Reply(202, headers={"location": f"{self.url}{_SCOPE}/operations/{name}"})

    def _shown(self, job: FakeJob, status: str) -> dict[str, Any]:
        path = f"{_SCOPE}/jobs/{job.native_id}"
        return _resource(path, job.native_id, job.body | {"status": status, "services": {}})

    def _history(self, path: str) -> Reply:
        match = re.search(r"/runs/([\w.-]+)/(details|children)$", path)
        assert match is not None, path
        run = match[1]
        if match[2] == "children":
            steps = [
                {
                    "runId": f"{run}.{step}",
                    "displayName": step,
                    "runType": "azureml.StepRun",
                    "status": "Completed",
                }
                for step in self.steps[run]
            ]
            return Reply(body={"value": steps})
        parent, _, step = run.partition(".")
        url = f"{self.url}/blob/{parent}/{step}?{SIGNATURE}"
        files = {"user_logs/std_log.txt": url, "system_logs/lifecycler/execution.log": url}
        return Reply(body={"runId": run, "status": "Completed", "logFiles": files})

    def _command(self, name: str, properties: dict[str, Any]) -> Works:
        inputs = {
            key: value["value"] if value["jobInputType"] == "literal" else self._place(value["uri"])
            for key, value in (properties.get("inputs") or {}).items()
        }
        outputs = {key: self._place(value["uri"]) for key, value in properties["outputs"].items()}
        count = (properties.get("resources") or {}).get("instanceCount", 1)
        ranks = [
            {"RANK": str(rank), "WORLD_SIZE": str(count)} if (properties.get("distribution") or {}) else {}
            for rank in range(count)
        ]
        variables = properties["environmentVariables"]
        return Works(
            [
                self._work(properties["command"], inputs, outputs, variables | rank, name, name)
                for rank in ranks
            ],
            together=True,
        )

    def _pipeline(self, name: str, properties: dict[str, Any]) -> Works:
        given = {
            key: value["value"] if value["jobInputType"] == "literal" else self._place(value["uri"])
            for key, value in properties.get("inputs", {}).items()
        }
        steps = {}
        for step, job in properties["jobs"].items():
            spec = self.components[job["componentId"]]["componentSpec"]
            inputs = {
                key: given[re.fullmatch(r"\$\{\{parent\.inputs\.(\w+)\}\}", value["value"])[1]]  # type: ignore[index]
                for key, value in job.get("inputs", {}).items()
            }
            outputs = {key: self._place(value["uri"]) for key, value in job["outputs"].items()}
            variables = job.get("environment_variables") or spec["environment_variables"]
            steps[step] = self._work(spec["command"], inputs, outputs, variables, f"{name}.{step}", name)
        self.steps[name] = steps
        return Works(
            list(steps.values()), together=False, goes_on=properties["settings"]["continue_on_step_failure"]
        )

    def _work(
        self,
        line: str,
        inputs: Mapping[str, str],
        outputs: Mapping[str, str],
        variables: Mapping[str, str],
        run: str,
        root: str,
    ) -> Work:
        bound = {"inputs": inputs, "outputs": outputs}
        line = _BINDING.sub(lambda found: bound[found[1]][found[2]], line)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        env = {"PATH": path, "AZUREML_RUN_ID": run, "AZUREML_ROOT_RUN_ID": root}
        return Work(["/bin/sh", "-c", line], env | dict(variables), {})

    def _place(self, uri: str) -> str:
        for address, folder in self.places.items():
            if uri.startswith(address):
                return str(folder / uri.removeprefix(address))
        raise AssertionError(uri)


def _resource(path: str, name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": path,
        "name": name,
        "type": "Microsoft.MachineLearningServices/x",
        "properties": dict(properties),
    }


def _unknown(code: str) -> Reply:
    return Reply(404, {"error": {"code": code, "message": "there is none of that name"}})


def _certify(certificate: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a fake on loopback")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
