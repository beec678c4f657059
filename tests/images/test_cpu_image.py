"""The CPU image, really built by a Docker engine without a network, and really run."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from hexgate import __version__
from hexgate.cli import COMMANDS
from support.command import Ended
from support.docker_engine import BASE, DECOY, LABELS, LABELS_AS_ARGUMENTS, Engine

pytestmark = pytest.mark.infra

ROOT = Path(__file__).resolve().parents[2]
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--network", "none", "--cap-drop", "ALL")  # noqa: S108
HARDENED += ("--security-opt", "no-new-privileges")
MIB = 2**20
MOST_ADDED_MIB = 300
"""What docker/README.md states as the bound of what the image adds to its base. Measured: 236."""
RECORDED = "registry.example.com/hexgate:0.1.0@sha256:" + 64 * "a"
SLOW = ("run", "--indicator", "throughput_rps", "--model", "demo:", "--data", "demo:", "--duration-s", "600")


@pytest.fixture
def run(docker_engine: Engine, cpu_image: str) -> Callable[..., Ended]:
    """Run the image to its end, hardened; options of docker first, then ``--``, then the command."""

    def call(*given: str | Path, check: bool = True) -> Ended:
        cut = given.index("--") if "--" in given else 0
        command = given[cut + 1 :] if "--" in given else given
        return docker_engine.docker("run", "--rm", *HARDENED, *given[:cut], cpu_image, *command, check=check)

    return call


@pytest.fixture
def background(docker_engine: Engine) -> Iterator[Callable[..., str]]:
    """Start a container that goes on in the background, and give its id."""
    started: list[str] = []

    def start(*arguments: str | Path) -> str:
        started.append(docker_engine.docker("run", "--detach", *HARDENED, *arguments).out.strip())
        return started[-1]

    yield start
    for one in started:
        docker_engine.docker("rm", "--force", "--volumes", one)


class TestWhatItIs:
    def test_it_is_small(self, docker_engine: Engine, cpu_image: str) -> None:
        whole, base = (docker_engine.inspect(name, ".Size") for name in (cpu_image, BASE))
        assert 0 < (whole - base) / MIB < MOST_ADDED_MIB

    def test_a_change_of_hexgate_ships_a_small_layer(self, docker_engine: Engine, cpu_image: str) -> None:
        history = docker_engine.docker(
            "history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", cpu_image
        )
        sizes = [int(line.split()[0]) for line in history.out.splitlines() if "/layers/hexgate/" in line]
        assert len(sizes) == 1
        assert 0 < sizes[0] < 30 * MIB

    def test_it_runs_as_a_numbered_user_who_is_not_root(
        self, docker_engine: Engine, cpu_image: str, run: Callable[..., Ended]
    ) -> None:
        assert docker_engine.inspect(cpu_image, ".Config.User") == "10001:10001"
        assert run("python", "-c", "import os; print(os.getuid(), os.getgid())").out == "10001 10001\n"

    def test_its_labels_say_what_it_is_and_where_from(self, docker_engine: Engine, cpu_image: str) -> None:
        labels = docker_engine.inspect(cpu_image, ".Config.Labels")
        own = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items()}
        assert own == {
            "title": "hexgate",
            "description": "A release gate for AI models: six indicators, one gate",
            "version": __version__,
            "revision": LABELS["REVISION"],
            "created": LABELS["CREATED"],
            "source": LABELS["SOURCE"],
            "licenses": "Apache-2.0",
            "base.name": BASE,
        }

    def test_nothing_in_it_names_the_machine_that_built_it(
        self, docker_engine: Engine, cpu_image: str, image_context: Path
    ) -> None:
        said = docker_engine.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", cpu_image).out
        said += json.dumps(docker_engine.inspect(cpu_image, ".Config"))
        ours = [
            socket.gethostname(),
            str(ROOT),
            str(Path.home()),
            str(image_context),
            str(docker_engine.folder),
        ]
        ours += [
            value
            for name, value in os.environ.items()
            if re.match(r"(PIP_|UV_)|.*(_PROXY|INDEX_URL|CERT|CA_BUNDLE)", name.upper()) and len(value) > 5
        ]
        # The name of root is a word of every system.
        ours += [name for name in [getpass.getuser()] if name != "root"]
        for one in ours:
            assert one not in said
        assert not re.search(r"pip|PROXY|index[-_]url|\.pem|\.crt", said, re.IGNORECASE)

    def test_neither_do_its_files(self, run: Callable[..., Ended], image_context: Path) -> None:
        found = run(
            "grep", "-rlE", "--binary-files=text", f"{ROOT}/|{image_context}/", "/opt", "/output", check=False
        )
        assert (found.code, found.out) == (1, "")

    def test_nothing_that_only_builds_is_in_it(self, run: Callable[..., Ended]) -> None:
        tools = "gcc cc g++ make pip pip3 uv hatchling git"
        assert run("sh", "-c", f"command -v {tools}", check=False).out == ""
        inside = run(
            "python", "-c", "import importlib.util as u; print(u.find_spec('pip'), u.find_spec('hatchling'))"
        )
        assert inside.out == "None None\n"
        left = run("sh", "-c", "ls -A /in /src /layers /root/.cache /opt /output", check=False)
        assert left.out.split() == ["/opt:", "hexgate", "/output:"]

    def test_what_lies_in_a_checkout_by_chance_is_not_in_it(
        self, run: Callable[..., Ended], image_context: Path
    ) -> None:
        assert (image_context / DECOY).exists()
        assert run("find", "/opt", "-name", Path(DECOY).name).out == ""

    def test_its_bytecode_is_all_there(self, run: Callable[..., Ended]) -> None:
        """A container cannot write it, and would compile everything at every start."""
        code = (
            "import importlib.util as u, pathlib, hexgate\n"
            "files = list(pathlib.Path(hexgate.__file__).parent.rglob('*.py'))\n"
            "print(len(files) > 50, [f for f in files if not pathlib.Path(u.cache_from_source(f)).exists()])"
        )
        assert run("python", "-c", code).out == "True []\n"

    def test_its_bill_of_materials_names_what_is_in_it(self, run: Callable[..., Ended]) -> None:
        bill = json.loads(run("cat", "/opt/hexgate/share/sbom.cdx.json").out)
        code = (
            "import importlib.metadata as m, json\n"
            "print(json.dumps(sorted([d.name.lower().replace('_', '-').replace('.', '-'), d.version]"
            " for d in m.distributions())))"
        )
        inside = json.loads(run("python", "-c", code).out)
        parts = [bill["metadata"]["component"], *bill["components"]]
        named = [[one["name"], one["version"]] for one in parts if one["purl"].startswith("pkg:pypi/")]
        assert sorted(named) == inside
        packages = run("dpkg-query", "--show", "--showformat", "${Package} ${Version}\n").out.splitlines()
        system = [f"{one['name']} {one['version']}" for one in parts if one["purl"].startswith("pkg:deb/")]
        assert sorted(system) == sorted(packages)
        assert bill["metadata"]["component"]["version"] == __version__
        assert bill["metadata"]["timestamp"] == LABELS["CREATED"]

    def test_the_bill_is_an_output_of_the_build_too(
        self, docker_engine: Engine, image_context: Path, run: Callable[..., Ended], tmp_path: Path
    ) -> None:
        docker_engine.build(
            image_context,
            "cpu.Dockerfile",
            *LABELS_AS_ARGUMENTS,
            *("--target", "sbom", "--output", f"type=local,dest={tmp_path}"),
        )
        written = (tmp_path / "sbom.cdx.json").read_text("utf-8")
        assert written == run("cat", "/opt/hexgate/share/sbom.cdx.json").out

    def test_no_command_of_ours_is_hidden_by_a_program(self, run: Callable[..., Ended]) -> None:
        line = "; ".join(f"command -v {name}" for name in COMMANDS)
        assert run("sh", "-c", f"{line}; true").out == ""


class TestHowItIsCalled:
    def test_with_and_without_the_name_of_the_program(self, run: Callable[..., Ended]) -> None:
        expected = f"hexgate, version {__version__}\n"
        assert run("--version").out == expected
        assert run("hexgate", "--version").out == expected
        assert run("sh", "-c", "hexgate --version").out == expected
        assert run("--entrypoint", "sh", "--", "-c", "hexgate --version").out == expected
        assert run("--entrypoint", "hexgate", "--", "--version").out == expected

    def test_without_a_command_it_shows_the_help(self, run: Callable[..., Ended]) -> None:
        assert "demo" in run().out

    def test_a_word_that_is_nothing_is_taken_for_a_command_of_ours(self, run: Callable[..., Ended]) -> None:
        ended = run("dmeo", check=False)
        assert ended.code == 2
        assert "did you mean demo" in ended.err

    def test_another_l4t_than_the_image_s_is_refused(self, run: Callable[..., Ended], tmp_path: Path) -> None:
        release = tmp_path / "nv_tegra_release"
        release.write_text("# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref\n", "utf-8")
        release.chmod(0o644)
        mount = ("--volume", f"{release}:/etc/nv_tegra_release:ro")
        refused = run("--env", "HEXGATE_L4T_MAJOR=36", *mount, "--", "--version", check=False)
        assert refused.code == 2
        assert "L4T R36" in refused.err
        assert "R35" in refused.err
        assert run("--env", "HEXGATE_L4T_MAJOR=35", *mount, "--", "--version").code == 0
        assert run(*mount, "--", "--version").code == 0

    def test_where_no_runtime_for_gpus_is_the_engine_says_so(
        self, docker_engine: Engine, cpu_image: str
    ) -> None:
        ended = docker_engine.docker("run", "--rm", "--gpus", "all", cpu_image, "--version", check=False)
        assert ended.code == 125
        assert "could not select device driver" in ended.err


def test_the_demonstration_passes_the_gate_outside(run: Callable[..., Ended], out: Path) -> None:
    """Any user, no network, no rights, nothing writable but the volume: the artifacts are whole, and hold."""
    demo = run(
        *(
            "--user",
            "4321:4321",
            "--volume",
            f"{out}:/output",
            "--env",
            f"HEXGATE_IMAGE={RECORDED}",
            "--",
            "demo",
        )
    )
    assert "/output/demo-report/report.html" in demo.err
    artifacts = out / "demo-report" / "artifacts"
    judged = _hexgate("gate", artifacts, "--policy", ROOT / "examples" / "demo-policy.yaml")
    assert judged.code == 0, judged.out + judged.err
    files = sorted(path for path in artifacts.glob("*.json") if not path.name.endswith(".evidence.json"))
    assert len(files) == 6
    for path in files:
        assert _hexgate("recompute", path).code == 0
        data = json.loads(path.read_text("utf-8"))
        assert data["environment"]["container_image"] == RECORDED
        assert path.stat().st_uid == 4321


class TestHowItStops:
    @pytest.mark.parametrize(
        "options",
        [
            ((), SLOW),
            (("--entrypoint", "hexgate"), SLOW),
            (("--entrypoint", "sh"), ("-c", f"cd /output && exec hexgate {' '.join(SLOW)} --out out.json")),
        ],
        ids=["entry point", "hexgate alone", "shell"],
    )
    def test_sigterm_leaves_a_partial_artifact(
        self,
        options: tuple[tuple[str, ...], tuple[str, ...]],
        docker_engine: Engine,
        cpu_image: str,
        background: Callable[..., str],
        out: Path,
    ) -> None:
        before, command = options
        rest = () if "-c" in command else ("--out", "out.json")
        container = background("--volume", f"{out}:/output", *before, cpu_image, *command, *rest)
        _until(lambda: _measures([(path.name, path.stat().st_mtime) for path in out.iterdir()]))
        # The engine kills what has not ended by then, and the exit code says so.
        docker_engine.docker("stop", "--time", "60", container)
        state = docker_engine.inspect(container, ".State")
        assert (state["ExitCode"], state["OOMKilled"]) == (130, False)
        data = json.loads((out / "out.json").read_text("utf-8"))
        assert data["status"] == "partial"
        assert data["counts"]["requested"] > 0
        judged = _hexgate("gate", out, "--policy", ROOT / "examples" / "demo-policy.yaml")
        assert judged.code == 4

    def test_sigterm_to_a_job_publishes_what_it_had(
        self, docker_engine: Engine, cpu_image: str, background: Callable[..., str], out: Path
    ) -> None:
        job = ("platforms", "run", "--output", "/output", "--", "hexgate", *SLOW, "--out", "{out}/out.json")
        run_id = "20260102T030405Z-0123abcd"
        container = background(
            *("--volume", f"{out}:/output", "--env", f"HEXGATE_RUN_ID={run_id}"),
            *("--env", f"HEXGATE_IMAGE={RECORDED}", "--entrypoint", "hexgate", cpu_image, *job),
        )
        _until(lambda: _measures(_files_in(docker_engine, container)))
        docker_engine.docker("stop", "--time", "60", container)
        assert docker_engine.inspect(container, ".State.ExitCode") == 130
        (manifest,) = out.rglob("manifest.json")
        assert manifest.relative_to(out).parts[:2] == (run_id, "main")
        told = json.loads(manifest.read_text("utf-8"))
        assert (told["exit_code"], told["image"]) == (130, RECORDED)
        data = json.loads((manifest.parent / "out.json").read_text("utf-8"))
        assert (data["status"], data["run_id"]) == ("partial", run_id)

    def test_a_command_that_measures_nothing_stops_too(
        self, docker_engine: Engine, cpu_image: str, background: Callable[..., str], out: Path
    ) -> None:
        """As the first process of a container it would get no SIGTERM, if nothing handled it."""
        policy = out / "policy.yaml"
        os.mkfifo(policy)
        policy.chmod(0o666)
        container = background("--volume", f"{out}:/output", cpu_image, "gate", ".", "--policy", policy.name)
        with _opened_by_a_reader(policy):
            docker_engine.docker("stop", "--time", "60", container)
        assert docker_engine.inspect(container, ".State.ExitCode") == 130
        assert docker_engine.docker("logs", container).err.strip() == "interrupted"

    def test_one_killed_for_its_memory_leaves_no_result(
        self, docker_engine: Engine, cpu_image: str, background: Callable[..., str], out: Path
    ) -> None:
        command = (
            "run",
            "--indicator",
            "accuracy_f1",
            "--model",
            "demo:",
            "--data",
            "demo:",
            "--out",
            "out.json",
        )
        container = background("--memory", "48m", "--volume", f"{out}:/output", cpu_image, *command)
        assert docker_engine.docker("wait", container).out == "137\n"
        assert docker_engine.inspect(container, ".State.OOMKilled") is True
        judged = _hexgate("gate", out, "--policy", ROOT / "examples" / "demo-policy.yaml")
        assert judged.code == 4


class TestServe:
    def test_the_same_sources_give_the_same_layers(
        self, docker_engine: Engine, cpu_image: str, serve_image: str
    ) -> None:
        assert docker_engine.inspect(serve_image, ".RootFS.Layers") == docker_engine.inspect(
            cpu_image, ".RootFS.Layers"
        )

    def test_it_becomes_healthy_and_ends_when_told(
        self, docker_engine: Engine, serve_image: str, background: Callable[..., str]
    ) -> None:
        container = background("--health-interval", "1s", serve_image)
        _until(lambda: docker_engine.inspect(container, ".State.Health.Status") != "starting")
        assert docker_engine.inspect(container, ".State.Health.Status") == "healthy"
        docker_engine.docker("stop", "--time", "60", container)
        assert docker_engine.inspect(container, ".State.ExitCode") == 0

    def test_one_that_does_not_answer_is_unhealthy(
        self, docker_engine: Engine, serve_image: str, background: Callable[..., str]
    ) -> None:
        options = ("--health-interval", "1s", "--health-retries", "1", "--health-start-period", "1ms")
        container = background(*options, serve_image, "serve", "--port", "8001")
        _until(lambda: docker_engine.inspect(container, ".State.Health.Status") != "starting")
        assert docker_engine.inspect(container, ".State.Health.Status") == "unhealthy"


def _hexgate(*arguments: str | Path) -> Ended:
    """hexgate on this machine."""
    done = subprocess.run(
        [sys.executable, "-m", "hexgate", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def _opened_by_a_reader(fifo: Path) -> Iterator[None]:
    """Hold a fifo open for writing, from when somebody reads it."""
    held: list[int] = []

    def opened() -> bool:
        try:
            held.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    _until(opened)
    yield
    os.close(held[0])


def _files_in(engine: Engine, container: str) -> list[tuple[str, float]]:
    """Name and time of the files in a container's scratch folder."""
    command = ("find", "/tmp", "-type", "f", "-printf", "%f %T@\\n")  # noqa: S108
    found = engine.docker("exec", container, *command, check=False)
    return [(name, float(time)) for name, time in (line.split() for line in found.out.splitlines())]


def _measures(files: Sequence[tuple[str, float]]) -> bool:
    """Whether the load, which begins once its plan is written, has been sampled for a while."""
    times = {name.partition(".")[2]: time for name, time in files}
    return times.get("resources.jsonl.partial", 0) > times.get("plan.npy", float("inf")) + 2


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
