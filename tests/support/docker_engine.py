"""A real Docker engine for tests, a base image of Debian packages, and our CPU image built on it.

The engine is `dockerd` of the package docker.io, a child of the tests with everything in one temporary folder. It has
no network of its own: builds and runs use ``none`` or ``host``. Debian packages and wheels are fetched once and kept
under ``.cache/images``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from support import needs
from support.command import Ended

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "images"
BASE = "hexgate-test-base:bookworm"
IMAGE = "registry.example.com/hexgate:0.1.0"
DECOY = "src/.env"
"""A file of the context that no image may hold."""
SUITE, SUITE_PYTHON, SUITE_GLIBC = "bookworm", "3.11", "2.36"
LABELS = {
    "VERSION": "0.1.0",
    "REVISION": "0123456789abcdef0123456789abcdef01234567",
    "CREATED": "2026-01-02T03:04:05Z",
    "SOURCE": "https://git.example.com/hexgate",
    "SOURCE_DATE_EPOCH": "1767323045",
}
"""Build arguments of the image that tests share."""
LABELS_AS_ARGUMENTS = tuple(
    part for name, value in LABELS.items() for part in ("--build-arg", f"{name}={value}")
)
_ROOMY = 12 * 2**30
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Engine:
    """A running engine."""

    client: str
    """Path of a docker client that can build with BuildKit."""
    host: str
    """Its address, for DOCKER_HOST and clients of the API."""
    folder: Path
    """Everything it wrote. Gone with it."""

    @property
    def env(self) -> dict[str, str]:
        """The environment in which the client talks to this engine."""
        return dict(os.environ) | {
            "DOCKER_HOST": self.host,
            "DOCKER_BUILDKIT": "1",
            "DOCKER_CONFIG": str(self.folder / "client"),
        }

    def docker(self, *arguments: str | Path, timeout_s: float = 120, check: bool = True) -> Ended:
        """Run the client."""
        done = subprocess.run(
            [self.client, *map(str, arguments)],
            env=self.env,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout_s,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"docker {arguments[0]} ended with {done.returncode}:\n{done.stderr}"
        return Ended(done.returncode, done.stdout, done.stderr)

    def inspect(self, name: str, template: str) -> object:
        """One part of what the engine knows of an image or container, by a Go template."""
        return json.loads(self.docker("inspect", "--format", f"{{{{json {template}}}}}", name).out)

    def build(self, context: Path, dockerfile: str, *arguments: str, tag: str | None = None) -> Ended:
        """Build one of our Dockerfiles on the local base, without a network."""
        return self.docker(
            "build",
            *("--file", context / "docker" / dockerfile, "--network", "none"),
            *("--build-arg", f"BASE_IMAGE={BASE}"),
            *(() if tag is None else ("--tag", tag)),
            *arguments,
            context,
            timeout_s=300,
        )


@contextmanager
def running_engine() -> Iterator[Engine]:
    """Start an engine, and end it with all its containers. Skips where its programs are missing."""
    daemon = needs.program("dockerd")
    client = _client()
    if os.geteuid() != 0:
        needs.lacking("a Docker engine needs root", "infra")
    folder = Path(tempfile.mkdtemp(prefix="hexgate-docker-"))
    for name in ("client", "data"):
        (folder / name).mkdir()
    if psutil.virtual_memory().available > _ROOMY:
        # Images are many small files; in memory they are there and gone at once.
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder / "data"], check=True)
    settings = {
        "data-root": str(folder / "data"),
        "exec-root": str(folder / "exec"),
        "pidfile": str(folder / "pid"),
        "hosts": [f"unix://{folder}/sock"],
        "iptables": False,
        "ip6tables": False,
        "bridge": "none",
        "default-ulimits": {},
        "log-level": "warn",
    }
    (folder / "daemon.json").write_text(json.dumps(settings), "utf-8")
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [daemon, "--config-file", folder / "daemon.json"],
            env=dict(os.environ) | {"PATH": path},
            stdout=log,
            stderr=log,
        )
        engine = Engine(client, f"unix://{folder}/sock", folder)
        try:
            _wait_until_ready(engine, process)
            yield engine
            running = engine.docker("ps", "--all", "--quiet", check=False).out.split()
            if running:
                engine.docker("rm", "--force", "--volumes", *running, check=False)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
    _remove(folder)


def base_image(engine: Engine) -> str:
    """The name of a local base image: Debian with Python and its venv, from Debian packages."""
    if engine.docker("image", "inspect", BASE, check=False).code != 0:
        engine.docker("import", _base_archive(), BASE)
    return BASE


@contextmanager
def build_context(lock: str = "cpu.lock") -> Iterator[Path]:
    """A copy of what a build needs of this checkout, with a wheelhouse for the local base."""
    wheels = _wheelhouse(lock)
    with tempfile.TemporaryDirectory(prefix="hexgate-context-") as made:
        context = Path(made)
        ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        for name in {line[1:].split("/")[0] for line in ignored if line.startswith("!")} - {"wheelhouse"}:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, context / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, context / name)
        shutil.copy2(ROOT / ".dockerignore", context)
        (context / DECOY).write_text("what lies in a checkout by chance", "utf-8")
        # Copied, not linked: the engine's client reads the folder as it is.
        shutil.copytree(wheels, context / "wheelhouse")
        yield context


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    """One engine for all tests of a session, with the local base."""
    with running_engine() as engine:
        base_image(engine)
        yield engine


@pytest.fixture(scope="session")
def image_context(docker_engine: Engine) -> Iterator[Path]:
    """What the images of a session are built from."""
    with build_context() as context:
        yield context


@pytest.fixture(scope="session")
def cpu_image(docker_engine: Engine, image_context: Path) -> str:
    """The name of the CPU image, built once a session."""
    docker_engine.build(image_context, "cpu.Dockerfile", *LABELS_AS_ARGUMENTS, tag=IMAGE)
    return IMAGE


def _client() -> str:
    """A docker client that builds with BuildKit: it has buildx, or is so old that it needs none."""
    found = dict.fromkeys(
        path for path in ("/usr/bin/docker", shutil.which("docker")) if path and Path(path).exists()
    )
    for path in found:
        said = _said(path, "--version").removeprefix("Docker version ")
        if said and (int(said.split(".")[0]) < 23 or _said(path, "buildx", "version")):
            return path
    needs.lacking("no docker client that builds with BuildKit", "infra")
    raise AssertionError


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout if done.returncode == 0 else ""


def _wait_until_ready(engine: Engine, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while engine.docker("version", check=False).code != 0:
        log = (engine.folder / "log").read_text("utf-8", "replace")[-2000:]
        assert process.poll() is None, f"dockerd ended with {process.returncode}:\n{log}"
        assert time.monotonic() < deadline, f"dockerd is not ready:\n{log}"
        time.sleep(0.05)


def _remove(folder: Path) -> None:
    """Remove what an engine left, after the mounts that it forgets below its folder."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text("utf-8").splitlines()]
    for place in sorted((path for path in mounted if path.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", place], check=True)
    shutil.rmtree(folder)


def _base_archive() -> Path:
    """The root file system of the local base."""
    tool = needs.program("mmdebstrap")
    command = [
        *("--quiet", "--variant=minbase", "--include=python3-venv,ca-certificates"),
        *('--aptopt=Acquire::Languages "none"', "--dpkgopt=path-exclude=/usr/share/doc/*"),
        *("--dpkgopt=path-exclude=/usr/share/man/*", SUITE),
    ]
    archive = CACHE / f"base-{_key(command)}.tar"
    if not archive.exists():
        with _made(archive) as made:
            subprocess.run([tool, "--format=tar", *command, made], check=True, timeout=300)
    return archive


def _wheelhouse(lock: str) -> Path:
    """The wheels of a lock for the local base."""
    files = [ROOT / "docker" / "build.lock", ROOT / "docker" / lock]
    folder = (
        CACHE / f"wheels-{_key([SUITE_PYTHON, SUITE_GLIBC, *(path.read_text('utf-8') for path in files)])}"
    )
    if not folder.exists():
        with _made(folder) as made:
            command = [sys.executable, str(ROOT / "tools" / "fetch_wheels.py"), str(made), *map(str, files)]
            target = ["--python", SUITE_PYTHON, "--glibc", SUITE_GLIBC]
            subprocess.run([*command, *target], check=True, timeout=600)
    return folder


def _key(parts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@contextmanager
def _made(place: Path) -> Iterator[Path]:
    """A path to make something at, which takes its place in one step once it is whole."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as folder:
        made = Path(folder) / place.name
        yield made
        try:
            made.rename(place)
        except OSError:
            # Another session was first with the same thing.
            assert place.exists()
