"""run.sh of a Jetson on a pretend one: stubs stand for nvpmodel, jetson_clocks, tegrastats and docker."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from hexgate.platforms.docker_node_argv import Here, docker_options
from support.node_stubs import RUN_ID, TEGRA_BUSY, TEGRA_IDLE, Node, printed

pytestmark = pytest.mark.skipif(
    shutil.which("setpriv") is None or not Path("/proc/self/stat").exists(), reason="run.sh is for Linux"
)
PIN = ("--power-mode", "0", "--jetson-clocks", "--governor", "performance")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path, "jetson")


def test_the_container_gets_both_flags_that_a_jetson_needs(node: Node) -> None:
    assert node.run().code == 0
    [job] = node.jobs
    assert "--runtime\tnvidia\t--gpus\tall" in "\t".join(job)
    [probe] = [call for call in node.calls("docker") if call[:2] == ["run", "--rm"]]
    assert "--runtime\tnvidia\t--gpus\tall" in "\t".join(probe)
    assert "libcuda.so.1" in probe[-1]


def test_what_run_sh_prints_is_what_the_driver_submits(node: Node) -> None:
    [probe, said] = printed(node.run("--dry-run"))
    [user] = [said[index + 1] for index, word in enumerate(said) if word == "--user"]
    here = Here(user=user, observed=str(node.out / "observed" / RUN_ID))
    assert said == ["docker", "run", *docker_options(node.job, "jetson", here)]
    assert probe[:3] == ["docker", "run", "--rm"]


def test_mode_and_clocks_are_pinned_in_order_and_put_back_the_other_way_round(node: Node) -> None:
    ended = node.run(*PIN)
    assert ended.code == 0, ended.err
    node.as_it_was()
    assert node.locked() == {"power_mode": True, "governor": True, "jetson_clocks": True}
    kept = str(node.folder / "state" / f"{RUN_ID}.clocks")
    assert node.calls("jetson_clocks") == [["--store", kept], [""], ["--restore", kept]] or node.calls(
        "jetson_clocks"
    ) == [["--store", kept], [], ["--restore", kept]]
    assert [call for call in node.calls("nvpmodel") if call[0] == "-m"] == [["-m", "0"], ["-m", "2"]]
    modes = [(line["phase"], line["power_mode"]) for line in node.record() if line["kind"] == "host"]
    assert modes[0] == ("before", "25W")
    assert modes[1] == ("pinned", "MAXN")
    assert modes[-1] == ("put_back", "25W")
    calls = (node.folder / "calls").read_text("utf-8").splitlines()
    changes = [line.split("\t")[0] for line in calls if "\t-m\t" in line or line.startswith("jetson_clocks")]
    assert changes == ["nvpmodel", *["jetson_clocks"] * 3, "nvpmodel"]


def test_a_mode_that_is_on_already_is_left_alone(node: Node) -> None:
    assert node.run("--power-mode", "2").code == 0
    assert node.locked() == {"power_mode": True}
    assert not any(call[0] == "-m" for call in node.calls("nvpmodel"))


def test_a_mode_that_needs_a_reboot_fails_and_changes_nothing(node: Node) -> None:
    node.play("reboot")
    ended = node.run(*PIN)
    assert ended.code == 2
    assert "needs a reboot, so nothing was changed: 25W is still on" in ended.err
    assert node.jobs == []
    assert not (node.folder / "machine" / "rebooted").exists()
    node.as_it_was()
    assert "需要重启" in node.run(*PIN, "--lang", "zh").err


def test_without_permission_it_says_not_locked_and_goes_on(node: Node) -> None:
    node.play("deny_nvpmodel")
    ended = node.run("--power-mode", "0")
    assert ended.code == 0, ended.err
    assert node.locked() == {"power_mode": False}
    assert "power_mode: not locked (NVPM ERROR: must be root)" in ended.err
    node.as_it_was()


def test_clocks_that_are_pinned_half_way_are_put_back(node: Node) -> None:
    node.play("half")
    ended = node.run("--jetson-clocks")
    assert ended.code == 0, ended.err
    assert node.locked() == {"jetson_clocks": False}
    assert "cannot access the EMC clock" in ended.err
    node.as_it_was()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_puts_everything_back(node: Node, number: int) -> None:
    ended = node.stop_in_the_run(number, *PIN)
    assert ended.code == 130, ended.err
    node.as_it_was()


def test_after_sigkill_restore_puts_back(node: Node) -> None:
    node.kill_in_the_run(*PIN)
    [state] = (node.folder / "state").glob("*.state")
    assert node.run("--restore", str(state)).code == 0
    shutil.rmtree(node.folder / "tmp")
    (node.folder / "tmp").mkdir()
    node.as_it_was()


@pytest.mark.parametrize(
    ("release", "image", "code", "said"),
    [
        ("# R36 (release), REVISION: 4.3", "registry.example.com/hexgate:0.1.0-r36", 0, ""),
        ("# R36 (release), REVISION: 4.3", "registry.example.com/hexgate:r36.4.0", 0, ""),
        ("# R36 (release), REVISION: 4.3", "registry.example.com/hexgate:0.1.0", 0, ""),
        ("# R35 (release), REVISION: 5.0", "registry.example.com/hexgate:0.1.0-r36", 2, "has R35"),
        ("# R36 (release), REVISION: 4.3", "registry.example.com/hexgate:0.1.0-l4t-r35", 2, "L4T R35"),
        ("rubbish", "registry.example.com/hexgate:0.1.0-r36", 2, "has R?"),
    ],
)
def test_the_image_has_to_be_of_the_machines_l4t(
    node: Node, release: str, image: str, code: int, said: str
) -> None:
    node.host("etc/nv_tegra_release", release + "\n")
    ended = node.run("--image", image)
    assert ended.code == code, ended.err
    assert said in ended.err


def test_a_machine_that_is_no_jetson_is_told_so(node: Node) -> None:
    (node.folder / "root" / "etc" / "nv_tegra_release").unlink()
    ended = node.run()
    assert ended.code == 2
    assert "no Jetson" in ended.err


def test_a_gpu_that_idles_all_through_fails_the_run(node: Node) -> None:
    node.play("rows", TEGRA_IDLE + "\n")
    assert node.run().code == 4
    node.play("rows", f"{TEGRA_IDLE}\n{TEGRA_BUSY}\n")
    assert node.run("--run-id", "20261121T021952Z-0a1b2c3d").code == 0
    node.play("rows", TEGRA_IDLE + "\n")
    assert node.run("--run-id", "20261121T021953Z-0a1b2c3d", "--gpus", "none").code == 0


@pytest.mark.parametrize(
    "arguments",
    [["--power-mode", "MAXN"], ["--gpus", "0,1"], ["--lock-clocks"], ["--numa", "auto"], ["--per-gpu"]],
)
def test_what_a_jetson_does_not_have_is_refused(node: Node, arguments: list[str]) -> None:
    assert node.run(*arguments).code == 2
    assert node.jobs == []
