"""run.sh of a DGX on a pretend node: stubs stand for the node's programs, bash and its signals are real."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hexgate.platforms.docker_node_argv import Here, docker_options
from support.node_stubs import BUSY, IDLE, NO_PERMISSION, RUN_ID, Node, gone, printed

pytestmark = pytest.mark.skipif(
    shutil.which("setpriv") is None or not Path("/proc/self/stat").exists(), reason="run.sh is for Linux"
)
PIN = ("--lock-clocks=1980,2619", "--governor", "performance")
ME = f"{os.getuid()}:{os.getgid()}"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path, "dgx")


def value_of(call: list[str], flag: str) -> list[str]:
    return [call[index + 1] for index, word in enumerate(call) if word == flag]


def test_help_comes_in_both_languages_and_touches_nothing(node: Node) -> None:
    english = node.run("--help")
    chinese = node.run("--help", "--lang", "zh")
    by_locale = node.run("--help", env={"LANG": "zh_CN.UTF-8"})
    assert (english.code, english.err) == (0, "")
    assert "--lock-clocks" in english.out
    assert "不做任何更改" in chinese.out
    assert chinese.out == by_locale.out
    assert english.out.count(" --") == chinese.out.count(" --")
    assert not (node.folder / "calls").exists()


def test_a_dry_run_prints_what_a_run_does_and_changes_nothing(node: Node) -> None:
    dry = node.run("--dry-run", *PIN)
    assert dry.code == 0
    node.as_it_was()
    assert not node.out.exists()
    said = printed(dry)
    real = node.run(*PIN)
    assert real.code == 0, real.err
    probe_and_jobs = [call[1:] for call in said if call[0] == "docker"]
    assert probe_and_jobs == [call for call in node.calls("docker") if call[0] == "run"]
    locks = [call[1:] for call in said if call[0] == "nvidia-smi"]
    assert locks == [call for call in node.calls("nvidia-smi") if "--lock-" in call[-1]]
    assert len(locks) == 4


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"shards": 2},
        {
            "env": {"B": "b c'd", "A": "1"},
            "secret_env": ["TEST_KEY"],
            "labels": {"team": "vision"},
            "resources": {"gpus": 0, "cpu": 0.5, "shm_mib": 64},
            "image": {"ref": "registry.example.com/hexgate:0.1.0", "digest": "sha256:" + "a" * 64},
            "platform": {"dgx": {"network": "host", "user": "1001:1002", "numa": "off"}},
        },
        {"resources": {"gpus": 1}, "platform": {"dgx": {"gpus": "all", "numa": "off"}}},
    ],
    ids=["plain", "shards", "everything", "all"],
)
def test_what_run_sh_prints_is_what_the_driver_submits(tmp_path: Path, spec: dict[str, object]) -> None:
    node = Node(tmp_path, "dgx", spec)
    dry = node.run("--dry-run", env={"TEST_KEY": "hidden-value"})
    assert dry.code == 0, dry.err
    assert "hidden-value" not in dry.out + dry.err
    said = [call for call in printed(dry) if call[:2] == ["docker", "run"] and "--rm" not in call]
    here = Here(user=ME, observed=str(node.out / "observed" / RUN_ID))
    assert said == [
        ["docker", "run", *docker_options(node.job, "dgx", here, shard)] for shard in range(node.job.shards)
    ]


def test_flags_change_the_job_and_then_it_is_not_the_specs_any_more(node: Node) -> None:
    other = node.folder / "other models"
    other.mkdir()
    (other / "new.onnx").write_text("x", "utf-8")
    dry = node.run(
        *(
            "--dry-run",
            "--model",
            str(other / "new.onnx"),
            "--image=registry.example.com/other:2",
            "--gpus",
            "1",
        ),
        *("--indicator", "latency_p99", "--timeout-s", "90", "--cpus", "1.5", "--memory-mib", "512"),
        *("--env", "TOKEN_OF_MINE", "--out", str(node.folder / "elsewhere"), "--network", "host"),
        env={"TOKEN_OF_MINE": "never-shown"},
    )
    assert dry.code == 0, dry.err
    [call] = [call for call in printed(dry) if "--name" in call]
    command = call[call.index("--") + 1 :]
    assert command[:6] == ["hexgate", "run", "--indicator", "latency_p99", "--model", "/models/new.onnx"]
    assert command[6:] == ["--data", "/data/val.jsonl", "--out", "{out}"]
    assert f"type=bind,source={other},target=/models,readonly" in call
    assert f"type=bind,source={node.folder / 'elsewhere'},target=/output" in call
    assert value_of(call, "--gpus") == ['"device=1"']
    assert value_of(call, "--cpus") == ["1.5"]
    assert value_of(call, "--memory") == ["512m"]
    assert value_of(call, "--network") == ["host"]
    assert call[call.index("registry.example.com/other:2") + 1 :][:5] == [
        *("timeout", "--foreground", "--signal=TERM", "--kill-after=60", "90")
    ]
    assert "TOKEN_OF_MINE" in value_of(call, "--env")
    assert not any(value.startswith("HEXGATE_SPEC_SHA256") for value in value_of(call, "--env"))
    assert "never-shown" not in dry.out + dry.err


def test_a_job_that_was_changed_in_the_file_is_not_the_specs_any_more(node: Node) -> None:
    assert "HEXGATE_SPEC_SHA256" in node.run("--dry-run").out
    text = node.script.read_text("utf-8")
    node.script.write_text(text.replace("CPUS=2\n", "CPUS=3\n"), "utf-8")
    dry = node.run("--dry-run")
    assert "--cpus 3" in dry.out
    assert "HEXGATE_SPEC_SHA256" not in dry.out


def test_a_server_and_the_embedded_default_need_no_mount_and_another_command_is_taken_whole(
    node: Node,
) -> None:
    server = node.run(
        "--dry-run", "--model", "http://127.0.0.1:8000/v1", "--network", "host", "--gpus", "none"
    )
    assert "--model http://127.0.0.1:8000/v1" in server.out
    assert "--gpus" not in server.out
    assert node.run("--model", "http://127.0.0.1:8000/v1").code == 2
    demo = node.run("--dry-run", "--model", "demo:", "--data", "demo:")
    assert "--model demo: --data demo:" in demo.out
    own = node.run("--dry-run", "--", "hexgate", "doctor", "--out", "{out}")
    assert own.out.rstrip().endswith("-- hexgate doctor --out '{out}'")
    refused = node.run("--dry-run", "--model", "demo:", "--", "python3", "x.py", "{out}")
    assert refused.code == 2
    assert "behind --" in refused.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nope"], "no such option"),
        (["--gpus", "0;1"], "--gpus"),
        (["--gpus"], "--gpus"),
        (["--lock-clocks=fast"], "--lock-clocks"),
        (["--lock-clocks=1234"], "no SM clock of 1234 MHz"),
        (["--lock-clocks=1980,1"], "no memory clock of 1 MHz"),
        (["--governor", "a b"], "--governor"),
        (["--numa", "x"], "--numa"),
        (["--numa", "7"], "no NUMA node 7"),
        (["--network", "bridge"], "--network"),
        (["--timeout-s", "0"], "--timeout-s"),
        (["--timeout-s"], "needs a value"),
        (["--cpus", "many"], "--cpus"),
        (["--run-id", "today"], "--run-id"),
        (["--env", "KEY=value"], "a name alone"),
        (["--env", "NOT_SET_ANYWHERE"], "not set"),
        (["--lang", "fr"], "--lang"),
        (["--model", "/no/such/model.onnx"], "no such file"),
        (["--out", "/proc/nowhere"], "--out"),
        (["--vary", "attack=fgsm,pgd"], "--per-gpu"),
        (["--per-gpu", "--gpus", "none"], "--per-gpu"),
        (["--per-gpu", "--vary", "attack=fgsm"], "1 values for 2 GPUs"),
        (["--restore", "/no/such/file"], "no such file"),
        (["--"], "nothing stands behind"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_flag_ends_with_2_and_leaves_everything_as_it_was(
    node: Node, arguments: list[str], said: str
) -> None:
    ended = node.run(*arguments)
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert node.jobs == []
    node.as_it_was()
    assert node.run(*arguments, "--lang=zh").err != ended.err or arguments[0] == "--lang"


def test_a_missing_mount_a_comma_in_a_path_and_a_container_of_that_run_are_refused(node: Node) -> None:
    comma = node.folder / "a,b"
    comma.mkdir()
    (comma / "m.onnx").write_text("x", "utf-8")
    assert "comma" in node.run("--model", str(comma / "m.onnx")).err
    node.play("exists")
    again = node.run()
    assert again.code == 2
    assert "has a container already" in again.err
    assert not any(call[0] == "rm" for call in node.calls("docker"))
    shutil.rmtree(node.folder / "models")
    missing = node.run()
    assert missing.code == 2
    assert "mount model" in missing.err


def test_what_is_pinned_is_recorded_and_put_back(node: Node) -> None:
    ended = node.run(*PIN)
    assert ended.code == 0, ended.err
    node.as_it_was()
    assert node.locked() == {"governor": True, "gpu_clock": True, "memory_clock": True}
    phases = [(line["phase"], line["governor"]) for line in node.record() if line["kind"] == "host"]
    before, pinned = {"schedutil": 3, "powersave": 1}, {"performance": 4}
    assert (phases[0], phases[1]) == (("before", before), ("pinned", pinned))
    assert phases[-2:] == [("after", pinned), ("put_back", before)]
    resets = [call for call in node.calls("nvidia-smi") if "--reset-" in call[-1]]
    assert [call[0] for call in resets] == ["--id=1", "--id=0", "--id=1", "--id=0"]
    assert "the job's own words" in ended.out


def test_nothing_is_pinned_unless_asked(node: Node) -> None:
    ended = node.run()
    assert ended.code == 0
    assert not any("--lock-" in " ".join(call) for call in node.calls("nvidia-smi"))
    assert node.locked() == {}
    assert node.calls("sudo") == []


def test_without_permission_it_says_not_locked_and_goes_on(node: Node) -> None:
    node.play("deny_smi", NO_PERMISSION + "\n")
    ended = node.run("--lock-clocks=1980")
    assert ended.code == 0, ended.err
    assert "gpu_clock: not locked (GPU 0: The current user does not have permission" in ended.err
    assert node.locked() == {"gpu_clock": False}
    assert len(node.jobs) == 1
    node.as_it_was()


def test_a_board_that_cannot_lock_and_says_so_with_0_is_not_locked(node: Node) -> None:
    node.play("unsupported")
    assert node.run("--lock-clocks=1980").code == 0
    assert node.locked() == {"gpu_clock": False}
    node.as_it_was()


def test_a_driver_without_a_default_clock_leaves_it_unlocked(node: Node) -> None:
    node.play("default_clock", "[N/A]\n")
    ended = node.run("--lock-clocks")
    assert ended.code == 0
    assert node.locked() == {"gpu_clock": False}
    assert "name one" in ended.err


def test_pinning_that_fails_half_way_is_put_back(node: Node) -> None:
    node.play("half")
    ended = node.run("--lock-clocks=1980")
    assert ended.code == 0
    assert node.locked() == {"gpu_clock": False}
    assert any(call[:2] == ["--id=0", "--reset-gpu-clocks"] for call in node.calls("nvidia-smi"))
    node.as_it_was()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_the_job_keeps_its_exit_code_and_puts_everything_back(node: Node, number: int) -> None:
    ended = node.stop_in_the_run(number, *PIN)
    assert ended.code == 130, ended.err
    assert (node.folder / "stopped").read_text("utf-8") == "TERM\n"
    assert signal.Signals(number).name in ended.err
    node.as_it_was()
    node.wait_until(lambda: gone(int((node.folder / "sampler").read_text("utf-8"))))


def test_a_closed_terminal_does_not_keep_it_from_putting_back(node: Node) -> None:
    node.play("hang")
    process = node.start(*PIN)
    node.wait_until(lambda: any(node.folder.glob("started-*")))
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 130
    node.as_it_was()


def test_after_sigkill_restore_puts_back_once_and_a_new_run_pins_nothing_before(node: Node) -> None:
    node.kill_in_the_run(*PIN)
    assert set(node.governors()) == {"performance"}
    [state] = (node.folder / "state").iterdir()
    node.wait_until(lambda: gone(int((node.folder / "sampler").read_text("utf-8"))))
    (node.folder / "play" / "hang").unlink()
    refused = node.run("--run-id", "20261121T021952Z-0a1b2c3d", *PIN)
    assert refused.code == 2
    assert f"--restore {state}" in refused.err
    shown = node.run("--restore", str(state), "--dry-run")
    assert "governor schedutil 0,1,2" in shown.out
    node.play("left")
    mended = node.run("--restore", str(state))
    assert mended.code == 0, mended.err
    assert ["stop", "--time", "60", f"hexgate-{RUN_ID}"] in node.calls("docker")
    shutil.rmtree(node.folder / "tmp")
    (node.folder / "tmp").mkdir()
    node.as_it_was()
    assert node.run("--restore", str(state)).code == 2


def test_two_runs_do_not_pin_one_machine_and_a_live_run_is_not_restored(node: Node) -> None:
    node.play("hang")
    process = node.start(*PIN)
    node.wait_until(lambda: any(node.folder.glob("started-*")))
    [state] = (node.folder / "state").iterdir()
    second = node.run("--run-id", "20261121T021952Z-0a1b2c3d", *PIN)
    restore = node.run("--restore", str(state))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert (second.code, restore.code) == (2, 2)
    assert "another run.sh" in second.err
    assert "still going on" in restore.err
    node.as_it_was()


@pytest.mark.parametrize(
    "line",
    [
        "governor x;reboot 0",
        "gpu_clocks -rf",
        "jetson_clocks /etc/passwd",
        "power_mode 0 1",
        "echo hello",
        "",
    ],
)
def test_restore_takes_no_line_that_run_sh_did_not_write(node: Node, line: str) -> None:
    state = node.folder / "made-up.state"
    state.write_text(f"hexgate-run-state 1\npid 1 1\ngpu_clocks 0\n{line}\n", "utf-8")
    ended = node.run("--restore", str(state))
    assert ended.code == 2
    assert node.calls("nvidia-smi") == []


def test_what_cannot_be_put_back_is_said_and_its_note_is_kept(node: Node) -> None:
    node.play("stuck")
    ended = node.run("--lock-clocks=1980")
    assert ended.code == 5
    assert "NOT put back: gpu_clocks 1" in ended.err
    [state] = (node.folder / "state").iterdir()
    (node.folder / "play" / "stuck").unlink()
    assert node.run("--restore", str(state)).code == 0
    node.as_it_was()


@pytest.mark.parametrize("code", [1, 3, 4, 124, 125, 137])
def test_the_jobs_exit_code_is_kept(node: Node, code: int) -> None:
    node.play("code", f"{code}\n")
    node.play("oom")
    ended = node.run("--governor", "performance")
    assert ended.code == code
    if code == 124:
        assert "--timeout-s gives it more" in ended.err
    if code == 137:
        assert "--memory-mib gives it more" in ended.err
    node.as_it_was()


def test_a_gpu_that_was_asked_for_and_idle_all_through_fails_the_run(node: Node) -> None:
    node.play("rows", "\n".join(IDLE) + "\n")
    idle = node.run()
    assert idle.code == 4, idle.err
    assert "GPU 0 1 was idle all through" in idle.err or "GPU 1 0 was idle all through" in idle.err
    node.play("rows", "\n".join((IDLE[0], BUSY[1])) + "\n")
    half = node.run("--run-id", "20261121T021952Z-0a1b2c3d")
    assert half.code == 0
    assert "GPU 0 was idle" in half.err
    node.play("rows", "\n".join(IDLE) + "\n")
    assert node.run("--run-id", "20261121T021953Z-0a1b2c3d", "--gpus", "none").code == 0
    node.play("code", "1\n")
    assert node.run("--run-id", "20261121T021954Z-0a1b2c3d").code == 1


def test_no_cuda_in_the_container_is_found_before_anything_is_pinned(node: Node) -> None:
    node.play("no_cuda")
    ended = node.run(*PIN)
    assert ended.code == 5
    assert "libcuda.so.1" in ended.err
    assert not any("--lock-" in " ".join(call) for call in node.calls("nvidia-smi"))
    assert node.jobs == []


def test_one_container_a_gpu_each_on_its_numa_node_with_a_part_of_its_own(node: Node) -> None:
    node.play(f"code-hexgate-{RUN_ID}-1", "3\n")
    ended = node.run(
        "--per-gpu", "--numa", "auto", "--vary", "attack=fgsm,pgd", "--indicator", "robustness_adv"
    )
    assert ended.code == 3, ended.err
    jobs = sorted(node.jobs, key=lambda call: value_of(call, "--name"))
    assert [value_of(call, "--gpus") for call in jobs] == [['"device=0"'], ['"device=1"']]
    assert [value_of(call, "--cpuset-cpus") for call in jobs] == [["0-31,64-95"], ["32-63,96-127"]]
    assert [value_of(call, "--cpuset-mems") for call in jobs] == [["0"], ["1"]]
    assert [value_of(call, "--part") for call in jobs] == [["gpu-0"], ["gpu-1"]]
    assert [value_of(call, "--attack") for call in jobs] == [["fgsm"], ["pgd"]]
    assert "[0] the job's own words" in ended.out
    assert "container 1 ended with 3" in ended.err


def test_a_signal_reaches_every_container(node: Node) -> None:
    node.play("hang")
    process = node.start("--per-gpu", "--governor", "performance")
    node.wait_until(lambda: len(list(node.folder.glob("started-*"))) == 2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert (node.folder / "stopped").read_text("utf-8") == "TERM\nTERM\n"
    node.as_it_was()


def test_a_stop_that_meets_timeout_before_its_child_is_a_stop(node: Node) -> None:
    # coreutils timeout.c: a signal between fork() and the note of its child ends it with 128 + 15.
    node.play("early")
    assert node.stop_in_the_run(signal.SIGTERM).code == 130
    assert (node.folder / "stopped").read_text("utf-8") == "TERM\n"


def test_a_job_that_ends_with_143_keeps_its_exit_code(node: Node) -> None:
    node.play("stopped_with", "143\n")
    assert node.stop_in_the_run(signal.SIGTERM).code == 143


def test_a_gpu_whose_node_is_unknown_is_not_bound_and_that_is_said(node: Node) -> None:
    node.host("sys/bus/pci/devices/0000:17:00.0/numa_node", "-1\n")
    ended = node.run("--dry-run", "--numa", "auto")
    assert "NUMA: not bound" in ended.err
    assert "--cpuset" not in ended.out
    assert "--cpuset-cpus 32-63,96-127 --cpuset-mems 1" in node.run("--dry-run", "--numa", "1").out


def test_an_older_driver_is_asked_by_the_older_name(node: Node) -> None:
    node.play("fields", '"clocks_throttle_reasons.active"\n')
    assert node.run().code == 0
    [source] = [line for line in node.record() if line["kind"] == "source"]
    assert source["fields"].endswith(",clocks_throttle_reasons.active")


def test_a_node_without_nvidia_smi_is_refused_unless_no_gpu_is_asked_for(node: Node) -> None:
    (node.folder / "bin" / "nvidia-smi").unlink()
    refused = node.run()
    assert refused.code == 2
    assert "--gpus none" in refused.err
    ended = node.run("--gpus", "none")
    assert ended.code == 0, ended.err
    assert [line["why"] for line in node.record() if line["kind"] == "unsampled"] == [
        "there is no nvidia-smi on this machine"
    ]


@pytest.fixture
def open_node() -> Iterator[Node]:
    """A node whose folder another user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="hexgate-node-"))
    folder.chmod(0o755)
    made = Node(folder, "dgx")
    made.out.mkdir()
    subprocess.run(["chmod", "-R", "a+rwX", folder], check=True)
    yield made
    shutil.rmtree(folder)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("sudo", [False, True], ids=["no sudo", "sudo without a password"])
def test_another_user_pins_by_sudo_alone_and_is_the_user_in_the_container(
    open_node: Node, sudo: bool
) -> None:
    node = open_node
    if not sudo:
        node.play("deny_sudo")
    done = subprocess.run(
        [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            str(node.script),
            "--lock-clocks=1980",
        ],
        env=node.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    [job] = node.jobs
    assert value_of(job, "--user") == ["65534:65534"]
    assert node.locked() == {"gpu_clock": sudo}
    assert ("sudo: a password is required" in done.stderr) is not sudo
    assert all(call[:2] == ["-n", "-k"] for call in node.calls("sudo"))
    node.as_it_was()
    node.out.chmod(0o755)
    refused = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(node.script)],
        env=node.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert refused.returncode == 2
    assert "65534:65534 cannot write there" in refused.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be called by sudo")
def test_called_by_sudo_the_job_belongs_to_whoever_called(open_node: Node) -> None:
    node = open_node
    node.out.rmdir()
    ended = node.run(env={"SUDO_UID": "1234", "SUDO_GID": "1235"})
    assert ended.code == 0, ended.err
    [job] = node.jobs
    assert value_of(job, "--user") == ["1234:1235"]
    assert node.out.stat().st_uid == 1234
